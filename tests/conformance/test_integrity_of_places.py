"""Corrupts one private thing after another in what knows where pages lie."""
# ruff: noqa: SLF001 - the point is to write where no caller may

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.backing import HostBacking
from allocator.lowest_free import CHAPTER_UNITS, LowestFree
from allocator.managers.granule import GranuleManager, GranuleOptions
from allocator.next_free import NextFree
from allocator.places import Holdings
from allocator.span_holdings import SpanHoldings
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    Damage = dict[str, Callable[[Any], object]]


def _take_for_sorted(row: Any) -> None:  # noqa: ANN401 - private structures have no public type
    row._lists[0].sort()
    row._sorted = 0


# Of three chapters the first has two units, the second has all but one, and nobody took the third.
FREE_DAMAGE: Damage = {
    "a unit is free twice": lambda row: row._lists[0].append(3),
    "a unit is in another chapter": lambda row: row._lists[0].append(CHAPTER_UNITS),
    "a chapter is passed over": lambda row: setattr(row, "_listed", 0b101),
    "a chapter that is not there is marked": lambda row: setattr(row, "_listed", 0b1111),
    "a chapter is missing": lambda row: row._lists.pop(),
    "the row is longer than its chapters": lambda row: setattr(row, "num_units", 9999),
    "a list is taken for sorted": _take_for_sorted,
    "nothing was taken there": lambda row: setattr(row, "_top", 1),
}


@pytest.mark.parametrize("damage", FREE_DAMAGE.values(), ids=FREE_DAMAGE.keys())
def test_damaged_free_units_are_noticed(damage: Callable[[Any], object]) -> None:
    row = LowestFree(2 * CHAPTER_UNITS + 10)
    row.take(CHAPTER_UNITS + 1)
    row.give((), [3, 7])
    row.check_integrity()
    damage(row)
    with pytest.raises(AssertionError):
        row.check_integrity()


@pytest.mark.parametrize("cursor", [-1, 11])
def test_a_cursor_outside_the_row_is_noticed(cursor: int) -> None:
    row: Any = NextFree(10)
    row.take(3)
    row.check_integrity()
    row._cursor = cursor
    with pytest.raises(AssertionError, match="the cursor is outside the row"):
        row.check_integrity()


# Units 0 to 3 of two pages are those of seat 1, where they have moved; 4 and 5 are free.
HOLDINGS_DAMAGE: Damage = {
    "a unit is lost": lambda held: held._singles[1].pop(),
    "a unit is held twice": lambda held: held._singles[1].append(1),
    "a held unit is free": lambda held: held._row.give((), [0]),
    "a seat is half gone": lambda held: held._singles.pop(1),
    "a part is empty": lambda held: held._parts[1].append((0, [])),
    "a unit has moved back": lambda held: held._unit_of.pop(4),
    "a unit goes by another name": lambda held: held._name_at.pop(0),
}


@pytest.mark.parametrize("damage", HOLDINGS_DAMAGE.values(), ids=HOLDINGS_DAMAGE.keys())
def test_damaged_holdings_are_noticed(damage: Callable[[Any], object]) -> None:
    held = Holdings(2, 12)
    held.admit(0, 4)
    held.admit(1, 6)
    held.grow([1])
    held.release(0)
    assert held.vacate(8) == [(8, 0), (9, 1), (10, 2), (11, 3)]
    assert held.pages() == {1: set(range(8))}
    held.check_integrity()
    damage(held)
    with pytest.raises(AssertionError):
        held.check_integrity()


# Seat 0 has span 2 and two pages of span 1, seat 1 the other two and, since, one of span 0.
SPANS_DAMAGE: Damage = {
    "a page is lost": lambda held: held._singles[1].pop(),
    "a page is held twice": lambda held: held._parts[0].insert(0, (1, [1])),
    "a held page is free": lambda held: held.lists.give(1, [2]),
    "a seat is half gone": lambda held: held._singles.pop(1),
    "single pages are others": lambda held: held._singles.__setitem__(1, [3]),
    "a span is listed elsewhere": lambda held: held.lists._by_free[3].append(2),
}


@pytest.mark.parametrize("damage", SPANS_DAMAGE.values(), ids=SPANS_DAMAGE.keys())
def test_damaged_holdings_of_spans_are_noticed(damage: Callable[[Any], object]) -> None:
    held = SpanHoldings(4, 4)
    held.lists.add(3)
    held.admit(0, 6)
    held.admit(1, 2)
    held.grow([1])
    assert held.pages() == {0: {2: 4, 1: 2}, 1: {1: 2, 0: 1}}
    held.check_integrity()
    damage(held)
    with pytest.raises(AssertionError):
        held.check_integrity()


def _exchange_seats(held: Any) -> None:  # noqa: ANN401 - as above
    for kept in (held._parts, held._singles):
        kept[0], kept[1] = kept[1], kept[0]


def _exchange_spans(held: Any) -> None:  # noqa: ANN401 - as above
    """Two empty ones, in the order in which they are taken from."""
    last, first = held.lists.remove_empty(2)
    held.lists._absent.clear()
    held.lists.give(2, [last, first])


# Two sequences with three blocks and one; two spans of two KV pages are empty.
COUNTED_DAMAGE: Damage = {
    "a span came to a pool": lambda register: register._pools[0].add_spans(1),
    "pages are miscounted": lambda register: register._num_pages.__setitem__(0, 2),
    "two seats are exchanged": lambda register: _exchange_seats(register._holdings[0]),
    "two spans are exchanged": lambda register: _exchange_spans(register._holdings[0]),
}


@pytest.mark.parametrize("damage", COUNTED_DAMAGE.values(), ids=COUNTED_DAMAGE.keys())
def test_spans_that_are_counted_wrongly_are_noticed(damage: Callable[[Any], object]) -> None:
    groups = (CacheGroup("kv", CacheKind.ATTENTION, 2, 64), CacheGroup("s", CacheKind.STATE, 1, 32))
    memory, options = HostBacking(8 * 1024, 1024), GranuleOptions(2, 2)
    manager = GranuleManager(CacheSpec(groups, 4), memory, options)
    manager.admit(0, 12)
    manager.admit(1, 4)
    manager.prepare(0)
    manager._register.check_integrity()
    damage(manager._register)
    with pytest.raises(AssertionError):
        manager._register.check_integrity()
