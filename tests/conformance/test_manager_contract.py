"""What `allocator.interface.CacheManager` promises, held against every registered manager."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from allocator.interface import UNBOUNDED_TOKENS, CacheManager, OutOfMemoryError
from allocator.prefix.interface import PrefixSharing
from allocator.registry import known_managers
from allocator.spec import CacheKind, Granularity

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.pooled import PooledManager
    from tests.conformance.conftest import Churn
    from tests.conftest import Design, MemoryCase

    Digest = Callable[[CacheManager], str]


def live_handles(manager: CacheManager, sequences: list[int]) -> list[int]:
    groups = [group.name for group in manager.spec.groups]
    return [h for s in sequences for g in groups for h in manager.block_table(s, g)]


def fill(manager: CacheManager, tokens: int) -> int:
    """Admit sequences until one does not fit; returns how many did."""
    count = 0
    while True:
        try:
            manager.admit(count, tokens)
        except OutOfMemoryError:
            return count
        count += 1


def test_names_itself_and_its_options(design: Design) -> None:
    assert design.manager.name
    assert design.manager.summary
    assert design.manager.source
    assert design.manager.Options() == design.manager.Options()


def test_starts_empty_and_sound(manager: CacheManager, memory_case: MemoryCase) -> None:
    usage = manager.usage()
    assert usage.budget_bytes == memory_case.budget_bytes
    assert usage.needed_bytes == usage.granted_bytes == usage.peak_granted_bytes == 0
    assert manager.take_migrations() == []
    manager.check_integrity()


def test_a_sequence_is_admitted_once(manager: CacheManager, digest: Digest) -> None:
    manager.admit(7, 5)
    before = digest(manager)
    with pytest.raises(ValueError, match="already admitted"):
        manager.admit(7, 5)
    assert digest(manager) == before


@pytest.mark.parametrize("tokens", [0, -1])
def test_a_sequence_has_a_token(manager: CacheManager, digest: Digest, tokens: int) -> None:
    before = digest(manager)
    with pytest.raises(ValueError, match="at least one token"):
        manager.admit(0, tokens)
    assert digest(manager) == before


def test_a_sequence_does_not_shrink(manager: CacheManager, digest: Digest) -> None:
    manager.admit(0, 9)
    before = digest(manager)
    with pytest.raises(ValueError, match="does not shrink"):
        manager.extend(0, -1)
    assert digest(manager) == before


def test_extending_by_nothing_changes_nothing(manager: CacheManager) -> None:
    manager.admit(0, 9)
    before = manager.usage(), live_handles(manager, [0])
    manager.extend(0, 0)
    assert (manager.usage(), live_handles(manager, [0])) == before


def test_unknown_sequences_and_groups_are_key_errors(manager: CacheManager, digest: Digest) -> None:
    group = manager.spec.groups[0].name
    manager.admit(1, 5)
    before = digest(manager)
    with pytest.raises(KeyError):
        manager.extend(2, 1)
    with pytest.raises(KeyError):
        manager.release(2)
    with pytest.raises(KeyError):
        manager.block_table(2, group)
    with pytest.raises(KeyError):
        manager.block_table(1, "no such group")
    assert digest(manager) == before


def test_a_released_sequence_is_unknown_and_may_come_again(manager: CacheManager) -> None:
    manager.admit(1, 5)
    manager.release(1)
    with pytest.raises(KeyError):
        manager.release(1)
    with pytest.raises(KeyError):
        manager.extend(1, 1)
    manager.admit(1, 5)
    manager.check_integrity()


def test_a_failing_call_leaves_everything_as_it_was(
    manager: CacheManager, digest: Digest, churn: Churn
) -> None:
    """Admissions that lack KV, that lack state only, and extensions, at several fill levels."""
    for _ in range(5):
        churn.run(40)
        manager.take_migrations()
        before, too_many = digest(manager), manager.max_sequence_tokens + 1
        if too_many > UNBOUNDED_TOKENS:
            continue
        with pytest.raises(OutOfMemoryError):
            manager.admit(10_000, too_many)
        assert digest(manager) == before
        for sequence in churn.tokens:
            with pytest.raises(OutOfMemoryError):
                manager.extend(sequence, too_many)
        assert digest(manager) == before


def test_a_full_manager_refuses_and_stays_as_it_was(manager: CacheManager, digest: Digest) -> None:
    count = fill(manager, 3)
    assert count > 0
    before = digest(manager)
    for _ in range(2):
        with pytest.raises(OutOfMemoryError):
            manager.admit(count, 3)
        assert digest(manager) == before


def test_out_of_memory_says_what_was_short(manager: CacheManager) -> None:
    count = fill(manager, 11)
    with pytest.raises(OutOfMemoryError) as caught:
        manager.admit(count, 11)
    error = caught.value
    pool = next(pool for pool in manager.usage().pools if pool.name == error.pool)
    assert error.free == pool.num_pages - pool.num_live
    assert error.free <= error.largest < error.asked
    assert error.pool in str(error)


def test_usage_accounts_for_every_byte(
    manager: CacheManager, memory_case: MemoryCase, churn: Churn
) -> None:
    peak = 0
    for _ in range(60):
        churn.run(5)
        usage = manager.usage()
        free = sum(pool.free_bytes for pool in usage.pools)
        parts = usage.granted_bytes + free + usage.reserve_bytes + usage.external_waste_bytes
        assert parts == usage.budget_bytes == memory_case.budget_bytes
        assert usage.needed_bytes == memory_case.needed_bytes(list(churn.tokens.values()))
        assert usage.internal_waste_bytes >= 0
        assert usage.external_waste_bytes >= 0
        assert usage.reserve_bytes >= 0
        in_pages = sum(pool.num_pages * pool.page_bytes for pool in usage.pools)
        assert usage.reserve_bytes <= usage.budget_bytes - in_pages
        assert usage.granted_bytes + free <= usage.footprint_bytes <= usage.budget_bytes
        assert manager.backing.num_free_granules >= 0
        peak = max(peak, usage.granted_bytes)
        assert usage.peak_granted_bytes >= peak
        manager.check_integrity()
    assert churn.num_failures > 0


def test_the_peak_is_the_most_ever_granted(manager: CacheManager) -> None:
    peaks = []
    for sequence in range(3):
        manager.admit(sequence, 10)
        peaks.append(manager.usage().granted_bytes)
    manager.release(0)
    manager.release(1)
    assert manager.usage().granted_bytes < peaks[-1]
    assert manager.usage().peak_granted_bytes == peaks[-1] == max(peaks)


def test_live_handles_are_distinct_32_bit_names(manager: CacheManager, churn: Churn) -> None:
    for _ in range(10):
        churn.run(10)
        handles = live_handles(manager, list(churn.tokens))
        assert len(set(handles)) == len(handles)
        assert all(0 < handle < 1 << 32 for handle in handles)


def test_handles_of_released_sequences_are_not_live(manager: CacheManager, churn: Churn) -> None:
    gone: set[int] = set()
    for _ in range(30):
        churn.run(4)
        if churn.tokens:
            oldest = next(iter(churn.tokens))
            gone.update(live_handles(manager, [oldest]))
            churn.release(oldest)
        assert gone.isdisjoint(live_handles(manager, list(churn.tokens)))
    assert gone


def test_a_block_table_only_grows_at_its_end(design: Design, manager: CacheManager) -> None:
    keeps_old_states = str(design) == "vllm:mode=all"  # a state for every block of tokens
    moves_states = isinstance(manager, PrefixSharing) and manager.checkpoint_tokens > 0
    manager.admit(0, 1)
    tables = {
        group.name: tuple(manager.block_table(0, group.name)) for group in manager.spec.groups
    }
    for _ in range(5):
        manager.admit(manager.usage().needed_bytes + 1, 2)
        manager.extend(0, 3)
        for group in manager.spec.groups:
            table = tuple(manager.block_table(0, group.name))
            if group.kind is CacheKind.STATE and moves_states:
                continue
            assert table[: len(tables[group.name])] == tables[group.name]
            if group.kind is CacheKind.STATE and not keeps_old_states:
                assert table == tables[group.name]
            tables[group.name] = table


def test_paged_block_tables_hold_exactly_the_tokens(
    paged_design: Design, paged_manager: PooledManager, new_churn: type[Churn]
) -> None:
    churn = new_churn(paged_manager)
    churn.run(50)
    if not hasattr(paged_design.options, "granularity"):
        pytest.skip("cuts pages by a rule of its own, which its unit tests hold")
    layered = paged_design.options.granularity is Granularity.LAYER
    for sequence, tokens in churn.tokens.items():
        for group in paged_manager.spec.groups:
            is_state = group.kind is CacheKind.STATE
            blocks = 1 if is_state else -(-tokens // paged_manager.spec.page_tokens)
            pages = blocks * group.num_layers if layered else blocks
            table = paged_manager.block_table(sequence, group.name)
            assert len(table) == pages
            if is_state:
                continue
            number, of_block = paged_manager.spec.groups.index(group), pages // blocks
            for first in (0, blocks // 2, blocks - 1, blocks):
                newest = paged_manager.block_table_from(sequence, number, first)
                assert newest == table[first * of_block :]


def test_release_gives_everything_back(manager: CacheManager, churn: Churn) -> None:
    for _ in range(4):
        fresh, mapped = manager.usage(), manager.backing.counters()
        churn.run(60)
        churn.release_all()
        usage = manager.usage()
        assert usage.granted_bytes == usage.needed_bytes == 0
        if manager.backing.counters() == mapped:  # no capacity moved
            assert usage == replace(fresh, peak_granted_bytes=usage.peak_granted_bytes)
        manager.admit(9_999, min(manager.max_sequence_tokens, 10_000))
        manager.check_integrity()
        manager.release(9_999)


def test_migrations_are_told_once_and_move_whole_granules(
    manager: CacheManager, churn: Churn
) -> None:
    churn.run(200)
    moves = manager.take_migrations()
    assert manager.take_migrations() == []
    for move in moves:
        assert move.donor != move.recipient
        assert {move.donor, move.recipient} <= set(range(len(manager.usage().pools)))
        assert move.num_bytes > 0
        assert move.num_bytes % manager.backing.granule_bytes == 0


def test_same_calls_same_everything(
    new_manager: Callable[[], CacheManager], new_churn: type[Churn]
) -> None:
    runs = []
    for _ in range(2):
        manager = new_manager()
        churn = new_churn(manager)
        churn.run(150)
        handles = live_handles(manager, list(churn.tokens))
        runs.append((churn.tokens, handles, manager.usage(), manager.take_migrations()))
    assert runs[0] == runs[1]


def test_same_calls_same_handles_in_another_process() -> None:
    script = Path(__file__).with_name("transcript.py")
    transcripts = set()
    for seed in ("0", "1"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(script.parents[2])}
        run = [sys.executable, str(script)]
        done = subprocess.run(run, env=environment, capture_output=True, check=True)  # noqa: S603 - our own script
        transcripts.add(done.stdout)
    (transcript,) = transcripts
    assert all(name.encode() in transcript for name in known_managers())
