"""Free units of a row that leave it in turn: the search goes on where the last one ended."""

from __future__ import annotations

from bisect import bisect_right
from operator import neg
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.lowest_free import CHAPTER_BITS, LowestFree

if TYPE_CHECKING:
    from allocator.lowest_free import Part


class NextFree(LowestFree):
    """Units leave from a *cursor* on; at the end of the row it starts again.

    What has to move still goes to the lowest units, as in a `RowPool` that rotates.
    """

    __slots__ = ("_cursor",)

    def __init__(self, num_units: int) -> None:
        super().__init__(num_units)
        self._cursor = 0

    def take(self, count: int) -> list[Part]:
        """Take the next units, so many of them, out of a set that has them.

        Returns:
            As `LowestFree.take`, chapters in the order in which the cursor comes by, and in each
            the highest unit first.
        """
        parts: list[Part] = []
        while count:
            chapter = self._chapter_ahead()
            part = self._take_ahead(chapter, count)
            if part:
                parts.append((chapter, part))
                self._cursor = part[0] + 1
                count -= len(part)
            else:  # all that is left of this chapter lies behind
                self._cursor = chapter + 1 << CHAPTER_BITS
        return parts

    def take_each(self, count: int) -> list[int]:
        """See `LowestFree.take_each`, in the order in which the cursor comes by."""
        return [unit for _, units in self.take(count) for unit in reversed(units)]

    def vacate(self, first: int) -> list[tuple[int, int]]:
        """See `LowestFree.vacate`; the cursor does not stay beyond that unit."""
        self._cursor = min(self._cursor, first)
        return super().vacate(first)

    def check_integrity(self) -> None:
        """See `LowestFree.check_integrity`."""
        super().check_integrity()
        check(0 <= self._cursor <= self.num_units, "the cursor is outside the row")

    def _chapter_ahead(self) -> int:
        """The first chapter from the cursor on that has any, where the cursor stands from now."""
        chapter = self._cursor >> CHAPTER_BITS
        ahead = self._listed >> chapter
        if ahead & 1:
            return chapter
        marks = ahead << chapter or self._listed
        chapter = (marks & -marks).bit_length() - 1
        self._cursor = chapter << CHAPTER_BITS
        return chapter

    def _take_ahead(self, chapter: int, most: int) -> list[int]:
        """Take up to so many units of a chapter from the cursor on; the highest comes first."""
        units = self._first_list(chapter)
        end = bisect_right(units, -self._cursor, key=neg)
        start = max(0, end - most)
        part = units[start:end]
        del units[start:end]
        if not units:
            self._listed ^= 1 << chapter
        self._top = max(self._top, chapter + 1)
        return part
