"""`extend_all` and `prepare` of every registered manager over every backing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from allocator.interface import UNBOUNDED_TOKENS, CacheManager, OutOfMemoryError
from allocator.spec import CacheKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.pooled import PooledManager
    from tests.conformance.conftest import Churn
    from tests.conftest import Design

    Digest = Callable[[CacheManager], str]


def tables(manager: CacheManager, sequences: list[int]) -> dict[tuple[int, str], tuple[int, ...]]:
    groups = [group.name for group in manager.spec.groups]
    return {(s, g): tuple(manager.block_table(s, g)) for s in sequences for g in groups}


def test_a_batch_gets_what_its_sequences_would_get(
    design: Design, new_manager: Callable[[], CacheManager]
) -> None:
    """Memory lasts, so that only the pages may differ, not their number."""
    moves_states = "caching=on" in str(design)  # each block boundary has a state of its own
    together, apart = new_manager(), new_manager()
    attention = {g.name for g in together.spec.groups if g.kind is CacheKind.ATTENTION}
    for manager in (together, apart):
        for sequence, tokens in enumerate((1, 4, 7)):
            manager.admit(sequence, tokens)
    for tokens in (1, 0, 3, 6):
        before = tables(together, [0, 1, 2])
        together.extend_all([2, 0], tokens)
        for sequence in (2, 0):
            apart.extend(sequence, tokens)
        after = tables(together, [0, 1, 2])
        for (sequence, name), table in before.items():
            if not moves_states or name in attention:
                assert after[sequence, name][: len(table)] == table
        sizes = {key: len(table) for key, table in tables(apart, [0, 1, 2]).items()}
        assert {key: len(table) for key, table in after.items()} == sizes
        assert together.usage().needed_bytes == apart.usage().needed_bytes
        assert together.usage().granted_bytes == apart.usage().granted_bytes
        assert together.usage().peak_granted_bytes == apart.usage().peak_granted_bytes
        together.check_integrity()


def test_a_batch_of_one_gets_the_same_pages_as_one(
    new_manager: Callable[[], CacheManager],
) -> None:
    together, alone = new_manager(), new_manager()
    for manager in (together, alone):
        for sequence in range(3):
            manager.admit(sequence, 5)
    for tokens in (1, 2, 3, 7):
        together.extend_all([1], tokens)
        alone.extend(1, tokens)
        assert tables(together, [0, 1, 2]) == tables(alone, [0, 1, 2])
        assert together.usage() == alone.usage()
        assert together.take_migrations() == alone.take_migrations()


def test_a_batch_of_nobody_or_by_nothing_changes_nothing(
    manager: CacheManager, digest: Digest
) -> None:
    manager.admit(0, 9)
    manager.extend_all([], 1)
    before = manager.usage(), tables(manager, [0])
    manager.extend_all([], 10**9)
    manager.extend_all([0], 0)
    assert (manager.usage(), tables(manager, [0])) == before
    again = digest(manager)
    manager.extend_all([0], 0)
    assert digest(manager) == again


def test_a_batch_with_somebody_unknown_changes_nothing(
    manager: CacheManager, digest: Digest
) -> None:
    manager.admit(0, 9)
    before = digest(manager)
    for sequences in ([1], [0, 1], [1, 0]):
        with pytest.raises(KeyError):
            manager.extend_all(sequences, 5)
        assert digest(manager) == before


def test_a_batch_does_not_shrink(manager: CacheManager, digest: Digest) -> None:
    manager.admit(0, 9)
    manager.admit(1, 9)
    before = digest(manager)
    with pytest.raises(ValueError, match="does not shrink"):
        manager.extend_all([0, 1], -1)
    assert digest(manager) == before


def is_granted(manager: CacheManager, sequences: list[int], tokens: int) -> bool:
    try:
        manager.extend_all(sequences, tokens)
    except OutOfMemoryError:
        return False
    return True


def test_a_batch_that_does_not_fit_leaves_everything_as_it_was(
    manager: CacheManager, digest: Digest, churn: Churn
) -> None:
    """At the least that is too much, so that nearly all of it would fit, and far beyond."""
    if manager.max_sequence_tokens == UNBOUNDED_TOKENS:
        pytest.skip("tokens need no memory")
    num_rounds = 0
    for _ in range(4):
        churn.run(25)
        manager.take_migrations()
        if not churn.tokens:
            continue
        num_rounds += 1
        before = digest(manager)
        while is_granted(manager, list(churn.tokens), 5):
            churn.tokens = {sequence: had + 5 for sequence, had in churn.tokens.items()}
            manager.take_migrations()
            before = digest(manager)
        assert digest(manager) == before
        for tokens in (5, manager.max_sequence_tokens + 1):
            with pytest.raises(OutOfMemoryError) as caught:
                manager.extend_all(list(churn.tokens), tokens)
            assert caught.value.free <= caught.value.largest < caught.value.asked
            assert digest(manager) == before
        manager.check_integrity()
    assert num_rounds > 1


def test_a_batch_grows_until_memory_is_full_and_each_has_the_same(manager: CacheManager) -> None:
    if manager.max_sequence_tokens == UNBOUNDED_TOKENS:
        pytest.skip("tokens need no memory")
    for sequence in range(2):
        manager.admit(sequence, 1)
    tokens = 1
    while is_granted(manager, [0, 1], 1):
        tokens += 1
    each = manager.spec.bytes_per_sequence() + tokens * manager.spec.bytes_per_token()
    assert manager.usage().needed_bytes == 2 * each
    assert 1 < tokens <= manager.max_sequence_tokens
    manager.check_integrity()


@pytest.mark.parametrize("next_tokens", [0, 1, 17, 50, 10**6])
def test_preparing_leaves_sequences_alone(
    manager: CacheManager, churn: Churn, next_tokens: int
) -> None:
    for _ in range(12):
        churn.run(10)
        sequences = list(churn.tokens)
        before, usage = tables(manager, sequences), manager.usage()
        copies = manager.backing.counters().copies
        manager.prepare(next_tokens)
        after = manager.usage()
        assert tables(manager, sequences) == before
        assert manager.backing.counters().copies == copies
        assert [pool.num_live for pool in after.pools] == [pool.num_live for pool in usage.pools]
        assert after.needed_bytes == usage.needed_bytes
        assert after.peak_granted_bytes == usage.peak_granted_bytes
        assert after.footprint_bytes <= after.budget_bytes
        manager.check_integrity()


def test_preparing_moves_no_live_page(paged_manager: PooledManager, new_churn: type[Churn]) -> None:
    manager, churn = paged_manager, new_churn(paged_manager)
    for number in range(40):
        churn.run(5)
        manager.check_integrity()  # looks at every page
        before = sorted(manager._table.live_pages())  # noqa: SLF001 - no caller needs to know
        names = tables(manager, list(churn.tokens))
        manager.prepare(number % 3 * 20)
        assert sorted(manager._table.live_pages()) == before  # noqa: SLF001
        assert tables(manager, list(churn.tokens)) == names


def test_preparing_again_for_the_same_changes_nothing(
    manager: CacheManager, digest: Digest, churn: Churn
) -> None:
    """What grew is told once, so that the second time growth counts for nothing."""
    for _ in range(10):
        churn.run(10)
        for _ in range(2):
            manager.prepare(25)
        before = digest(manager)
        manager.prepare(25)
        assert digest(manager) == before


def test_a_prepared_manager_can_still_give_everything_to_one(
    manager: CacheManager, churn: Churn
) -> None:
    for _ in range(4):
        churn.run(30)
        churn.release_all()
        for next_tokens in (0, 40, 3):
            manager.prepare(next_tokens)
        manager.admit(9_999, min(manager.max_sequence_tokens, 10_000))
        manager.check_integrity()
        manager.release(9_999)
