"""Rows over a mapped prefix. A page of 300 bytes: 3.4 fit a granule of 1 KiB, 6.8 fit two."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from allocator.backing import BackingCounters, HostBacking
from allocator.mapped_pool import Extent, MappedPool
from allocator.row_pool import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.row_pool import Moves

PAGE_BYTES = 300


@pytest.fixture
def backing() -> HostBacking:
    return HostBacking(10 * 1024, 1024)


def mapped(
    backing: HostBacking,
    units: int,
    extent: Extent | None = None,
    placement: Placement = Placement.LOW,
) -> MappedPool:
    """One granule for good, then units of two; room for four of them unless told."""
    pool = MappedPool("test", PAGE_BYTES, backing, extent or Extent(1, 2, 4), placement)
    pool.gain(units)
    return pool


def lose(pool: MappedPool, units: int) -> Moves:
    """Let the row leave units, and unmap them."""
    moves = pool.resize(pool.pages_of(pool.num_units - units))
    pool.lose(units, moves)
    return moves


def units_free_at_end(pool: MappedPool) -> int:
    return pool.num_units - pool.units_of(pool.end_of_live)


def all_but(pool: MappedPool, pages: Iterable[int]) -> None:
    pool.take(pool.num_free)
    pool.give([(page, 1) for page in pages])


def test_granules_of_an_extent() -> None:
    assert [Extent(3, 4, 5).granules(units) for units in (0, 1, 5)] == [3, 7, 23]


def test_the_base_is_mapped_at_once(backing: HostBacking) -> None:
    pool = mapped(backing, 0)
    assert (pool.num_units, pool.num_pages, pool.max_pages) == (0, 3, 9 * 1024 // 300)
    assert backing.counters() == BackingCounters(maps=1, mapped_granules=1)
    pool.check_integrity()


def test_a_pool_without_a_base_starts_with_nothing(backing: HostBacking) -> None:
    pool = mapped(backing, 0, Extent(0, 2, 4))
    assert (pool.num_pages, pool.pages_of(1)) == (0, 6)
    assert backing.counters() == BackingCounters()


def test_pages_lie_across_granules(backing: HostBacking) -> None:
    """3, 5 and 7 granules of 1,024 bytes hold 10.2, 17.1 and 23.9 pages of 300."""
    pool = mapped(backing, 0)
    assert [pool.pages_of(units) for units in range(4)] == [3, 10, 17, 23]
    for units, pages in ((1, 10), (2, 17), (3, 23)):
        pool.gain(1)
        assert (pool.num_units, pool.num_pages) == (units, pages)
    assert pool.take(23) == [(0, 23)]
    pool.check_integrity()


@pytest.mark.parametrize(
    ("pages", "units"), [(0, 0), (3, 0), (4, 1), (10, 1), (11, 2), (17, 2), (18, 3), (23, 3)]
)
def test_units_that_pages_need_beyond_the_base(
    backing: HostBacking, pages: int, units: int
) -> None:
    assert mapped(backing, 0).units_of(pages) == units


def test_a_unit_is_one_mapping(backing: HostBacking) -> None:
    pool = mapped(backing, 3)
    assert backing.counters() == BackingCounters(maps=4, mapped_granules=7)
    assert lose(pool, 2) == []
    assert backing.counters() == BackingCounters(4, 2, 7, 4)
    assert (pool.num_units, pool.num_pages) == (1, 10)
    pool.gain(1)
    assert backing.counters() == BackingCounters(5, 2, 9, 4)
    pool.check_integrity()


@pytest.mark.parametrize(("extent", "units"), [(Extent(1, 2, 4), 5), (Extent(1, 2, 9), 5)])
def test_gaining_beyond_slab_or_budget_maps_nothing(
    backing: HostBacking, extent: Extent, units: int
) -> None:
    """Four units and the base are 9 of 10 granules."""
    pool = mapped(backing, 0, extent)
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="pool test: no room for 5 more units"):
        pool.gain(units)
    assert pickle.dumps(pool) == before
    pool.gain(4)
    assert backing.num_free_granules == 1


def test_lost_units_give_their_granules_to_others(backing: HostBacking) -> None:
    one, other = mapped(backing, 4), mapped(backing, 0, Extent(0, 2, 4))
    with pytest.raises(ValueError, match="no room"):
        other.gain(1)
    lose(one, 3)
    other.gain(3)
    assert backing.num_free_granules == 1
    assert (one.num_pages, other.num_pages) == (10, 20)


def test_live_pages_in_what_goes_are_copied_down(backing: HostBacking) -> None:
    """Two units less leave 10 pages whole; page 10 lies in the 3,072 bytes for 72 bytes only."""
    pool = mapped(backing, 3)
    all_but(pool, set(range(23)) - {0, 1, 4, 10, 17, 22})
    assert lose(pool, 2) == [(10, 2), (17, 3), (22, 5)]
    done = backing.counters()
    assert (done.copies, done.copied_bytes, done.unmaps) == (1, 3 * 300, 2)
    pool.check_live({0, 1, 2, 3, 4, 5})
    pool.check_integrity()


class Copies(HostBacking):
    """Remembers where each copied page lay and where it went."""

    pairs: tuple[tuple[int, int], ...] = ()

    def copy_pages(self, slab: int, page_bytes: int, pairs: Iterable[tuple[int, int]]) -> None:
        self.pairs += tuple(pairs)
        super().copy_pages(slab, page_bytes, list(pairs))


def test_pages_are_copied_where_they_lie_end_to_end_while_both_are_mapped() -> None:
    """`HostBacking` refuses to copy what is not mapped."""
    backing = Copies(10 * 1024, 1024)
    pool = mapped(backing, 1)
    all_but(pool, range(9))
    lose(pool, 1)
    assert backing.pairs == ((9 * 300, 0),)


@pytest.mark.parametrize(
    ("kept", "units"), [(2, 3), (3, 3), (4, 2), (10, 2), (11, 1), (17, 1), (18, 0), (99, 0)]
)
def test_units_are_spared_beside_kept_pages(backing: HostBacking, kept: int, units: int) -> None:
    """3 pages fill the base, 10 the first unit as well and 17 the second."""
    assert mapped(backing, 3).sparable_units(kept) == units


@pytest.mark.parametrize(
    ("live", "free", "sparable"),
    [
        ([], 3, 3),
        ([2], 3, 3),
        ([3], 2, 3),  # reaches into the first unit
        ([9], 2, 3),
        ([10], 1, 3),  # 72 bytes of it lie in the first, the rest in the second
        ([16], 1, 3),
        ([22], 0, 3),
        ([0, 1, 2, 22], 0, 2),
    ],
)
def test_what_is_free_at_the_end_goes_without_a_copy(
    backing: HostBacking, live: list[int], free: int, sparable: int
) -> None:
    pool = mapped(backing, 3)
    all_but(pool, set(range(23)) - set(live))
    assert (units_free_at_end(pool), pool.sparable_units(len(live))) == (free, sparable)
    assert lose(pool, free) == []
    assert backing.counters().copies == 0
    pool.check_live(set(live))
    pool.check_integrity()


@pytest.mark.parametrize("units", [3, 4])
def test_no_unit_goes_that_live_pages_need(backing: HostBacking, units: int) -> None:
    pool = mapped(backing, 3)
    all_but(pool, range(4, 23))
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="pages asked, 19 can go"):
        lose(pool, units)
    assert pickle.dumps(pool) == before
    assert lose(pool, 2) == []


def test_the_base_stays(backing: HostBacking) -> None:
    pool = mapped(backing, 1)
    lose(pool, 1)
    with pytest.raises(ValueError, match="fewer can go"):
        pool.lose(1, [])
    assert (pool.num_pages, backing.num_free_granules) == (3, 9)


def test_pages_taken_in_turn_stand_at_the_end_where_low_ones_do_not() -> None:
    """Three pages go, and three come again."""
    free_at_end = {}
    for placement in Placement:
        pool = mapped(HostBacking(10 * 1024, 1024), 3, placement=placement)
        pool.take(18)
        pool.give([(0, 18)])
        pool.take(3)
        free_at_end[placement] = units_free_at_end(pool)
    assert free_at_end == {Placement.LOW: 3, Placement.NEXT: 0}
