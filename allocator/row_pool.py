"""Pages that lie end to end, in a row that may grow and shrink at its end."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from allocator.free_pages import FreePages
from allocator.integrity import check
from allocator.pool import Pool
from allocator.run import pages_of_runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.run import Run

Moves = list[tuple[int, int]]
"""(page, page it moves to) of live pages."""


class Placement(Enum):
    """Which free page is taken first."""

    LOW = "low"
    NEXT = "next"


class RowPool(Pool):
    """The lowest free pages are taken first, so live pages gather at the start of the row.

    Attributes:
        max_pages: Pages that the row can grow to.
    """

    def __init__(
        self, name: str, page_bytes: int, max_pages: int, placement: Placement = Placement.LOW
    ) -> None:
        """A row without a page yet."""
        self.name = name
        self.page_bytes = page_bytes
        self.max_pages = max_pages
        self.num_pages = 0
        self._free = FreePages(max_pages)
        self._rotates = placement is Placement.NEXT
        self._next = 0  # where the search for free pages starts

    @property
    def num_free(self) -> int:
        """See `Pool.num_free`."""
        return self._free.count

    def take(self, count: int) -> list[Run]:
        """See `Pool.take`."""
        if count > self._free.count:
            raise ValueError(f"pool {self.name}: {count} pages asked, {self.num_free} are free")
        if count == 1 and not self._rotates:
            return [(self._free.pop(), 1)]
        runs = self._free.take(count, self._next)
        if self._rotates and runs:
            self._next = sum(runs[-1])
        return runs

    def give(self, runs: Iterable[Run]) -> None:
        """See `Pool.give`."""
        self._free.add_all(runs)

    def lengthen(self, count: int) -> None:
        """Add free pages at the end.

        Raises:
            ValueError: If the row cannot grow so far; nothing is added.
        """
        if self.num_pages + count > self.max_pages:
            raise ValueError(f"pool {self.name}: no room for {count} more pages")
        if count:
            self._free.add(self.num_pages, count)
            self.num_pages += count

    def shorten(self, count: int) -> Moves:
        """Drop the last pages; live ones among them move to the lowest free pages of the rest.

        Raises:
            ValueError: If there are fewer, or the rest has too few free; nothing is dropped.
        """
        if not 0 <= count <= self.num_free:
            raise ValueError(f"pool {self.name}: {count} pages asked, {self.num_free} can go")
        first = self.num_pages - count
        live = _between(self._free.remove_from(first), first, self.num_pages)
        targets = pages_of_runs(self._free.take(len(live)))
        self.num_pages = first
        self._next = min(self._next, first)
        return list(zip(live, targets, strict=True))

    def resize(self, num_pages: int) -> Moves:
        """See `Pool.resize`."""
        if num_pages < self.num_pages:
            return self.shorten(self.num_pages - num_pages)
        self.lengthen(num_pages - self.num_pages)
        return []

    @property
    def num_free_at_end(self) -> int:
        """Pages that `shorten` can drop without a move."""
        return self._free.run_before(self.num_pages)

    @property
    def end_of_live(self) -> int:
        """See `Pool.end_of_live`: the first such page."""
        return self.num_pages - self.num_free_at_end

    def check_integrity(self) -> None:
        """See `Pool.check_integrity`."""
        try:
            self._free.check_integrity()
        except AssertionError as problem:
            raise AssertionError(f"pool {self.name}: {problem}") from None
        runs = self._free.runs()
        inside = not runs or sum(runs[-1]) <= self.num_pages <= self.max_pages
        check(inside, f"pool {self.name}: a free page lies beyond the end")

    def check_live(self, pages: set[int]) -> None:
        """See `Pool.check_live`."""
        free = set(pages_of_runs(self._free.runs()))
        check(free.isdisjoint(pages), f"pool {self.name}: a live page is free")
        check(len(pages) == self.num_live, f"pool {self.name}: live pages miscounted")
        inside = all(page < self.num_pages for page in pages)
        check(inside, f"pool {self.name}: a live page lies beyond the end")


def _between(runs: list[Run], first: int, end: int) -> list[int]:
    """The pages from `first` to before `end` that are in none of some runs."""
    pages: list[int] = []
    for start, count in runs:
        pages.extend(range(first, start))
        first = start + count
    pages.extend(range(first, end))
    return pages
