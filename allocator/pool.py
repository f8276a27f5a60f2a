"""Equal pages with a free list inside a slab, gained and lost in spans of whole granules."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.spec import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing

MAX_SPAN_WASTE_PERCENT = 1
"""Part of a span that rounding up to granules may leave without a page."""


@dataclass(frozen=True, slots=True)
class SpanGeometry:
    """How pages lie in granules.

    A *span* is a run of pages mapped and unmapped together: the smallest run that fills whole
    granules well. No page crosses the edge of a span, so a span without live pages can go.

    Attributes:
        page_bytes: Bytes of one page.
        pages_per_span: Pages that fit a span; 0 if the span is too small for one.
        granules_per_span: Granules of a span.
    """

    page_bytes: int
    pages_per_span: int
    granules_per_span: int

    @classmethod
    def fixed(cls, page_bytes: int, num_granules: int, granule_bytes: int) -> SpanGeometry:
        """One span of all granules, for a pool whose capacity never moves."""
        return cls(page_bytes, num_granules * granule_bytes // page_bytes, num_granules)

    @classmethod
    def movable(cls, page_bytes: int, granule_bytes: int, min_granules: int = 1) -> SpanGeometry:
        """The smallest span of at least `min_granules` that wastes at most 1 % on rounding."""
        granules = max(min_granules, ceil_div(page_bytes, granule_bytes))
        while True:
            pages, waste_bytes = divmod(granules * granule_bytes, page_bytes)
            if waste_bytes * 100 <= MAX_SPAN_WASTE_PERCENT * granules * granule_bytes:
                return cls(page_bytes, pages, granules)
            granules += 1


class Pool:
    """Pages of one size, numbered from 0 at the start of the slab.

    Pages are taken from the lowest span already in use, else from the lowest empty one, and empty
    spans are removed from the high end: live pages gather at the low end, so that spans become
    empty and capacity can move. No call costs more than the pages or spans it names, but for
    keeping the two lists of spans in order.
    """

    def __init__(self, name: str, geometry: SpanGeometry, backing: Backing, max_spans: int) -> None:
        self.name = name
        self.geometry = geometry
        self._backing = backing
        span_bytes = geometry.granules_per_span * backing.granule_bytes
        self.slab = backing.reserve(max_spans * span_bytes)
        self._absent = list(range(max_spans))  # a heap: the lowest absent span is added first
        self._free: list[list[int]] = [[] for _ in range(max_spans)]
        self._empty: list[int] = []  # in order; without a live page
        self._partial: list[int] = []  # in order; with live pages and free ones
        self.num_pages = 0
        self.num_free = 0

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
        return len(self._empty)

    def add_spans(self, count: int) -> None:
        """Map the lowest absent spans; their pages become free.

        Raises:
            ValueError: If fewer are absent, or the budget has too few granules; nothing is mapped.
        """
        granules = self.geometry.granules_per_span
        if count > len(self._absent) or count * granules > self._backing.num_free_granules:
            raise ValueError(f"pool {self.name}: no room for {count} more spans")
        for _ in range(count):
            span = heapq.heappop(self._absent)
            self._backing.map(self.slab, span * granules, granules)
            first, num_pages = self._first_page(span), self.geometry.pages_per_span
            self._free[span] = list(range(first + num_pages - 1, first - 1, -1))
            insort(self._empty, span)
            self.num_pages += num_pages
            self.num_free += num_pages

    def remove_empty_spans(self, count: int) -> None:
        """Unmap empty spans, those at the high end first.

        Raises:
            ValueError: If fewer are empty; nothing is unmapped.
        """
        if count > len(self._empty):
            raise ValueError(f"pool {self.name}: {count} spans asked, {len(self._empty)} are empty")
        for _ in range(count):
            span = self._empty.pop()
            granules = self.geometry.granules_per_span
            self._backing.unmap(self.slab, span * granules, granules)
            self._free[span] = []
            heapq.heappush(self._absent, span)
        self.num_pages -= count * self.geometry.pages_per_span
        self.num_free -= count * self.geometry.pages_per_span

    def take(self, count: int) -> list[int]:
        """Take free pages.

        Raises:
            ValueError: If fewer are free; nothing is taken.
        """
        if count > self.num_free:
            raise ValueError(f"pool {self.name}: {count} pages asked, {self.num_free} are free")
        self.num_free -= count
        taken: list[int] = []
        while count:
            span = self._partial[0] if self._partial else self._empty[0]
            free = self._free[span]
            run = free[: -count - 1 : -1]
            del free[-len(run) :]
            taken += run
            count -= len(run)
            num_before = len(free) + len(run)
            if not free or num_before == self.geometry.pages_per_span:
                self._relist(span, num_before)
        return taken

    def give(self, pages: Sequence[int]) -> None:
        """Give live pages back; the page table has seen to it that they are live."""
        per_span = self.geometry.pages_per_span
        for page in pages:
            span = page // per_span
            free = self._free[span]
            free.append(page)
            if len(free) in (1, per_span):
                self._relist(span, num_before=len(free) - 1)
        self.num_free += len(pages)

    def check_integrity(self) -> None:
        """Raise AssertionError if a page is lost or doubled, or a span is in the wrong list."""
        per_span = self.geometry.pages_per_span
        absent = set(self._absent)
        for span, free in enumerate(self._free):
            first = self._first_page(span)
            own = len(set(free)) == len(free) and all(0 <= p - first < per_span for p in free)
            check(own, f"pool {self.name}: span {span} holds a doubled or foreign page")
            check(span not in absent or not free, f"pool {self.name}: an absent span has pages")
        num_free = {s: len(free) for s, free in enumerate(self._free) if s not in absent}
        empty = [span for span, count in num_free.items() if count == per_span]
        partial = [span for span, count in num_free.items() if 0 < count < per_span]
        check(empty == self._empty, f"pool {self.name}: the list of empty spans is off")
        check(partial == self._partial, f"pool {self.name}: the list of partial spans is off")
        check(sum(num_free.values()) == self.num_free, f"pool {self.name}: free miscounted")
        check(self.num_spans * per_span == self.num_pages, f"pool {self.name}: pages miscounted")

    def check_live(self, pages: set[int]) -> None:
        """Raise AssertionError unless exactly these pages are taken, all in mapped spans."""
        free = {page for span in self._free for page in span}
        check(free.isdisjoint(pages), f"pool {self.name}: a live page is free")
        check(len(pages) == self.num_live, f"pool {self.name}: live pages miscounted")
        spans = {page // self.geometry.pages_per_span for page in pages}
        check(spans.isdisjoint(self._absent), f"pool {self.name}: a live page has no memory")

    def _first_page(self, span: int) -> int:
        return span * self.geometry.pages_per_span

    def _relist(self, span: int, num_before: int) -> None:
        """Keep the lists of empty and partial spans after the free pages of a span changed."""
        old, new = self._list_for(num_before), self._list_for(len(self._free[span]))
        if old is new:
            return
        if old is not None:
            del old[bisect_left(old, span)]
        if new is not None:
            insort(new, span)

    def _list_for(self, num_free: int) -> list[int] | None:
        if num_free == 0:
            return None  # full spans need no list
        return self._empty if num_free == self.geometry.pages_per_span else self._partial
