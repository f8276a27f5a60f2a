"""Who holds which pages of each pool, and nothing else: no order within a sequence, no names."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.lowest_free import LowestFree
from allocator.next_free import NextFree
from allocator.rounds import by_round
from allocator.row_pool import Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.demand import Demand
    from allocator.lowest_free import Part
    from allocator.row_pool import Moves


class Holdings:
    """What sequences hold of one pool, in units of so many pages.

    Every grant, and every length that the pool can have, is a multiple of the unit; so pages of a
    unit are taken together, given back together and moved together. A unit is held by a name,
    which is its number unless units have moved: then who holds a name need not be looked for.

    Attributes:
        unit: Pages of a unit.
    """

    __slots__ = ("_name_at", "_parts", "_row", "_singles", "_unit_of", "unit")

    def __init__(self, unit: int, num_pages: int, placement: Placement = Placement.LOW) -> None:
        self.unit = unit
        row = NextFree if placement is Placement.NEXT else LowestFree
        self._row = row(num_pages // unit)
        self._parts: dict[int, list[Part]] = {}  # by seat, of what it was admitted with
        self._singles: dict[int, list[int]] = {}  # by seat, all else
        self._unit_of: dict[int, int] = {}  # of names, where it is another number
        self._name_at: dict[int, int] = {}  # its inverse

    @property
    def end_of_live(self) -> int:
        """The first page from which on all are free."""
        return self._row.end_of_taken * self.unit

    def admit(self, seat: int, pages: int) -> None:
        """Give a new sequence so many pages."""
        parts, name_at, singles = self._row.take(pages // self.unit), self._name_at, list[int]()
        if name_at:
            own = [part for part in parts if name_at.keys().isdisjoint(part[1])]
            if len(own) < len(parts):  # names of other chapters: each goes back on its own
                lent = [part for part in parts if part not in own]
                parts, singles = own, _through(name_at, _names(lent, []))
        self._parts[seat] = parts
        self._singles[seat] = singles

    def grow(self, seats: Sequence[int]) -> None:
        """Give seats a unit each, in order."""
        singles, units = self._singles, self._row.take_each(len(seats))
        if self._name_at:
            units = _through(self._name_at, units)
        for seat, unit in zip(seats, units, strict=True):
            singles[seat].append(unit)

    def release(self, seat: int) -> None:
        """Take all of a sequence back."""
        parts, singles = self._parts.pop(seat), self._singles.pop(seat)
        if self._unit_of:
            home = [part for part in parts if self._unit_of.keys().isdisjoint(part[1])]
            away = [part for part in parts if part not in home] if len(home) < len(parts) else []
            parts, singles = home, _through(self._unit_of, _names(away, singles))
        self._row.give(parts, singles)
        if not self._parts:
            self._unit_of.clear()
            self._name_at.clear()

    def resize(self, num_pages: int) -> Moves:
        """Let the pool have so many pages; live ones beyond move as `RowPool.shorten` says."""
        return self._follow(self._row.resize(num_pages // self.unit))

    def vacate(self, first: int) -> Moves:
        """Let no page from this one on be live; they move likewise."""
        return self._follow(self._row.vacate(first // self.unit))

    def pages(self) -> dict[int, set[int]]:
        """What each seat holds."""
        size, held = self.unit, {seat: self._units(seat) for seat in self._parts}
        return {
            seat: {unit * size + i for unit in units for i in range(size)}
            for seat, units in held.items()
        }

    def check_integrity(self) -> None:
        """Raise AssertionError unless every unit is free or held, and once."""
        self._row.check_integrity()
        check(self._parts.keys() == self._singles.keys(), "a seat holds half of what it should")
        check(all(part for parts in self._parts.values() for _, part in parts), "a part is empty")
        held = chain.from_iterable(map(self._units, self._parts))
        everything = sorted([*held, *self._row.units()])
        check(everything == list(range(self._row.num_units)), "a unit is lost or held twice")
        inverse = {unit: name for name, unit in self._unit_of.items()}
        check(inverse == self._name_at, "names and units do not match")

    def _units(self, seat: int) -> list[int]:
        return _through(self._unit_of, _names(self._parts[seat], self._singles[seat]))

    def _follow(self, moves: Moves) -> Moves:
        """Let names follow units that moved to free ones; returns the moves of their pages."""
        unit_of, name_at = self._unit_of, self._name_at
        for source, target in moves:
            moved, displaced = name_at.get(source, source), name_at.get(target, target)
            unit_of[moved], unit_of[displaced] = target, source
            name_at[target], name_at[source] = moved, displaced
            for name in (moved, displaced):
                if unit_of[name] == name:
                    del unit_of[name], name_at[name]
        size = self.unit
        return [(a * size + i, b * size + i) for a, b in moves for i in range(size)]


def _names(parts: list[Part], singles: list[int]) -> list[int]:
    return [*chain.from_iterable(part for _, part in parts), *singles]


def _through(table: dict[int, int], numbers: list[int]) -> list[int]:
    """Numbers with those exchanged that a table holds; the same list if it holds none."""
    if table.keys().isdisjoint(numbers):
        return numbers
    return [table.get(number, number) for number in numbers]


class Places:
    """Does what a register does, for places alone, at a fraction of its cost.

    The rules are those of `RowPool`: pages are taken lowest first, or in turn, and live pages
    beyond a new end go to the lowest free ones. Which page of a sequence is which is not kept, nor
    any name.
    """

    def __init__(self, pools: Sequence[Holdings], admission: Demand, growth: Demand) -> None:
        """Nobody holds anything yet; see `unit_of` for the units of pools."""
        self.pools = pools
        self._admission = [(pools[number], each, once) for number, each, once in admission.by_pool]
        self._growth = [
            (pools[number], _units_by_group(growth, number, pools[number].unit))
            for number, _, _ in growth.by_pool
        ]

    def admit(self, seat: int, blocks: int) -> None:
        """See `Register.admit`."""
        for pool, each, once in self._admission:
            pool.admit(seat, each * blocks + once)

    def grow(self, shares: Sequence[tuple[int, int]]) -> None:
        """See `Register.grow`."""
        for pool, units in self._growth:
            turns = [(seat, each * blocks) for each in units for seat, blocks in shares]
            pool.grow([seat for seat, count in turns for _ in range(count)])

    def grow_in_rounds(self, seats: Sequence[int], sizes: Sequence[int]) -> None:
        """See `Register.grow_in_rounds`."""
        for pool, units in self._growth:
            if units == [1]:
                pool.grow(seats)
            else:
                rounds = by_round(seats, sizes)
                turns = [(seat, each) for members in rounds for each in units for seat in members]
                pool.grow([seat for seat, count in turns for _ in range(count)])

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        del blocks
        for pool, _, _ in self._admission:
            pool.release(seat)

    def resize(self, number: int, num_pages: int) -> Moves:
        """See `Register.resize`."""
        return self.pools[number].resize(num_pages)

    def vacate(self, number: int, first: int) -> Moves:
        """See `Register.vacate`."""
        return self.pools[number].vacate(first)

    def check_integrity(self) -> None:
        """Raise AssertionError if a pool's units are not in order."""
        for pool in self.pools:
            pool.check_integrity()


def unit_of(demand: Demand, number: int, *lengths: int) -> int:
    """The largest unit of a pool that has these lengths in turn, for what is taken from it."""
    pages = [each + once for _, pool, each, once in demand.by_group if pool == number]
    return math.gcd(*pages, *lengths)


def _units_by_group(growth: Demand, number: int, unit: int) -> list[int]:
    """Units of a block in each group that draws from a pool."""
    return [each // unit for _, pool, each, _ in growth.by_group if pool == number]
