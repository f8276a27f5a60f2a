"""Rows of pages: fixed ones, and ones that grow and shrink at the end."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from allocator.backing import Place
from allocator.row_pool import Placement, RowPool
from allocator.slab import fixed_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.backing import HostBacking

    MakeBacking = Callable[[int], HostBacking]


def row(num_pages: int, placement: Placement = Placement.LOW) -> RowPool:
    pool = RowPool("test", 64, 20, placement)
    pool.lengthen(num_pages)
    return pool


def all_but(pool: RowPool, *pages: int) -> None:
    """Take everything, then give these pages back."""
    pool.take(pool.num_free)
    pool.give([(page, 1) for page in pages])


@pytest.mark.parametrize(
    ("page_bytes", "num_granules", "num_pages"),
    [(3000, 10, 3), (3000, 2, 0), (16, 1, 64), (16, 2, 128), (16, 3, 192), (15, 2, 136), (1, 0, 0)],
)
def test_a_fixed_pool_holds_all_pages_end_to_end(
    host_backing: MakeBacking, page_bytes: int, num_granules: int, num_pages: int
) -> None:
    backing = host_backing(10)
    pool = fixed_pool("test", page_bytes, backing, num_granules)
    assert (pool.num_pages, pool.num_free, pool.num_live) == (num_pages, num_pages, 0)
    assert backing.num_free_granules == 10 - num_granules
    assert backing.counters().maps == (num_granules > 0)
    assert pool.take(num_pages) == ([(0, num_pages)] if num_pages else [])
    pool.check_integrity()


def test_a_fixed_pool_may_keep_pages_for_itself(host_backing: MakeBacking) -> None:
    pool = fixed_pool("test", 256, host_backing(10), 3, num_pages=11)
    assert (pool.num_pages, pool.max_pages) == (11, 11)
    with pytest.raises(ValueError, match="no room for 1 more pages"):
        pool.lengthen(1)
    pool.check_integrity()


def test_pages_of_a_row_lie_end_to_end_in_its_slab(host_backing: MakeBacking) -> None:
    backing = host_backing(10)
    fixed_pool("first", 16, backing, 1)
    pool = fixed_pool("test", 48, backing, 2)
    assert [pool.place(page) for page in (0, 1, 5)] == [
        Place(pool.slab, first, 48) for first in (0, 48, 240)
    ]


def test_the_lowest_free_pages_are_taken_first() -> None:
    pool = row(10)
    assert pool.take(4) == [(0, 4)]
    pool.give([(1, 1), (3, 1)])
    assert pool.take(1) == [(1, 1)]
    assert pool.take(3) == [(3, 3)]
    assert (pool.num_pages, pool.num_free, pool.num_live) == (10, 4, 6)


def test_taken_in_turn_pages_go_on_where_the_last_take_ended() -> None:
    pool = row(10, Placement.NEXT)
    assert pool.take(4) == [(0, 4)]
    pool.give([(1, 1), (3, 1)])
    assert pool.take(1) == [(4, 1)]
    assert pool.take(3) == [(5, 3)]
    pool.give([(5, 2)])
    assert pool.take(4) == [(8, 2), (1, 1), (3, 1)]
    assert pool.take(2) == [(5, 2)]
    pool.check_live(set(range(10)))


@pytest.mark.parametrize("placement", Placement)
def test_taking_more_than_is_free_takes_nothing(placement: Placement) -> None:
    pool = row(10, placement)
    pool.take(8)
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="pool test: 3 pages asked, 2 are free"):
        pool.take(3)
    assert pickle.dumps(pool) == before
    assert pool.take(0) == []
    assert pool.take(2) == [(8, 2)]


def test_a_row_grows_at_its_end_as_far_as_it_may() -> None:
    pool = row(10)
    pool.take(10)
    pool.lengthen(4)
    assert (pool.num_pages, pool.num_free) == (14, 4)
    assert pool.take(4) == [(10, 4)]
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="no room for 7 more pages"):
        pool.lengthen(7)
    pool.lengthen(0)
    assert pickle.dumps(pool) == before
    pool.lengthen(6)
    assert pool.num_pages == 20


@pytest.mark.parametrize("placement", Placement)
def test_live_pages_at_the_end_move_to_the_lowest_free_ones(placement: Placement) -> None:
    pool = row(10, placement)
    all_but(pool, 1, 2, 5, 8)
    assert pool.shorten(4) == [(6, 1), (7, 2), (9, 5)]
    assert (pool.num_pages, pool.num_free) == (6, 0)
    pool.check_live({0, 1, 2, 3, 4, 5})
    pool.check_integrity()


def test_free_pages_at_the_end_go_without_a_move() -> None:
    pool = row(10)
    all_but(pool, 3, 7, 8, 9)
    assert pool.num_free_at_end == 3
    assert pool.shorten(3) == []
    assert (pool.num_pages, pool.num_free_at_end) == (7, 0)
    assert pool.shorten(0) == []
    assert pool.shorten(1) == [(6, 3)]
    pool.check_integrity()


@pytest.mark.parametrize("count", [-1, 5, 11])
def test_no_more_pages_go_than_are_free(count: int) -> None:
    pool = row(10)
    all_but(pool, 1, 2, 5, 8)
    before = pickle.dumps(pool)
    with pytest.raises(ValueError, match="4 can go"):
        pool.shorten(count)
    assert pickle.dumps(pool) == before


def test_pages_that_went_come_back_free() -> None:
    pool = row(10)
    pool.take(3)
    pool.shorten(7)
    pool.lengthen(2)
    assert pool.take(2) == [(3, 2)]
    pool.check_integrity()


def test_a_turn_that_lay_beyond_the_end_goes_on_from_the_end() -> None:
    """After page 9 the next free one would be 3; what grows at the end comes before it."""
    pool = row(10, Placement.NEXT)
    pool.take(10)
    pool.give([(3, 1), (7, 3)])
    pool.shorten(3)
    pool.lengthen(2)
    assert pool.take(3) == [(7, 2), (3, 1)]
