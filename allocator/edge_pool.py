"""Pages that grow from one end of a buffer, kept together by moving the page at the edge."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.run import pages_of_runs, runs_of_pages
from allocator.span import SpanGeometry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.run import Run


class EdgePool:
    """Pages numbered from an end of the buffer; those below the *edge* are live or holes.

    The page below the edge is always live: when it is given back, the edge falls to the next live
    one. It never asks whether the buffer has room; its manager does.
    """

    def __init__(self, name: str, page_bytes: int) -> None:
        self.name = name
        self.geometry = SpanGeometry.fixed(page_bytes)
        self.num_pages = 0  # the edge
        self._holes: set[int] = set()
        self._lowest: list[int] = []  # a heap of holes; may hold pages that are none any more

    @property
    def num_free(self) -> int:
        """Holes: pages that can be taken without moving the edge."""
        return len(self._holes)

    @property
    def num_live(self) -> int:
        """Pages taken and not given back."""
        return self.num_pages - len(self._holes)

    def raise_edge(self, count: int) -> None:
        """Add pages beyond the edge; they are holes until they are taken."""
        for page in range(self.num_pages, self.num_pages + count):
            self._open(page)
        self.num_pages += count

    def take(self, count: int) -> list[Run]:
        """Take the lowest holes, as runs.

        Raises:
            ValueError: If there are fewer; nothing is taken.
        """
        if count > self.num_free:
            raise ValueError(f"pool {self.name}: {count} pages asked, {self.num_free} are free")
        return runs_of_pages([self._fill_lowest() for _ in range(count)])

    def give(self, runs: Iterable[Run]) -> None:
        """Give live pages back; the edge falls if it can."""
        for page in pages_of_runs(runs):
            self._open(page)
        self.lower_edge()

    def lower_edge(self) -> None:
        """Let the edge fall to the highest live page."""
        while self.num_pages and self.num_pages - 1 in self._holes:
            self.num_pages -= 1
            self._holes.remove(self.num_pages)

    def move_edge_page(self) -> tuple[int, int]:
        """Move the page at the edge into the lowest hole; returns (where it was, where it is)."""
        source, target = self.num_pages - 1, self._fill_lowest()
        self.num_pages -= 1
        self.lower_edge()
        return source, target

    def check_integrity(self) -> None:
        """Raise AssertionError if a hole is lost or lies beyond the edge."""
        check(self._holes <= set(self._lowest), f"pool {self.name}: a hole is lost")
        beyond = any(page >= self.num_pages for page in self._holes)
        check(not beyond, f"pool {self.name}: a hole lies beyond the edge")
        fallen = self.num_pages - 1 not in self._holes
        check(fallen, f"pool {self.name}: the page below the edge is a hole")

    def check_live(self, pages: set[int]) -> None:
        """Raise AssertionError unless exactly these pages are taken."""
        check(self._holes.isdisjoint(pages), f"pool {self.name}: a live page is a hole")
        check(len(pages) == self.num_live, f"pool {self.name}: live pages miscounted")
        inside = all(page < self.num_pages for page in pages)
        check(inside, f"pool {self.name}: a live page lies beyond the edge")

    def _open(self, page: int) -> None:
        self._holes.add(page)
        heapq.heappush(self._lowest, page)

    def _fill_lowest(self) -> int:
        while True:
            page = heapq.heappop(self._lowest)
            if page in self._holes:
                self._holes.remove(page)
                return page
