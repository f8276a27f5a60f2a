"""16 granules of 1 KiB, half for each pool: a granule is 4 KV pages of 4 tokens, or 2 states."""

from __future__ import annotations

from dataclasses import replace

import pytest

from allocator.backing import HostBacking
from allocator.interface import Migration, OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.row_pool import Placement
from allocator.spec import CacheGroup, CacheKind, CacheSpec

KV, STATE = 0, 1
SPEC = CacheSpec(
    (CacheGroup("kv", CacheKind.ATTENTION, 1, 64), CacheGroup("ssm", CacheKind.STATE, 1, 512)), 4
)
PLAIN = AvmpOptions(batch=1, unit=1)


class CappedBacking(HostBacking):
    """Remembers the most granules that were ever mapped, even within a call."""

    most_mapped = 0

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        super().map(slab, first_granule, num_granules)
        self.most_mapped = max(self.most_mapped, self.num_granules - self.num_free_granules)


@pytest.fixture
def backing() -> CappedBacking:
    return CappedBacking(16 * 1024, 1024)


def avmp(backing: HostBacking, options: AvmpOptions = PLAIN) -> AvmpManager:
    return AvmpManager(SPEC, backing, options)


def pages(manager: AvmpManager) -> list[int]:
    return [pool.num_pages for pool in manager.usage().pools]


def test_the_split_starts_as_asked(backing: CappedBacking) -> None:
    manager = avmp(backing)
    assert pages(manager) == [8 * 4, 8 * 2]
    assert (backing.counters().maps, manager.take_migrations()) == (16, [])


@pytest.mark.parametrize(
    ("granules", "unit", "expected"),
    [
        (16, 3, [7 * 4, 9 * 2]),  # 5 units, 1 granule of base; half of 16 is 2 units of KV
        (17, 4, [9 * 4, 8 * 2]),  # 4 units, 1 granule of base; 9 of KV are 2 units
        (16, 16, [0, 16 * 2]),  # one unit, and half of one is none
        (16, 64, [16 * 4, 0]),  # no unit: all is base
    ],
)
def test_what_fills_no_unit_is_the_base_of_kv(
    granules: int, unit: int, expected: list[int]
) -> None:
    manager = avmp(HostBacking(granules * 1024, 1024), replace(PLAIN, unit=unit))
    assert pages(manager) == expected
    usage = manager.usage()
    assert usage.footprint_bytes == usage.budget_bytes == granules * 1024
    assert usage.reserve_bytes == usage.external_waste_bytes == 0
    manager.check_integrity()


@pytest.mark.parametrize(
    ("granules", "unit"),
    [(1, 1), (256, 1), (257, 2), (16_384 - 256, 63), (16_384, 64), (16_385, 64), (70_000, 64)],
)
def test_a_unit_is_a_256th_of_the_budget_up_to_64_granules(granules: int, unit: int) -> None:
    assert AvmpOptions().unit_granules(granules) == unit
    assert AvmpOptions(unit=5).unit_granules(granules) == 5


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


def test_a_unit_is_unmapped_and_mapped_in_one_call_each(backing: CappedBacking) -> None:
    manager = avmp(backing, replace(PLAIN, unit=2))
    before = backing.counters()
    manager.admit(0, 37 * 4)  # 32 pages are there; two units more hold 48
    after = backing.counters()
    assert (after.maps - before.maps, after.unmaps - before.unmaps) == (1, 1)
    assert after.mapped_granules - before.mapped_granules == 2
    assert manager.take_migrations() == [Migration(STATE, KV, 2048)]


@pytest.mark.parametrize(("batch", "granules"), [(1, 1), (2, 2), (5, 5), (7, 7), (8, 7), (128, 7)])
def test_a_batch_is_honoured_as_far_as_the_donor_can_spare_it(
    backing: CappedBacking, batch: int, granules: int
) -> None:
    """The admission itself takes one state, so that one of eight granules stays."""
    manager = avmp(backing, replace(PLAIN, batch=batch))
    manager.admit(0, 33 * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, granules * 1024)]
    assert pages(manager) == [(8 + granules) * 4, (8 - granules) * 2]


@pytest.mark.parametrize(("batch", "units"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_a_batch_moves_whole_units(backing: CappedBacking, batch: int, units: int) -> None:
    manager = avmp(backing, replace(PLAIN, batch=batch, unit=2))
    manager.admit(0, 33 * 4)
    assert manager.take_migrations() == [Migration(STATE, KV, units * 2048)]


def test_capacity_moves_both_ways_again_and_again(backing: CappedBacking) -> None:
    manager, directions = avmp(backing, replace(PLAIN, batch=4)), []
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


@pytest.mark.parametrize("unit", [1, 2, 3, 5])
@pytest.mark.parametrize("placement", Placement)
def test_the_footprint_is_the_budget_and_never_more_even_within_a_call(
    backing: CappedBacking, unit: int, placement: Placement
) -> None:
    manager = avmp(backing, replace(PLAIN, batch=128, unit=unit, placement=placement))
    live: list[int] = []
    for sequence in range(60):
        manager.prepare(1 + sequence * 11 % 50)
        assert backing.num_free_granules == 0
        try:
            manager.admit(sequence, 1 + sequence * 7 % 50)
        except OutOfMemoryError:
            manager.release(live.pop(0))
        else:
            live.append(sequence)
        assert manager.usage().footprint_bytes == 16 * 1024
    assert backing.counters().unmaps > 0
    assert backing.most_mapped == 16


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


def test_a_granule_mapped_nowhere_is_noticed(backing: CappedBacking) -> None:
    manager = avmp(backing)
    pool = manager._pools[KV]  # noqa: SLF001 - damage
    left = pool.pages_of(pool.num_units - 1)
    pool.lose(1, manager._register.resize(KV, left))  # noqa: SLF001 - as above
    with pytest.raises(AssertionError, match="a granule is mapped nowhere"):
        manager.check_integrity()
