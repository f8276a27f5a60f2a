"""Pages in spans of whole granules, each of which comes and goes by itself."""

from __future__ import annotations

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

    `SpanLists` says which spans give and get pages; here is kept which pages those are. The free
    pages of a span are the bits of one integer, so every call costs array or integer operations on
    the spans it touches, whatever the size of the pool. Whoever adds and removes spans maps them.

    Attributes:
        geometry: How pages lie in spans.
        lists: Its spans by how many of their pages are free; others only look.
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
        self._granule_bytes = backing.granule_bytes
        self.slab = backing.reserve(slab_granules * backing.granule_bytes)
        num_spans = slab_granules // geometry.granules_per_span
        self._free = [0] * num_spans  # bit i: page i of the span is free
        self.lists = SpanLists(num_spans, geometry.pages_per_span)

    @property
    def num_free(self) -> int:
        """See `Pool.num_free`."""
        return self._num_free

    @property
    def max_spans(self) -> int:
        """Spans that the slab can have."""
        return len(self._free)

    @property
    def num_spans(self) -> int:
        """Spans that are there."""
        return self.lists.num_spans

    @property
    def num_empty_spans(self) -> int:
        """Spans without a live page."""
        return self.lists.num_empty

    def add_spans(self, count: int) -> list[int]:
        """Add the lowest absent spans; their pages become free.

        Returns:
            The spans.

        Raises:
            ValueError: If fewer are absent; nothing is added.
        """
        size = self.geometry.pages_per_span
        added = self.lists.add(count)
        for span in added:
            self._free[span] = (1 << size) - 1
        self.num_pages += count * size
        self._num_free += count * size
        return added

    def remove_empty_spans(self, count: int) -> list[int]:
        """Remove empty spans, those that became empty last first.

        Returns:
            The spans.

        Raises:
            ValueError: If fewer are empty; nothing is removed.
        """
        size = self.geometry.pages_per_span
        removed = self.lists.remove_empty(count)
        for span in removed:
            self._free[span] = 0
        self.num_pages -= count * size
        self._num_free -= count * size
        return removed

    def resize(self, num_pages: int) -> list[tuple[int, int]]:
        """See `Pool.resize`: by empty spans, so that nothing moves."""
        spans = (num_pages - self.num_pages) // self.geometry.pages_per_span
        if spans > 0:
            self.add_spans(spans)
        else:
            self.remove_empty_spans(-spans)
        return []

    def take(self, count: int) -> list[Run]:
        """See `Pool.take`: from the fullest spans that have any."""
        if count > self.num_free:
            raise ValueError(f"pool {self.name}: {count} pages asked, {self.num_free} are free")
        self._num_free -= count
        runs: list[Run] = []
        size, free = self.geometry.pages_per_span, self._free
        for pages, spans in self.lists.take(count):
            for span in spans:
                start = span * size
                free[span], offsets = lowest_of(free[span], pages)
                for offset, length in offsets:
                    append_run(runs, start + offset, length)  # spans side by side make one run
        return runs

    def give(self, runs: Iterable[Run]) -> None:
        """See `Pool.give`."""
        size, free, lists = self.geometry.pages_per_span, self._free, self.lists
        for start, count in runs:
            page, left = start, count
            while left:
                span, offset = divmod(page, size)
                part = min(size - offset, left)
                free[span] |= (1 << part) - 1 << offset
                lists.give(part, (span,))
                page += part
                left -= part
            self._num_free += count

    def place(self, page: int) -> Place:
        """See `Pool.place`: end to end within each span."""
        span, number = divmod(page, self.geometry.pages_per_span)
        start = span * self.geometry.granules_per_span * self._granule_bytes
        return Place(self.slab, start + number * self.page_bytes, self.page_bytes)

    def check_integrity(self) -> None:
        """Raise AssertionError if a page is lost or doubled, or a span is in the wrong list."""
        name, size, lists = self.name, self.geometry.pages_per_span, self.lists
        try:
            lists.check_integrity()
        except AssertionError as problem:
            raise AssertionError(f"pool {name}: {problem}") from None
        own = all(free >> size == 0 for free in self._free)
        check(own, f"pool {name}: a span holds a foreign page")
        counts = [free.bit_count() for free in self._free]
        check(counts == lists.num_free, f"pool {name}: a span has other free pages than listed")
        check(sum(counts) == self.num_free, f"pool {name}: free pages are miscounted")
        check(lists.num_spans * size == self.num_pages, f"pool {name}: pages are miscounted")

    def check_live(self, pages: set[int]) -> None:
        """Raise AssertionError unless exactly these pages are taken, of spans that are there."""
        size = self.geometry.pages_per_span
        free = {p for i, mask in enumerate(self._free) for p in _pages_of(mask, i * size)}
        check(free.isdisjoint(pages), f"pool {self.name}: a live page is free")
        check(len(pages) == self.num_live, f"pool {self.name}: live pages miscounted")
        spans = {page // size for page in pages}
        check(spans.isdisjoint(self.lists.absent()), f"pool {self.name}: a live page has no memory")


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
