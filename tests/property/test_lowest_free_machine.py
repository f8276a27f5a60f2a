"""Free units over any sequence of calls, lowest first or in turn, beside a plain set of numbers."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allocator.lowest_free import CHAPTER_UNITS, LowestFree, Part
from allocator.next_free import NextFree

if TYPE_CHECKING:
    from collections.abc import Callable

EDGES = [0, CHAPTER_UNITS, 2 * CHAPTER_UNITS]
LENGTHS = st.builds(lambda edge, by: max(0, edge + by), st.sampled_from(EDGES), st.integers(-3, 40))


class LowestFreeMachine(RuleBasedStateMachine):
    """The model: the length of the row, what was taken, as it was taken, and what comes next."""

    @initialize(num_units=LENGTHS, rotates=st.booleans())
    def lay_out(self, num_units: int, *, rotates: bool) -> None:
        self.row = NextFree(num_units) if rotates else LowestFree(num_units)
        self.num_units = num_units
        self.rotates, self.cursor = rotates, 0
        self.grants: list[tuple[list[Part], list[int]]] = []

    def taken(self) -> set[int]:
        parts = {unit for parts, _ in self.grants for _, part in parts for unit in part}
        return parts | {unit for _, units in self.grants for unit in units}

    def free(self) -> list[int]:
        return sorted(set(range(self.num_units)) - self.taken())

    @rule(part=st.floats(0, 1), most=st.sampled_from([3, 40, 9999]), one_by_one=st.booleans())
    def take(self, part: float, most: int, *, one_by_one: bool) -> None:
        free = sorted(self.free(), key=lambda unit: (unit < self.cursor, unit))
        count = min(most, int(part * len(free)))
        parts = [] if one_by_one else self.row.take(count)
        units = self.row.take_each(count) if one_by_one else []
        assert one_by_one or {unit for _, part in parts for unit in part} == set(free[:count])
        assert not one_by_one or units == free[:count]
        if count and self.rotates:
            self.cursor = free[count - 1] + 1
        self.grants.append((parts, units))

    @precondition(lambda self: self.grants)
    @rule(choice=st.integers(0, 99))
    def give(self, choice: int) -> None:
        parts, units = self.grants.pop(choice % len(self.grants))
        self.row.give(parts, units)

    @rule(num_units=LENGTHS)
    def resize(self, num_units: int) -> None:
        if self.fits_before(num_units):
            self.move_before(num_units, self.row.resize)
            self.num_units = num_units

    @rule(first=LENGTHS)
    def vacate(self, first: int) -> None:
        if first <= self.num_units and self.fits_before(first):
            self.move_before(first, self.row.vacate)

    def fits_before(self, end: int) -> bool:
        return len(self.taken()) <= min(end, self.num_units)

    def move_before(self, end: int, call: Callable[[int], list[tuple[int, int]]]) -> None:
        beyond = sorted(unit for unit in self.taken() if unit >= end)
        room = [unit for unit in self.free() if unit < end]
        moves = call(end)
        self.cursor = min(self.cursor, end)
        assert moves == list(zip(beyond, room, strict=False))
        moved = dict(moves)
        units = [[*chain(*(part for _, part in parts)), *single] for parts, single in self.grants]
        self.grants = [([], [moved.get(unit, unit) for unit in held]) for held in units]

    @invariant()
    def is_the_set(self) -> None:
        assert self.row.units() == self.free()
        assert self.row.end_of_taken == max(self.taken(), default=-1) + 1

    @invariant()
    def is_sound(self) -> None:
        self.row.check_integrity()


TestLowestFreeMachine = LowestFreeMachine.TestCase
