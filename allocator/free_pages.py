"""Which pages are free: a bit a page in large integers, so that a run costs what a page costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.run import append_run, pages_of_runs, runs_of_mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.run import Run

CHAPTER_PAGES = 512
"""Bits of one integer: operations on 64 bytes cost about what they cost on 8."""

WHOLE_CHAPTER = (1 << CHAPTER_PAGES) - 1


class FreePages:
    """A set of page numbers, from 0 on; pages leave it lowest first.

    Each *chapter* of 512 pages is one integer, and two more integers tell which chapters have any
    and which have all, so every call costs a few integer operations a run, whatever the size of
    the pool.

    Attributes:
        count: Pages in the set.
    """

    __slots__ = ("_chapters", "_lowest", "_some", "_whole", "count")

    def __init__(self, num_pages: int) -> None:
        """An empty set that can hold the pages below `num_pages`."""
        self._chapters = [0] * -(-num_pages // CHAPTER_PAGES)
        self._some = 0  # bit i: chapter i has a page
        self._whole = 0  # bit i: chapter i has all its pages
        self._lowest = 0  # no chapter before this one has any
        self.count = 0

    def add(self, first: int, count: int) -> None:
        """Add a run.

        Raises:
            ValueError: If a page of it is in the set; nothing is added.
        """
        number, offset = divmod(first, CHAPTER_PAGES)
        if offset + count > CHAPTER_PAGES:
            self._add_across(first, count)
            return
        chapter, bits = self._chapters[number], (1 << count) - 1 << offset
        if chapter & bits:
            raise ValueError(f"a page from {first} to {first + count - 1} is free already")
        self._chapters[number] = whole = chapter | bits
        if whole == WHOLE_CHAPTER:
            self._whole |= 1 << number
        if not chapter:
            self._some |= 1 << number
            self._lowest = min(self._lowest, number)
        self.count += count

    def add_all(self, runs: Iterable[Run]) -> None:
        """Add runs, one after the other; see `add`."""
        chapters = self._chapters
        for first, count in runs:
            number, offset = divmod(first, CHAPTER_PAGES)
            chapter, bits = chapters[number], (1 << count) - 1 << offset
            if not chapter or chapter & bits or offset + count > CHAPTER_PAGES:
                self.add(first, count)  # the first of its chapter, across its edge, or an error
                continue
            chapters[number] = whole = chapter | bits
            if whole == WHOLE_CHAPTER:
                self._whole |= 1 << number
            self.count += count

    def pop(self) -> int:
        """Take the lowest page out of a set that has any."""
        number = self._lowest
        chapter = self._chapters[number]
        if not chapter:
            number = self._lowest = (self._some & -self._some).bit_length() - 1
            chapter = self._chapters[number]
        lowest = chapter & -chapter
        rest = self._chapters[number] = chapter ^ lowest
        if chapter == WHOLE_CHAPTER:
            self._whole ^= 1 << number
        if not rest:
            self._some ^= 1 << number
        self.count -= 1
        return number * CHAPTER_PAGES + lowest.bit_length() - 1

    def take(self, count: int, start: int = 0) -> list[Run]:
        """Take pages out of a set that has so many: the lowest from `start` on, then from 0 on."""
        runs: list[Run] = []
        number, offset = divmod(start, CHAPTER_PAGES) if start else (self._lowest, 0)
        if offset and number < len(self._chapters):
            count -= self._take_of(number, offset, count, runs)
            number += 1
        while count:
            if number >= len(self._chapters) or not self._chapters[number]:
                number = self._next_chapter(number)
            count -= self._take_of(number, 0, count, runs)
        return runs

    def remove_from(self, first: int) -> list[Run]:
        """Take every page from `first` on out of the set, as runs in order."""
        runs: list[Run] = []
        for number in range(first // CHAPTER_PAGES, len(self._chapters)):
            if self._some >> number == 0:
                break
            offset = max(0, first - number * CHAPTER_PAGES)
            self._take_of(number, offset, CHAPTER_PAGES, runs)
        return runs

    def run_before(self, end: int) -> int:
        """Pages of the run that ends just before page `end`."""
        number, offset = divmod(end, CHAPTER_PAGES)
        gaps = offset and ~self._chapters[number] & (1 << offset) - 1
        if not gaps:
            broken = ~self._whole & (1 << number) - 1  # chapters before it with a gap
            number = broken.bit_length() - 1
            if number < 0:
                return end
            gaps = WHOLE_CHAPTER ^ self._chapters[number]
        return end - number * CHAPTER_PAGES - gaps.bit_length()

    def runs(self) -> list[Run]:
        """Every page of the set, as runs in order; costs the whole set."""
        runs: list[Run] = []
        for number, chapter in enumerate(self._chapters):
            for first, count in runs_of_mask(chapter, number * CHAPTER_PAGES):
                append_run(runs, first, count)
        return runs

    def check_integrity(self) -> None:
        """Raise AssertionError if the count or the marks of chapters are off."""
        sizes = [chapter.bit_count() for chapter in self._chapters]
        check(all(chapter >> CHAPTER_PAGES == 0 for chapter in self._chapters), "a foreign page")
        check(sum(sizes) == self.count, "free pages are miscounted")
        marks = sum(1 << number for number, size in enumerate(sizes) if size)
        check(not any(sizes[: self._lowest]), "a chapter with pages is passed over")
        check(marks == self._some, "a chapter is marked wrongly")
        whole = sum(1 << number for number, size in enumerate(sizes) if size == CHAPTER_PAGES)
        check(whole == self._whole, "a whole chapter is marked wrongly")

    def _add_across(self, first: int, count: int) -> None:
        """Add a run that crosses the edge of a chapter, whole or not at all."""
        end, page = first + count, first
        while page < end:
            length = min(end - page, CHAPTER_PAGES - page % CHAPTER_PAGES)
            try:
                self.add(page, length)
            except ValueError:
                if page > first:
                    self._drop(first, page - first)
                raise
            page += length

    def _drop(self, first: int, count: int) -> None:
        """Take back what has just been added."""
        for page in pages_of_runs([(first, count)]):
            number, offset = divmod(page, CHAPTER_PAGES)
            if self._chapters[number] == WHOLE_CHAPTER:
                self._whole ^= 1 << number
            self._chapters[number] ^= 1 << offset
            if not self._chapters[number]:
                self._some ^= 1 << number
        self.count -= count

    def _next_chapter(self, number: int) -> int:
        """The first chapter from a number on that has a page; after the last one the first."""
        ahead = self._some >> number
        if ahead:
            return number + (ahead & -ahead).bit_length() - 1
        return (self._some & -self._some).bit_length() - 1

    def _take_of(self, number: int, offset: int, count: int, runs: list[Run]) -> int:
        """Take so many of a chapter's pages from an offset on, or all; returns how many."""
        base, found = number * CHAPTER_PAGES, []
        chapter = self._chapters[number]
        rest = chapter >> offset << offset if offset else chapter
        kept, left = chapter ^ rest, count
        while rest and left:
            lowest = rest & -rest
            start, end = lowest.bit_length() - 1, rest + lowest  # the carry runs to the run's end
            length = (end & -end).bit_length() - 1 - start
            rest &= end
            if length > left:
                rest |= (1 << length - left) - 1 << start + left
                length = left
            found.append((base + start, length))
            left -= length
        rest |= kept
        self._chapters[number] = rest
        if chapter == WHOLE_CHAPTER and left < count:
            self._whole ^= 1 << number
        if chapter and not rest:
            self._some ^= 1 << number
        if runs and found:  # only the first may go on where the last chapter ended
            append_run(runs, *found.pop(0))
        runs += found
        self.count -= count - left
        return count - left
