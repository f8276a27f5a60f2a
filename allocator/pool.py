"""Equal pages with a free list inside a slab, gained and lost in spans of whole granules."""

from __future__ import annotations

import heapq
from enum import Enum
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.run import append_run, pages_of_runs, runs_of_mask
from allocator.span import SpanGeometry
from allocator.span_lists import SpanLists
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.backing import Backing
    from allocator.run import Run


class Placement(Enum):
    """Which span in use gives the next page."""

    PACK = "pack"
    SPREAD = "spread"


class Pool:
    """Pages of one size, numbered from 0 at the start of the slab.

    The free pages of a span are the bits of one integer, and spans with equally many free pages
    stand in one list, so every call costs array or integer operations on the spans it touches,
    whatever the size of the pool. Pages are taken from the fullest span that has any: live pages
    gather, and spans become empty, so that capacity can move.
    """

    def __init__(
        self, name: str, geometry: SpanGeometry, backing: Backing, slab_granules: int
    ) -> None:
        """Reserve a slab of so many granules; no page is there until spans are added."""
        self.name = name
        self.geometry = geometry
        self.max_pages = geometry.pages_in(slab_granules, backing.granule_bytes)
        self.num_pages = 0
        self.num_free = 0
        self._backing = backing
        self.slab = backing.reserve(slab_granules * backing.granule_bytes)
        num_spans = ceil_div(self.max_pages, geometry.pages_per_span)
        self._absent = list(range(num_spans))  # a heap: the lowest absent span is added first
        self._free = [0] * num_spans  # bit i: page i of the span is free
        self._lists = SpanLists(num_spans, geometry.pages_per_span)
        self.placement = Placement.PACK

    @classmethod
    def fixed(cls, name: str, page_bytes: int, backing: Backing, num_granules: int) -> Pool:
        """A pool that holds all pages of so many granules for good, end to end.

        Nothing is lost to rounding but the tail of the slab.
        """
        pool = cls(name, SpanGeometry.fixed(page_bytes), backing, num_granules)
        if num_granules:
            backing.map(pool.slab, 0, num_granules)
        pool.lay_out(pool.max_pages)
        return pool

    def lay_out(self, num_pages: int) -> None:
        """Make so many pages of a fixed pool free, the lowest; no other is ever given out."""
        size = self.geometry.pages_per_span
        num_spans = ceil_div(num_pages, size)
        self.max_pages = self.num_pages = self.num_free = num_pages
        self._absent, self._free = [], [0] * num_spans
        self._lists = SpanLists(num_spans, size)
        for span in reversed(range(num_spans)):  # the last one listed is the first taken from
            num_free = min(size, num_pages - span * size)
            self._free[span] = (1 << num_free) - 1
            self._lists.add(span, num_free)

    @property
    def num_live(self) -> int:
        """Pages taken and not given back."""
        return self.num_pages - self.num_free

    @property
    def num_spans(self) -> int:
        """Spans that are mapped."""
        return len(self._free) - len(self._absent)

    @property
    def num_empty_spans(self) -> int:
        """Mapped spans without a live page."""
        return self._lists.num_empty

    def add_spans(self, count: int) -> None:
        """Map the lowest absent spans; their pages become free.

        Raises:
            ValueError: If fewer are absent, or the budget has too few granules; nothing is mapped.
        """
        granules, size = self.geometry.granules_per_span, self.geometry.pages_per_span
        if count > len(self._absent) or count * granules > self._backing.num_free_granules:
            raise ValueError(f"pool {self.name}: no room for {count} more spans")
        for _ in range(count):
            span = heapq.heappop(self._absent)
            self._backing.map(self.slab, span * granules, granules)
            self._free[span] = (1 << size) - 1
            self._lists.add(span, size)
        self.num_pages += count * size
        self.num_free += count * size

    def remove_empty_spans(self, count: int) -> None:
        """Unmap empty spans, those that became empty last first.

        Raises:
            ValueError: If fewer are empty, or the pool is fixed; nothing is unmapped.
        """
        can_go = self.num_empty_spans if self.geometry.is_movable else 0
        if count > can_go:
            raise ValueError(f"pool {self.name}: {count} spans asked, {can_go} can go")
        granules, size = self.geometry.granules_per_span, self.geometry.pages_per_span
        for _ in range(count):
            span = self._lists.pop(size)
            self._backing.unmap(self.slab, span * granules, granules)
            self._free[span] = 0
            heapq.heappush(self._absent, span)
        self.num_pages -= count * size
        self.num_free -= count * size

    def take(self, count: int) -> list[Run]:
        """Take free pages, as runs.

        Raises:
            ValueError: If fewer are free; nothing is taken.
        """
        if count > self.num_free:
            raise ValueError(f"pool {self.name}: {count} pages asked, {self.num_free} are free")
        if not count:
            return []
        self.num_free -= count
        lists, spread = self._lists, self.placement is Placement.SPREAD
        num_free = lists.most_free() if spread else lists.least_free()
        runs = self._take_part(num_free, count)
        count -= num_free
        while count > 0:
            num_free = lists.most_free() if spread else lists.least_free()
            for first, length in self._take_part(num_free, count):
                append_run(runs, first, length)  # spans side by side make one run
            count -= num_free
        return runs

    def give(self, runs: Iterable[Run]) -> None:
        """Give live pages back; the page table has seen to it that they are live."""
        size = self.geometry.pages_per_span
        for start, count in runs:
            page, end = start, start + count
            while page < end:
                span = page // size
                first = span * size
                part = min(end - page, first + size - page)
                self._free_part(span, page - first, part)
                page += part
            self.num_free += count

    def emptiest_span(self) -> int | None:
        """The span in use with the most free pages; None if no span in use has any."""
        return self._lists.emptiest_in_use()

    def evacuate(self, span: int) -> list[tuple[int, int]]:
        """Copy the live pages of a span to free pages of other spans in use.

        Returns:
            (page, page it moved to) of each; the span is empty afterwards.

        Raises:
            ValueError: If the others have too few; nothing moves.
        """
        size = self.geometry.pages_per_span
        live = ((1 << size) - 1) & ~self._free[span]
        num_live = live.bit_count()
        if not num_live:
            return []
        elsewhere = self.num_free - (size - num_live) - self.num_empty_spans * size
        if num_live > elsewhere or (num_live == size and span in self._absent):
            raise ValueError(f"pool {self.name}: {num_live} pages of span {span} find no place")
        targets = self._take_elsewhere(span, num_live)
        moves = list(zip(_pages_of(live, span * size), targets, strict=True))
        offsets = [(self.offset_bytes(a), self.offset_bytes(b)) for a, b in moves]
        self._backing.copy_pages(self.slab, self.geometry.page_bytes, offsets)
        return moves

    def offset_bytes(self, page: int) -> int:
        """Where a page starts in the slab."""
        span, index = divmod(page, self.geometry.pages_per_span)
        if not self.geometry.is_movable:
            return page * self.geometry.page_bytes
        span_bytes = self.geometry.granules_per_span * self._backing.granule_bytes
        return span * span_bytes + index * self.geometry.page_bytes

    def check_integrity(self) -> None:
        """Raise AssertionError if a page is lost or doubled, or a span is in the wrong list."""
        name, size, num_spans = self.name, self.geometry.pages_per_span, len(self._free)
        try:
            self._lists.check_integrity([free.bit_count() for free in self._free])
        except AssertionError as problem:
            raise AssertionError(f"pool {name}: {problem}") from None
        room = [min(size, self.max_pages - span * size) for span in range(num_spans)]
        own = all(free >> pages == 0 for free, pages in zip(self._free, room, strict=True))
        check(own, f"pool {name}: a span holds a foreign page")
        num_free = sum(free.bit_count() for free in self._free)
        check(num_free == self.num_free, f"pool {name}: free pages are miscounted")
        self._check_absent()
        num_pages = self.max_pages - len(self._absent) * size
        check(num_pages == self.num_pages, f"pool {name}: pages are miscounted")

    def check_live(self, pages: set[int]) -> None:
        """Raise AssertionError unless exactly these pages are taken, all in mapped spans."""
        size = self.geometry.pages_per_span
        free = {p for i, mask in enumerate(self._free) for p in _pages_of(mask, i * size)}
        check(free.isdisjoint(pages), f"pool {self.name}: a live page is free")
        check(len(pages) == self.num_live, f"pool {self.name}: live pages miscounted")
        spans = {page // size for page in pages}
        check(spans.isdisjoint(self._absent), f"pool {self.name}: a live page has no memory")

    def _check_absent(self) -> None:
        absent, name = self._absent, self.name
        known = set(absent) <= set(range(len(self._free)))
        check(known, f"pool {name}: a span is absent that never was")
        check(len(set(absent)) == len(absent), f"pool {name}: a span is absent twice")
        check(not any(self._free[span] for span in absent), f"pool {name}: an absent span is free")
        is_heap = all(absent[(i - 1) // 2] < absent[i] for i in range(1, len(absent)))
        check(is_heap, f"pool {name}: absent spans are out of order")

    def _take_elsewhere(self, span: int, num_live: int) -> list[int]:
        """Free the live pages of a span, and take as many of others."""
        size = self.geometry.pages_per_span
        if num_live < size:
            self._lists.remove(span, size - num_live)  # so that nothing is taken from it
        taken = self.take(num_live)
        self._free[span] = (1 << size) - 1
        self._lists.add(span, size)
        self.num_free += num_live
        return pages_of_runs(taken)

    def _take_part(self, num_free: int, count: int) -> list[Run]:
        """Take the lowest pages of a span with so many free, all of them if that is too few."""
        span = self._lists.pop(num_free, num_free - count)
        return self._take_lowest(span, num_free, count)

    def _take_lowest(self, span: int, num_free: int, count: int) -> list[Run]:
        """Take the lowest pages of a span that has so many free; its list is seen to."""
        free, first = self._free[span], span * self.geometry.pages_per_span
        if count >= num_free:
            self._free[span] = 0
            return list(runs_of_mask(free, first))
        if count == 1:
            lowest = free & -free
            self._free[span] = free ^ lowest
            return [(first + lowest.bit_length() - 1, 1)]
        runs = _first_of(runs_of_mask(free, first), count)
        last, length = runs[-1]
        end = last + length - first
        self._free[span] = free >> end << end
        return runs

    def _free_part(self, span: int, offset: int, count: int) -> None:
        free = self._free[span]
        num_free = free.bit_count()
        self._free[span] = free | ((1 << count) - 1) << offset
        if num_free:
            self._lists.remove(span, num_free)
        self._lists.add(span, num_free + count)


def _pages_of(mask: int, first: int) -> list[int]:
    return pages_of_runs(runs_of_mask(mask, first))


def _first_of(runs: Iterable[Run], count: int) -> list[Run]:
    """Runs of the first pages of some runs."""
    first: list[Run] = []
    for start, length in runs:
        first.append((start, min(length, count)))
        count -= length
        if count <= 0:
            break
    return first
