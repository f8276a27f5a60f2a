"""Handle -> physical page: one table for the pages of every pool, whatever their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.handle import StaleHandleError
from allocator.integrity import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from allocator.handle import HandleLayout

NO_HANDLE = 0


class PageTable:
    """Entries that each name one page; an entry's generation changes with every reuse.

    `issue` and `retire` touch only the entries they name; the table grows as entries are first
    needed, so that its host memory follows the pages in use, not the pages possible.
    """

    def __init__(self, layout: HandleLayout) -> None:
        self.layout = layout
        self._handle: list[int] = []  # the live handle of an entry, NO_HANDLE while it is free
        self._generation: list[int] = []  # the last generation an entry was issued with
        self._page: list[int] = []
        self._free: list[int] = []

    @property
    def num_live(self) -> int:
        """Handles issued and not retired."""
        return len(self._handle) - len(self._free)

    def issue(self, pool: int, pages: Sequence[int]) -> list[int]:
        """Name pages of a pool, in order; returns their handles."""
        entries = self._take_entries(len(pages))
        page_of, generation_of, handle_of = self._page, self._generation, self._handle
        last, shift = self.layout.num_generations, self.layout.index_bits
        pool_part = self.layout.pack(pool, 0, 0)  # a call of pack a page would double the cost
        handles = []
        for entry, page in zip(entries, pages, strict=True):
            generation = generation_of[entry] % last + 1
            generation_of[entry] = generation
            page_of[entry] = page
            handle = handle_of[entry] = pool_part | generation << shift | entry
            handles.append(handle)
        return handles

    def retire(self, handles: Sequence[int]) -> list[int]:
        """Take names back, all or none; returns the pages they named, in order.

        Raises:
            StaleHandleError: If one of them is not live or is given twice; nothing is retired.
        """
        handle_of, num_entries = self._handle, len(self._handle)
        mask = self.layout.index_mask
        entries = [handle & mask for handle in handles]
        live = [handle_of[entry] if entry < num_entries else NO_HANDLE for entry in entries]
        if live != list(handles) or NO_HANDLE in live:
            for handle in handles:
                self.page(handle)  # raises at the first that is stale
        if len(set(handles)) != len(handles):
            raise StaleHandleError("a handle was given back twice in one call")
        for entry in entries:
            handle_of[entry] = NO_HANDLE
        self._free += reversed(entries)
        return [self._page[entry] for entry in entries]

    def page(self, handle: int) -> int:
        """The physical page a live handle names, as an index within its pool.

        Raises:
            StaleHandleError: If the handle is not live.
        """
        entry = handle & self.layout.index_mask
        if handle == NO_HANDLE or entry >= len(self._handle) or self._handle[entry] != handle:
            raise StaleHandleError(f"handle {handle:#010x} is stale or was never issued")
        return self._page[entry]

    def live_pages(self) -> Iterable[tuple[int, int]]:
        """(pool, page) of every live handle, in order of entry."""
        for handle, page in zip(self._handle, self._page, strict=True):
            if handle != NO_HANDLE:
                yield self.layout.unpack(handle)[0], page

    def check_integrity(self) -> None:
        """Raise AssertionError if an entry is lost, doubled or misnamed, or a page is shared."""
        free = set(self._free)
        check(len(free) == len(self._free), "page table: an entry is free twice")
        for entry, handle in enumerate(self._handle):
            check(
                (handle == NO_HANDLE) == (entry in free),
                "page table: an entry is lost",
            )
            if handle != NO_HANDLE:
                _, generation, index = self.layout.unpack(handle)
                check(index == entry, "page table: a handle names another entry")
                check(generation == self._generation[entry], "page table: a generation is off")
        pages = list(self.live_pages())
        check(len(set(pages)) == len(pages), "page table: two live handles name one page")

    def _take_entries(self, count: int) -> list[int]:
        free = self._free
        missing = count - len(free)
        if missing > 0:
            first = len(self._handle)
            if first + missing > self.layout.index_mask + 1:
                raise ValueError("the page table has no entry left for another page")
            self._handle += [NO_HANDLE] * missing
            self._generation += [0] * missing
            self._page += [0] * missing
            free[:0] = range(first + missing - 1, first - 1, -1)
        taken = free[len(free) - count :]
        del free[len(free) - count :]
        return taken
