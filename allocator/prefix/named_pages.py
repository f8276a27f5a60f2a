"""Equal pages that have the same number in several pools, taken and given back together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.free_pages import FreePages
from allocator.integrity import check
from allocator.run import pages_of_runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from allocator.page_table import PageTable
    from allocator.run import Run


class NamedPages:
    """Page i of every pool of one kind; each has a name in the page table while it is not free.

    Attributes:
        num_pages: Pages of each pool.
    """

    def __init__(self, table: PageTable, pools: Sequence[int], num_pages: int) -> None:
        """All free.

        Args:
            table: Where they are named.
            pools: Numbers of the pools there; none for a model without the kind.
            num_pages: Pages of each.
        """
        self.num_pages = num_pages
        self._table = table
        self._pools = pools
        self._free = FreePages(num_pages)
        if num_pages:
            self._free.add(0, num_pages)

    @property
    def num_free(self) -> int:
        """Pages that nobody has."""
        return self._free.count

    def take(self, count: int) -> list[Run]:
        """Take the lowest free pages; there must be so many."""
        runs = self._free.take(count)
        for pool in self._pools:
            self._table.issue(pool, runs)
        return runs

    def give(self, runs: Sequence[Run]) -> None:
        """Take pages back."""
        for pool in self._pools:
            self._table.retire(pool, list(runs))
        for first, count in runs:
            self._free.add(first, count)

    def check_taken(self, pages: Iterable[int]) -> None:
        """Raise AssertionError unless exactly these pages are not free, each named once."""
        taken = sorted(pages)
        check(len(set(taken)) == len(taken), "a page is in two places")
        free = pages_of_runs(self._free.runs())
        check(sorted([*taken, *free]) == list(range(self.num_pages)), "a page is lost, or doubled")
        named = {(pool, page) for pool in self._pools for page in taken}
        mine = {entry for entry in self._table.live_pages() if entry[0] in self._pools}
        check(named == mine, "names and pages do not match")
