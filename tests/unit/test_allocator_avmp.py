from collections.abc import Callable, Iterable

import pytest

from allocator.backing import HostBacking
from allocator.handle import StaleHandleError
from allocator.interface import Migration, OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions, Relocation
from allocator.spec import CacheGroup, CacheKind, CacheSpec

MakeBacking = Callable[[int], HostBacking]
KV, STATE = 0, 1
# A granule of 1 KiB is 4 KV pages of 4 tokens, or 2 states.
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 1, 64), CacheGroup("ssm", CacheKind.STATE, 1, 512)), 4
)


class CappedBacking(HostBacking):
    """Remembers the most granules that were ever mapped, even within a call."""

    most_mapped = 0

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        super().map(slab, first_granule, num_granules)
        self.most_mapped = max(self.most_mapped, self.num_granules - self.num_free_granules)


@pytest.fixture
def backing() -> CappedBacking:
    return CappedBacking(16 * 1024, 1024)


def avmp(
    backing: HostBacking, *, batch: int = 1, span: int = 1, relocation: Relocation = Relocation.ON
) -> AvmpManager:
    options = AvmpOptions(batch=batch, span=span, relocation=relocation)
    return AvmpManager(SPEC, backing, options)


def pages(manager: AvmpManager) -> list[int]:
    return [pool.num_pages for pool in manager.usage().pools]


def test_the_split_starts_as_asked(backing: CappedBacking) -> None:
    assert pages(avmp(backing)) == [8 * 4, 8 * 2]


def test_kv_takes_from_state_the_least_that_serves(backing: CappedBacking) -> None:
    manager = avmp(backing)
    manager.admit(0, 33 * 4)
    assert pages(manager) == [9 * 4, 7 * 2]
    assert manager.take_migrations() == [Migration(STATE, KV, 1024)]
    manager.extend(0, 3 * 4 + 5 * 4)
    assert pages(manager) == [11 * 4, 5 * 2]
    assert manager.take_migrations() == [Migration(STATE, KV, 2048)]


def test_state_takes_from_kv(backing: CappedBacking) -> None:
    manager = avmp(backing)
    for sequence in range(17):
        manager.admit(sequence, 1)
    assert pages(manager) == [7 * 4, 9 * 2]
    assert manager.take_migrations() == [Migration(KV, STATE, 1024)]


@pytest.mark.parametrize(("batch", "granules"), [(1, 1), (2, 2), (5, 5), (7, 7), (8, 7), (128, 7)])
def test_a_batch_is_honoured_as_far_as_the_donor_can_spare_it(
    backing: CappedBacking, batch: int, granules: int
) -> None:
    """The admission itself takes one state, so that one of eight granules stays."""
    manager = avmp(backing, batch=batch)
    manager.admit(0, 33 * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, granules * 1024)]
    assert pages(manager) == [(8 + granules) * 4, (8 - granules) * 2]


def test_a_batch_moves_whole_spans(backing: CappedBacking) -> None:
    manager = avmp(backing, batch=3, span=2)
    manager.admit(0, 33 * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, 4 * 1024)]


def test_capacity_moves_both_ways_again_and_again(backing: CappedBacking) -> None:
    manager, directions = avmp(backing, batch=4), []
    for _ in range(20):
        manager.admit(0, 15 * 4 * 4)
        manager.release(0)
        for sequence in range(20):
            manager.admit(sequence, 1)
        manager.check_integrity()
        for sequence in range(20):
            manager.release(sequence)
        directions += [(move.donor, move.recipient) for move in manager.take_migrations()]
    assert directions.count((STATE, KV)) >= 20
    assert directions.count((KV, STATE)) >= 20
    assert backing.most_mapped == 16


def test_the_footprint_never_passes_the_budget_even_within_a_call(
    backing: CappedBacking,
) -> None:
    manager = avmp(backing, batch=128, span=3)
    live: list[int] = []
    for sequence in range(60):
        try:
            manager.admit(sequence, 1 + sequence * 7 % 50)
        except OutOfMemoryError:
            manager.release(live.pop(0))
        else:
            live.append(sequence)
        assert manager.usage().footprint_bytes <= 16 * 1024
    assert backing.counters().unmaps > 0
    assert 0 < backing.most_mapped <= 16


def handles(manager: AvmpManager, sequences: Iterable[int]) -> list[int]:
    return [h for s in sequences for group in ("kv", "ssm") for h in manager.block_table(s, group)]


def places(manager: AvmpManager, sequences: Iterable[int]) -> list[tuple[int, int]]:
    """(pool, page) of everything that some sequences hold."""
    page = manager._table.page  # noqa: SLF001 - no caller needs to know
    return [page(handle) for handle in handles(manager, sequences)]


def test_live_pages_stay_where_they_are_if_enough_spans_are_empty(backing: CappedBacking) -> None:
    manager = avmp(backing, batch=128)
    for sequence in range(5):
        manager.admit(sequence, 9)
    before = places(manager, range(5))
    manager.admit(9, 30 * 4)
    assert len(manager.take_migrations()) == 1
    assert places(manager, range(5)) == before
    assert backing.counters().copies == 0
    manager.check_integrity()


def scattered_states(
    backing: HostBacking, *, keep: int, relocation: Relocation = Relocation.OFF
) -> AvmpManager:
    """Sixteen states in eight granules, then one of two in each of `keep` granules stays."""
    manager = avmp(backing, relocation=relocation)
    for sequence in range(16):
        manager.admit(sequence, 1)
    for sequence in range(16):
        if sequence % 2 or sequence >= 2 * keep:
            manager.release(sequence)
    return manager


@pytest.mark.parametrize(
    ("relocation", "asked", "most"),
    [(Relocation.OFF, 43, 26 + 2 * 4), (Relocation.ON, 47, 26 + 5 * 4)],
)
def test_a_failing_call_moves_nothing(
    backing: CappedBacking, relocation: Relocation, asked: int, most: int
) -> None:
    manager = scattered_states(backing, keep=6, relocation=relocation)
    before, mapped, where = manager.usage(), backing.counters(), places(manager, [0, 2, 4])
    with pytest.raises(OutOfMemoryError) as caught:
        manager.extend(0, asked * 4)
    assert (caught.value.asked, caught.value.free, caught.value.largest) == (asked, 26, most)
    assert not caught.value.migration_blocked or relocation is Relocation.OFF
    assert manager.usage() == before
    assert places(manager, [0, 2, 4]) == where
    assert backing.counters() == mapped
    assert manager.take_migrations() == []


def test_scattered_free_bytes_are_reported_as_blocked(backing: CappedBacking) -> None:
    """Of 10 free states 2 x 2 are whole granules; 10 would be worth 5 granules, 20 pages."""
    manager = scattered_states(backing, keep=6)
    for asked, blocked in ((26 + 8 + 1, True), (26 + 20, True), (26 + 21, False)):
        with pytest.raises(OutOfMemoryError) as caught:
            manager.extend(0, asked * 4)
        assert caught.value.migration_blocked is blocked
    manager.extend(0, (26 + 8) * 4)


def test_scattered_pages_are_copied_together_and_keep_their_handles(
    backing: CappedBacking,
) -> None:
    """17 KV pages more are worth 5 granules: 2 are empty, 3 others have a live state each."""
    manager = scattered_states(backing, keep=6, relocation=Relocation.ON)
    sequences = range(0, 12, 2)
    names, where = handles(manager, sequences), places(manager, sequences)
    manager.extend(0, 43 * 4)
    manager.check_integrity()
    assert pages(manager) == [13 * 4, 3 * 2]
    assert manager.take_migrations() == [Migration(STATE, KV, 5 * 1024)]
    assert backing.counters().copied_bytes == 3 * 512
    assert set(names) <= set(handles(manager, sequences))
    now = dict(zip(handles(manager, sequences), places(manager, sequences), strict=True))
    moved = [(a, now[name]) for name, a in zip(names, where, strict=True) if now[name] != a]
    assert [(a[0], b[0]) for a, b in moved] == [(STATE, STATE)] * 3
    assert len(set(now.values())) == len(now)


def test_sequences_come_and_go_after_a_relocation(backing: CappedBacking) -> None:
    manager = scattered_states(backing, keep=6, relocation=Relocation.ON)
    manager.extend(0, 43 * 4)
    for sequence in range(0, 12, 2):
        stale = handles(manager, [sequence])
        manager.release(sequence)
        manager.check_integrity()
        for handle in stale:
            with pytest.raises(StaleHandleError):
                manager._table.page(handle)  # noqa: SLF001 - no caller needs to know
    for sequence in range(6):
        manager.admit(sequence, 4)
    manager.check_integrity()
    assert len(set(places(manager, range(6)))) == 12


def test_a_donor_without_free_bytes_is_not_blocked(backing: CappedBacking) -> None:
    manager = avmp(backing)
    for sequence in range(15):
        manager.admit(sequence, 1)
    with pytest.raises(OutOfMemoryError) as caught:
        manager.extend(0, 22 * 4)
    assert not caught.value.migration_blocked


def test_what_the_same_call_needs_of_the_donor_is_not_given_away(backing: CappedBacking) -> None:
    manager = avmp(backing)
    longest = manager.max_sequence_tokens
    assert longest == 15 * 4 * 4
    manager.admit(0, longest)
    assert pages(manager) == [15 * 4, 2]
    with pytest.raises(OutOfMemoryError) as caught:
        manager.extend(0, 1)
    assert not caught.value.migration_blocked


def test_both_pools_short_is_out_of_memory(backing: CappedBacking) -> None:
    manager = avmp(backing)
    for sequence in range(16):
        manager.admit(sequence, 8)
    with pytest.raises(OutOfMemoryError, match="pool kv: 1 asked, 0 free, 0 at most"):
        manager.admit(16, 1)


def test_what_fills_no_span_waits_in_reserve(host_backing: MakeBacking) -> None:
    manager = avmp(host_backing(17), span=4)
    usage = manager.usage()
    assert pages(manager) == [2 * 16, 2 * 8]
    assert (usage.footprint_bytes, usage.reserve_bytes) == (16 * 1024, 0)
    assert usage.external_waste_bytes == 1024


def test_the_reserve_serves_before_the_donor() -> None:
    """Six granules for KV in spans of two; five for states of three each leave two over."""
    spec = CacheSpec(
        (CacheGroup("kv", CacheKind.ATTENTION, 1, 64), CacheGroup("ssm", CacheKind.STATE, 1, 3072)),
        4,
    )
    backing = HostBacking(11 * 1024, 1024)
    manager = AvmpManager(spec, backing, AvmpOptions(span=2, batch=1))
    assert pages(manager) == [3 * 8, 1]
    assert manager.usage().reserve_bytes == 2 * 1024
    manager.admit(0, 30 * 4)
    assert pages(manager) == [4 * 8, 1]
    assert manager.take_migrations() == []
    assert manager.usage().reserve_bytes == 0
