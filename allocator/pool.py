"""Equal pages with a free list inside a slab, gained and lost in spans of whole granules."""

from __future__ import annotations

import heapq
from enum import Enum
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.run import append_run, pages_of_runs, runs_of_mask
from allocator.span import SpanGeometry
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
        self.num_pages = 0
        self.num_free = 0
        self._backing = backing
        self.slab = backing.reserve(slab_granules * backing.granule_bytes)
        num_spans = slab_granules // geometry.granules_per_span if geometry.is_movable else 0
        self._absent = list(range(num_spans))  # a heap: the lowest absent span is added first
        self._free = [0] * num_spans  # bit i: page i of the span is free
        self._position = [0] * num_spans  # of a span within its list
        self._by_free: list[list[int]] = [[] for _ in range(geometry.pages_per_span + 1)]
        self.placement = Placement.PACK
        self._occupied = 0  # bit i: some span has i free pages; full ones stand in no list

    @classmethod
    def fixed(cls, name: str, page_bytes: int, backing: Backing, num_granules: int) -> Pool:
        """A pool that holds all pages of so many granules for good, end to end.

        Nothing is lost to rounding but the tail of the slab.
        """
        pool = cls(name, SpanGeometry.fixed(page_bytes), backing, num_granules)
        if num_granules:
            backing.map(pool.slab, 0, num_granules)
        pool._lay_out(num_granules * backing.granule_bytes // page_bytes)
        return pool

    @property
    def num_live(self) -> int:
        """Pages taken and not given back."""
        return self.num_pages - self.num_free

    @property
    def max_pages(self) -> int:
        """Pages that the slab could hold if it were all mapped."""
        return max(self.num_pages, len(self._free) * self.geometry.pages_per_span)

    @property
    def num_spans(self) -> int:
        """Spans that are mapped."""
        return len(self._free) - len(self._absent)

    @property
    def num_empty_spans(self) -> int:
        """Mapped spans without a live page."""
        return len(self._by_free[-1])

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
            self._list(span, size)
        self.num_pages += count * size
        self.num_free += count * size

    def remove_empty_spans(self, count: int) -> None:
        """Unmap empty spans, those that became empty last first.

        Raises:
            ValueError: If fewer are empty; nothing is unmapped.
        """
        empty = self._by_free[-1]
        if count > len(empty):
            raise ValueError(f"pool {self.name}: {count} spans asked, {len(empty)} are empty")
        granules, size = self.geometry.granules_per_span, self.geometry.pages_per_span
        for _ in range(count):
            span = empty[-1]
            self._unlist(span, size)
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
        self.num_free -= count
        runs: list[Run] = []
        while count:
            num_free = self._next_count()
            span = self._by_free[num_free][-1]
            taken = min(count, num_free)
            self._unlist(span, num_free)
            if taken < num_free:
                self._list(span, num_free - taken)
            for first, length in self._take_lowest(span, num_free, taken):
                append_run(runs, first, length)  # spans side by side make one run
            count -= taken
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
        some = self._occupied & ~(1 << self.geometry.pages_per_span)
        return self._by_free[some.bit_length() - 1][-1] if some else None

    def evacuate(self, span: int) -> list[tuple[int, int]]:
        """Copy the live pages of a span to free pages of other spans in use.

        Returns:
            (page, page it moved to) of each; the span is empty afterwards.

        Raises:
            ValueError: If the others have too few; nothing moves.
        """
        size = self.geometry.pages_per_span
        free = self._free[span]
        live = ((1 << size) - 1) & ~free
        num_live = live.bit_count()
        elsewhere = self.num_free - free.bit_count() - self.num_empty_spans * size
        if num_live > elsewhere:
            raise ValueError(f"pool {self.name}: {num_live} pages of span {span} find no place")
        if num_live < size:
            self._unlist(span, size - num_live)  # so that nothing is taken from it
        self.num_free -= size - num_live
        targets = pages_of_runs(self.take(num_live))
        sources = pages_of_runs(runs_of_mask(live, span * size))
        self._free[span] = (1 << size) - 1
        self._list(span, size)
        self.num_free += size
        moves = list(zip(sources, targets, strict=True))
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
        size, absent = self.geometry.pages_per_span, set(self._absent)
        listed = {span: n for n, spans in enumerate(self._by_free) for span in spans}
        for num_free, spans in enumerate(self._by_free):
            marked = bool(self._occupied >> num_free & 1)
            check(marked == bool(spans), f"pool {self.name}: the mark of {num_free} is off")
            orderly = all(self._position[span] == i for i, span in enumerate(spans))
            check(orderly, f"pool {self.name}: a span stands elsewhere in its list")
        for span, free in enumerate(self._free):
            check(free < 1 << size, f"pool {self.name}: span {span} holds a foreign page")
            check(
                listed.get(span, 0) == free.bit_count(),
                f"pool {self.name}: span {span} is misplaced",
            )
            check(span not in absent or not free, f"pool {self.name}: an absent span has pages")
        num_free = sum(free.bit_count() for free in self._free)
        check(num_free == self.num_free, f"pool {self.name}: free pages miscounted")
        num_listed = sum(map(len, self._by_free))
        check(len(listed) == num_listed, f"pool {self.name}: a span is listed twice")
        if self.geometry.is_movable:
            check(self.num_spans * size == self.num_pages, f"pool {self.name}: pages miscounted")

    def check_live(self, pages: set[int]) -> None:
        """Raise AssertionError unless exactly these pages are taken, all in mapped spans."""
        size = self.geometry.pages_per_span
        free = {p for i, mask in enumerate(self._free) for p in _pages_of(mask, i * size)}
        check(free.isdisjoint(pages), f"pool {self.name}: a live page is free")
        check(len(pages) == self.num_live, f"pool {self.name}: live pages miscounted")
        spans = {page // size for page in pages}
        check(spans.isdisjoint(self._absent), f"pool {self.name}: a live page has no memory")

    def _next_count(self) -> int:
        """Free pages of the span to take from: the fullest, or the emptiest in use."""
        occupied = self._occupied
        if self.placement is Placement.SPREAD:
            in_use = occupied & ~(1 << self.geometry.pages_per_span)
            return (in_use or occupied).bit_length() - 1
        return (occupied & -occupied).bit_length() - 1

    def _take_lowest(self, span: int, num_free: int, count: int) -> list[Run]:
        """Take the lowest free pages of a span, which has `num_free`."""
        size = self.geometry.pages_per_span
        free, first = self._free[span], span * size
        if count == 1:
            lowest = free & -free
            self._free[span] = free ^ lowest
            return [(first + lowest.bit_length() - 1, 1)]
        if num_free == size:  # an empty span: its pages are one run
            self._free[span] = free >> count << count
            return [(first, count)]
        runs = _first_of(runs_of_mask(free, first), count)
        for start, length in runs:
            free ^= ((1 << length) - 1) << start - first
        self._free[span] = free
        return runs

    def _free_part(self, span: int, offset: int, count: int) -> None:
        free = self._free[span]
        num_free = free.bit_count()
        self._free[span] = free | ((1 << count) - 1) << offset
        if num_free:
            self._unlist(span, num_free)
        self._list(span, num_free + count)

    def _lay_out(self, num_pages: int) -> None:
        """Fill spans that only keep the books with so many free pages."""
        size = self.geometry.pages_per_span
        num_spans = ceil_div(num_pages, size)
        self.num_pages = self.num_free = num_pages
        self._free, self._position = [0] * num_spans, [0] * num_spans
        for span in reversed(range(num_spans)):  # the last one listed is the first taken from
            num_free = min(size, num_pages - span * size)
            self._free[span] = (1 << num_free) - 1
            self._list(span, num_free)

    def _list(self, span: int, num_free: int) -> None:
        spans = self._by_free[num_free]
        self._position[span] = len(spans)
        spans.append(span)
        self._occupied |= 1 << num_free

    def _unlist(self, span: int, num_free: int) -> None:
        """Take a span out of its list; the last one takes its position."""
        spans = self._by_free[num_free]
        last = spans.pop()
        if last != span:
            spans[self._position[span]] = last
            self._position[last] = self._position[span]
        if not spans:
            self._occupied ^= 1 << num_free


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
