"""Pages in spans of whole granules, each mapped and unmapped by itself."""

from __future__ import annotations

import heapq
from functools import lru_cache
from typing import TYPE_CHECKING

from allocator.backing import Place
from allocator.integrity import check
from allocator.pool import Pool
from allocator.run import append_run, pages_of_runs, runs_of_mask
from allocator.span_lists import SpanLists

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.backing import Backing
    from allocator.run import Run
    from allocator.span import SpanGeometry


class SpanPool(Pool):
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
        self.page_bytes = geometry.page_bytes
        self.geometry = geometry
        self.num_pages = 0
        self._num_free = 0
        self._backing = backing
        self.slab = backing.reserve(slab_granules * backing.granule_bytes)
        num_spans = slab_granules // geometry.granules_per_span
        self._absent = list(range(num_spans))  # a heap: the lowest absent span is added first
        self._free = [0] * num_spans  # bit i: page i of the span is free
        self._lists = SpanLists(num_spans, geometry.pages_per_span)

    @property
    def num_free(self) -> int:
        """See `Pool.num_free`."""
        return self._num_free

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
        if not count:
            return
        if count > len(self._absent) or count * granules > self._backing.num_free_granules:
            raise ValueError(f"pool {self.name}: no room for {count} more spans")
        for _ in range(count):
            span = heapq.heappop(self._absent)
            self._backing.map(self.slab, span * granules, granules)
            self._free[span] = (1 << size) - 1
            self._lists.add(span, size)
        self.num_pages += count * size
        self._num_free += count * size

    def remove_empty_spans(self, count: int) -> None:
        """Unmap empty spans, those that became empty last first.

        Raises:
            ValueError: If fewer are empty; nothing is unmapped.
        """
        if not count:
            return
        if count > self.num_empty_spans:
            raise ValueError(f"pool {self.name}: {count} spans asked, fewer are empty")
        granules, size = self.geometry.granules_per_span, self.geometry.pages_per_span
        for _ in range(count):
            span = self._lists.pop(size)
            self._backing.unmap(self.slab, span * granules, granules)
            self._free[span] = 0
            heapq.heappush(self._absent, span)
        self.num_pages -= count * size
        self._num_free -= count * size

    def take(self, count: int) -> list[Run]:
        """See `Pool.take`: from the fullest spans that have any."""
        if count > self.num_free:
            raise ValueError(f"pool {self.name}: {count} pages asked, {self.num_free} are free")
        self._num_free -= count
        runs: list[Run] = []
        size, free, lists = self.geometry.pages_per_span, self._free, self._lists
        while count > 0:
            if count >= size == lists.least_free():
                count -= self._take_empty(count // size, runs)
                continue
            span, num_free = lists.pop_fullest(count)
            free[span], offsets = lowest_of(free[span], min(count, num_free))
            start = span * size
            for offset, length in offsets:
                append_run(runs, start + offset, length)  # spans side by side make one run
            count -= num_free
        return runs

    def give(self, runs: Iterable[Run]) -> None:
        """See `Pool.give`."""
        size, free, move = self.geometry.pages_per_span, self._free, self._lists.move
        for start, count in runs:
            page, left = start, count
            while left:
                span, offset = divmod(page, size)
                part = min(size - offset, left)
                had = free[span]
                free[span] = had | ((1 << part) - 1) << offset
                num_free = had.bit_count()
                move(span, num_free, num_free + part)
                page += part
                left -= part
            self._num_free += count

    def place(self, page: int) -> Place:
        """See `Pool.place`: end to end within each span."""
        span, number = divmod(page, self.geometry.pages_per_span)
        start = span * self.geometry.granules_per_span * self._backing.granule_bytes
        return Place(self.slab, start + number * self.page_bytes, self.page_bytes)

    def check_integrity(self) -> None:
        """Raise AssertionError if a page is lost or doubled, or a span is in the wrong list."""
        name, size, num_spans = self.name, self.geometry.pages_per_span, len(self._free)
        try:
            self._lists.check_integrity([free.bit_count() for free in self._free])
        except AssertionError as problem:
            raise AssertionError(f"pool {name}: {problem}") from None
        own = all(free >> size == 0 for free in self._free)
        check(own, f"pool {name}: a span holds a foreign page")
        num_free = sum(free.bit_count() for free in self._free)
        check(num_free == self.num_free, f"pool {name}: free pages are miscounted")
        self._check_absent()
        num_pages = num_spans * size - len(self._absent) * size
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

    def _take_empty(self, most: int, runs: list[Run]) -> int:
        """Add up to so many whole empty spans to some runs; returns how many pages that is."""
        size, free = self.geometry.pages_per_span, self._free
        spans = self._lists.pop_empty(min(most, self._lists.num_empty))
        for span in spans:
            free[span] = 0
            append_run(runs, span * size, size)
        return len(spans) * size


@lru_cache(maxsize=1 << 12)
def lowest_of(free: int, count: int) -> tuple[int, tuple[Run, ...]]:
    """What is left of a span's free pages without the lowest, and those as runs.

    Spans are small and alike, so the same few answers serve most of the time.
    """
    runs = _first_of(runs_of_mask(free, 0), count)
    end = sum(runs[-1])
    return free >> end << end, tuple(runs)


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
