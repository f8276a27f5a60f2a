"""Free units of a row, of which the lowest leave first: sorted lists, chapter by chapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHAPTER_BITS = 9
CHAPTER_UNITS = 1 << CHAPTER_BITS
"""Units of a chapter: few enough to be sorted at once, enough for most of what a prompt takes."""

Part = tuple[int, list[int]]
"""A chapter, and units of it in any order."""


class LowestFree:
    """A set of numbers below the length of the row, all in it at first.

    Units that are given back join the list of their chapter as they come; a list is sorted when it
    is the next to give. So whole lists change hands, whatever the gaps between units: what is taken
    together is given back together, a chapter at a time.

    Attributes:
        num_units: Length of the row.
    """

    __slots__ = ("_listed", "_lists", "_sorted", "_top", "num_units")

    def __init__(self, num_units: int) -> None:
        self.num_units = num_units
        starts = range(0, num_units, CHAPTER_UNITS)
        self._lists: list[Sequence[int]] = [  # ranges only where nothing was ever taken
            range(start, min(start + CHAPTER_UNITS, num_units)) for start in starts
        ]
        self._listed = (1 << len(self._lists)) - 1  # bit i: chapter i has any
        self._sorted = -1  # the chapter whose list is sorted, the lowest unit last
        self._top = 0  # from this chapter on all units are in the set

    def take(self, count: int) -> list[Part]:
        """Take the lowest units, so many of them, out of a set that has them.

        Returns:
            Chapters in order, with units in any order; the caller's own lists.
        """
        parts: list[Part] = []
        while count:
            chapter = self._first()
            units = self._lists[chapter]
            if len(units) > count:
                units = self._first_list(chapter)
                parts.append((chapter, units[-count:]))
                del units[-count:]
                break
            parts.append((chapter, units if isinstance(units, list) else list(units)))
            self._lists[chapter] = []
            self._listed ^= 1 << chapter
            count -= len(units)
        if parts and parts[-1][0] >= self._top:
            self._top = parts[-1][0] + 1
        return parts

    def take_each(self, count: int) -> list[int]:
        """Take the lowest units, so many of them; returns them in order.

        They are few and most often of one chapter, which has more.
        """
        chapter = self._first() if count else 0
        if not count or len(self._lists[chapter]) <= count:
            return [unit for _, units in LowestFree.take(self, count) for unit in sorted(units)]
        units = self._first_list(chapter)
        taken = units[: -count - 1 : -1]
        del units[-count:]
        if chapter >= self._top:
            self._top = chapter + 1
        return taken

    def give(self, parts: Iterable[Part], units: Iterable[int] = ()) -> None:
        """Put back what was taken, parts that are not empty or one by one; the set keeps them."""
        lists = self._lists
        for chapter, part in parts:
            there = lists[chapter]
            if there:
                there += part  # type: ignore[operator] # a chapter that lacks units has a list
            else:
                lists[chapter] = part
                self._listed |= 1 << chapter
        for unit in units:
            chapter = unit >> CHAPTER_BITS
            there = lists[chapter]
            if there:
                there.append(unit)  # type: ignore[attr-defined] # as above
            else:
                lists[chapter] = [unit]
                self._listed |= 1 << chapter
        self._sorted = -1

    def vacate(self, first: int) -> list[tuple[int, int]]:
        """Let nothing be taken from a unit on: it moves to the lowest units left before that one.

        Returns:
            (unit, unit it moved to), in order.
        """
        beyond: list[int] = []
        for number in range(first >> CHAPTER_BITS, self._top):
            units = self._units_of(number)
            if len(self._lists[number]) < len(units):
                own = range(max(first, units.start), units.stop)
                beyond += sorted(set(own).difference(self._lists[number]))
        targets = LowestFree.take_each(self, len(beyond))
        self.give((), beyond)
        self._top = min(self._top, -(-first // CHAPTER_UNITS))
        return list(zip(beyond, targets, strict=True))

    def resize(self, num_units: int) -> list[tuple[int, int]]:
        """Let the row have another length; the units beyond are vacated, and returned like that."""
        moves = self.vacate(num_units) if num_units < self.num_units else []
        before, self.num_units = self.num_units, num_units
        if num_units < before:
            self._cut()
        else:
            self._add(before)
        self._listed = self._marks()
        self._sorted = -1
        return moves

    @property
    def end_of_taken(self) -> int:
        """The first unit from which on all are in the set."""
        while self._top:
            units, listed = self._units_of(self._top - 1), self._lists[self._top - 1]
            if len(listed) < len(units):
                return 1 + max(set(units).difference(listed))
            self._top -= 1
        return 0

    def units(self) -> list[int]:
        """Every unit of the set, in order; costs the whole set."""
        return sorted(unit for units in self._lists for unit in units)

    def check_integrity(self) -> None:
        """Raise AssertionError if a unit is in it twice, or a list is not what it is taken for."""
        for number, units in enumerate(self._lists):
            own = set(self._units_of(number))
            check(len(set(units)) == len(units), "a unit is free twice")
            check(own.issuperset(units), "a unit is listed in another chapter")
        check(len(self._lists) == -(-self.num_units // CHAPTER_UNITS), "a chapter is missing")
        check(self._listed == self._marks(), "a chapter is marked wrongly")
        above = range(self._top, len(self._lists))
        is_free = all(len(self._lists[n]) == len(self._units_of(n)) for n in above)
        check(is_free, "a unit was taken beyond the last chapter with any")
        if self._sorted >= 0:
            units = self._lists[self._sorted]
            check(list(units) == sorted(units, reverse=True), "a list is not sorted")

    def _marks(self) -> int:
        """Of which chapters any unit is in the set."""
        return sum(1 << number for number, units in enumerate(self._lists) if units)

    def _first(self) -> int:
        """The first chapter that has any; there must be one."""
        return (self._listed & -self._listed).bit_length() - 1

    def _first_list(self, chapter: int) -> list[int]:
        """The list of the chapter that gives next, sorted."""
        if chapter != self._sorted:
            self._lists[chapter] = sorted(self._lists[chapter], reverse=True)
            self._sorted = chapter
        return self._lists[chapter]  # type: ignore[return-value] # `sorted` makes lists

    def _units_of(self, number: int) -> range:
        """Units of a chapter, free or not."""
        start = number << CHAPTER_BITS
        return range(start, min(start + CHAPTER_UNITS, self.num_units))

    def _cut(self) -> None:
        """Forget the units beyond the end."""
        first, end = self.num_units >> CHAPTER_BITS, self.num_units
        kept = [unit for units in self._lists[first : first + 1] for unit in units if unit < end]
        self._lists[first:] = [kept] if end & CHAPTER_UNITS - 1 else []

    def _add(self, before: int) -> None:
        """Add the units from an end to the present one."""
        if before & CHAPTER_UNITS - 1:
            units = self._units_of(len(self._lists) - 1)
            self._lists[-1] = [*self._lists[-1], *range(before, units.stop)]
        while len(self._lists) << CHAPTER_BITS < self.num_units:
            self._lists.append(self._units_of(len(self._lists)))
