"""Who holds which pages of each pool, and nothing else: no order within a sequence, no names."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.lowest_free import LowestFree, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.demand import Demand
    from allocator.lowest_free import Part
    from allocator.row_pool import Moves


class Holdings:
    """What sequences hold of one pool, in units of so many pages.

    Every grant, and every length that the pool can have, is a multiple of the unit; so pages of a
    unit are taken together, given back together and moved together.

    Attributes:
        unit: Pages of a unit.
        row: Units that nobody holds.
        parts: By seat, what it was admitted with, a chapter at a time.
        singles: By seat, what it has gained since, and what was moved.
    """

    __slots__ = ("parts", "row", "singles", "unit")

    def __init__(self, unit: int, num_pages: int) -> None:
        self.unit = unit
        self.row = LowestFree(num_pages // unit)
        self.parts: dict[int, list[Part]] = {}
        self.singles: dict[int, list[int]] = {}

    @property
    def end_of_live(self) -> int:
        """The first page from which on all are free."""
        return self.row.end_of_taken * self.unit

    def admit(self, seat: int, pages: int) -> None:
        """Give a new sequence so many pages."""
        self.parts[seat] = self.row.take(pages // self.unit)
        self.singles[seat] = []

    def grow(self, seats: Sequence[int]) -> None:
        """Give seats a unit each, in order."""
        singles = self.singles
        for seat, unit in zip(seats, in_order(self.row.take(len(seats))), strict=True):
            singles[seat].append(unit)

    def release(self, seat: int) -> None:
        """Take all of a sequence back."""
        self.row.give(self.parts.pop(seat), self.singles.pop(seat))

    def resize(self, num_pages: int) -> Moves:
        """Let the pool have so many pages; live ones beyond move as `RowPool.shorten` says."""
        moves = self.row.resize(num_pages // self.unit)
        if moves:
            self._follow(dict(moves))
        size = self.unit
        return [(a * size + i, b * size + i) for a, b in moves for i in range(size)]

    def pages(self) -> dict[int, set[int]]:
        """What each seat holds."""
        size, units = self.unit, {seat: self._units(seat) for seat in self.parts}
        return {
            seat: {unit * size + i for unit in held for i in range(size)}
            for seat, held in units.items()
        }

    def check_integrity(self) -> None:
        """Raise AssertionError unless every unit is free or held, and once."""
        self.row.check_integrity()
        check(self.parts.keys() == self.singles.keys(), "a seat holds half of what it should")
        check(all(part for parts in self.parts.values() for _, part in parts), "a part is empty")
        held = chain.from_iterable(map(self._units, self.parts))
        everything = sorted([*held, *self.row.units()])
        check(everything == list(range(self.row.num_units)), "a unit is lost or held twice")

    def _units(self, seat: int) -> list[int]:
        return [*chain.from_iterable(part for _, part in self.parts[seat]), *self.singles[seat]]

    def _follow(self, moved: dict[int, int]) -> None:
        """Units have moved; whoever holds one holds the other now, as a single one."""
        for seat, parts in self.parts.items():
            singles = [moved.get(unit, unit) for unit in self.singles[seat]]
            for _, part in parts:
                singles += [moved[unit] for unit in part if unit in moved]
            kept = [(chapter, [u for u in part if u not in moved]) for chapter, part in parts]
            self.parts[seat] = [part for part in kept if part[1]]
            self.singles[seat] = singles


class Places:
    """Does what a register does, for places alone, at a fraction of its cost.

    The rules are those of `RowPool`: pages are taken lowest first, and live pages beyond a new end
    go to the lowest free ones. Which page of a sequence is which is not kept, nor any name.
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

    def grow_in_rounds(self, rounds: Sequence[Sequence[int]]) -> None:
        """See `Register.grow_in_rounds`."""
        for pool, units in self._growth:
            if units == [1]:
                pool.grow(list(chain.from_iterable(rounds)))
            else:
                turns = [(seat, each) for seats in rounds for each in units for seat in seats]
                pool.grow([seat for seat, count in turns for _ in range(count)])

    def release(self, seat: int, blocks: int) -> None:
        """See `Register.release`."""
        del blocks
        for pool, _, _ in self._admission:
            pool.release(seat)

    def resize(self, number: int, num_pages: int) -> Moves:
        """See `Register.resize`."""
        return self.pools[number].resize(num_pages)

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
