"""What a journal knows without a look, and that capacity moves in its order."""

import pytest

from allocator.demand import Demand
from allocator.handle import HandleLayout
from allocator.page_table import PageTable
from allocator.placed_register import PlacedRegister
from allocator.places import Holdings, Places
from allocator.reach import LowReach
from allocator.register import PlainRegister
from allocator.row_pool import RowPool

PAGES = Demand(by_pool=((0, 1, 0),), by_group=((0, 0, 1, 0),))  # one a block, no state


@pytest.fixture
def pool() -> RowPool:
    pool = RowPool("kv", 64, 30)
    pool.lengthen(20)
    return pool


@pytest.fixture
def register(pool: RowPool) -> PlacedRegister:
    table = PageTable(HandleLayout.for_table(1, 30), [30])
    places = Places([Holdings(1, 20)], PAGES, PAGES)
    return PlacedRegister(PlainRegister([pool], table, PAGES, PAGES), places, LowReach(PAGES))


def test_a_peak_is_forgotten_once_all_who_saw_it_have_gone(register: PlacedRegister) -> None:
    ends = []
    for blocks in (15, 3, 2):
        register.admit(0, blocks)
        ends.append(register.end_at_most(0))
        register.release(0, blocks)
    assert ends == [15, 15, 3]


def test_who_stays_keeps_the_peak(register: PlacedRegister) -> None:
    register.admit(0, 1)
    register.admit(1, 14)
    register.admit(2, 1)  # has page 15, and stays
    register.release(1, 14)
    for _ in range(3):
        register.admit(1, 1)
        register.release(1, 1)
    assert register.end_at_most(0) == 16
    assert register.end_of_live(0) == 16
    assert register.end_at_most(0) == 16


def test_capacity_goes_after_those_who_needed_it(pool: RowPool, register: PlacedRegister) -> None:
    """When it leaves, nobody has looked at the calls that reached so far."""
    for blocks in (15, 3):
        register.admit(0, blocks)
        register.release(0, blocks)
    register.admit(0, 2)
    assert register.resize(0, 5) == []
    register.grow([(0, 3)])
    assert (pool.num_pages, pool.num_live) == (20, 0)
    register.settle()
    assert (pool.num_pages, pool.num_live) == (5, 5)
    register.resize(0, 12)
    register.grow_in_rounds([0, 0], [1, 1])
    assert register.entries(0) == [[(0, 7)]]
    register.check_integrity()


def test_pages_in_the_way_move_before_anybody_has_a_name(
    pool: RowPool, register: PlacedRegister
) -> None:
    register.admit(0, 4)
    register.admit(1, 6)
    register.release(0, 4)
    assert register.resize(0, 7) == [(7, 0), (8, 1), (9, 2)]
    register.grow([(1, 1)])
    assert pool.num_live == 0
    assert register.entries(1) == [[(4, 6), (3, 1)]]  # names stay, whatever moved
    register.check_integrity()
