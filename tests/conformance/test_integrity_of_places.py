"""Corrupts one private thing after another in what knows where pages lie."""
# ruff: noqa: SLF001 - the point is to write where no caller may

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from allocator.lowest_free import CHAPTER_UNITS, LowestFree
from allocator.next_free import NextFree
from allocator.places import Holdings

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
