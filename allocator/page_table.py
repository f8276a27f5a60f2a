"""Handle -> physical page: one table for the pages of every pool, whatever their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from allocator.handle import StaleHandleError
from allocator.integrity import check
from allocator.run import pages_of_runs, runs_of_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.handle import HandleLayout
    from allocator.run import Run


Generations = npt.NDArray[np.uint32]
ONE = np.uint32(1)
WORD_MASK = (1 << 32) - 1


class PageTable:
    """One entry a page of each pool, with a generation that rises when it is issued and retired.

    An entry is live while its generation is odd. Entry and page have the same number until a page
    is moved: then two entries exchange their pages, and every handle keeps its meaning. Names
    are issued and retired by runs, so a prompt's pages cost a few array operations.
    """

    def __init__(self, layout: HandleLayout, pages_by_pool: Sequence[int]) -> None:
        self.layout = layout
        self._generation = [np.zeros(count, dtype=np.uint32) for count in pages_by_pool]
        self._generation_mask = np.uint32((1 << layout.generation_bits) - 1)
        self._page_of: list[dict[int, int]] = [{} for _ in pages_by_pool]  # moved entries only
        self._entry_at: list[dict[int, int]] = [{} for _ in pages_by_pool]  # its inverse

    def issue(self, pool: int, runs: Sequence[Run]) -> list[Run]:
        """Name free pages of a pool, in order; returns the entries that name them, as runs."""
        if self._entry_at[pool]:
            entry_at = self._entry_at[pool]
            runs = runs_of_pages(entry_at.get(page, page) for page in pages_of_runs(runs))
        generation = self._generation[pool]
        for first, count in runs:
            _advance(generation, first, count)
        return list(runs)

    def retire(self, pool: int, runs: Sequence[Run]) -> list[Run]:
        """Take names of live pages back; returns the pages they named, as runs.

        Raises:
            StaleHandleError: If one of them is not live; nothing is retired.
        """
        generation = self._generation[pool]
        for number, (first, count) in enumerate(runs):
            if not _are_live(generation, first, count):
                for start, length in runs[:number]:
                    generation[start : start + length] -= ONE
                raise StaleHandleError(f"an entry from {first} to {first + count - 1} is not live")
            _advance(generation, first, count)
        return self.pages(pool, runs)

    def pages(self, pool: int, runs: Sequence[Run]) -> list[Run]:
        """The pages that entries name, in order, as runs."""
        page_of = self._page_of[pool]
        if page_of:
            return runs_of_pages(page_of.get(entry, entry) for entry in pages_of_runs(runs))
        return list(runs)

    def move(self, pool: int, source: int, target: int) -> None:
        """Let the entry that names page `source` name page `target`, and the other way round."""
        entry_at = self._entry_at[pool]
        moved, displaced = entry_at.get(source, source), entry_at.get(target, target)
        self._place(pool, moved, target)
        self._place(pool, displaced, source)

    def handles(self, pool: int, runs: Sequence[Run]) -> list[int]:
        """The handles of live entries, in order."""
        layout = self.layout
        prefix = layout.pack(pool, 0, 0)
        handles: list[int] = []
        for first, count in runs:
            generation = self._generation[pool][first : first + count] & self._generation_mask
            entries = np.arange(first, first + count, dtype=np.uint32)
            handles += (generation << layout.index_bits | entries | np.uint32(prefix)).tolist()
        return handles

    def page(self, handle: int) -> tuple[int, int]:
        """Pool and physical page that a live handle names.

        Raises:
            StaleHandleError: If the handle is not live.
        """
        pool, generation, entry = self.layout.unpack(handle)
        if pool < len(self._generation) and entry < len(self._generation[pool]):
            now = int(self._generation[pool][entry] & self._generation_mask)
            if now == generation and generation & 1:
                return pool, self._page_of[pool].get(entry, entry)
        raise StaleHandleError(f"handle {handle:#010x} is stale or was never issued")

    def live_pages(self) -> Iterator[tuple[int, int]]:
        """(pool, page) of every live entry, in order of entry."""
        for pool, generation in enumerate(self._generation):
            for entry in np.flatnonzero(generation & 1).tolist():
                yield pool, self._page_of[pool].get(entry, entry)

    def check_integrity(self) -> None:
        """Raise AssertionError unless entries and pages stand one to one."""
        books = zip(self._generation, self._page_of, self._entry_at, strict=True)
        for generation, page_of, entry_at in books:
            inverse = {page: entry for entry, page in page_of.items()}
            check(inverse == entry_at, "page table: entries and pages do not match")
            check(page_of.keys() == entry_at.keys(), "page table: a page is named twice or never")
            known = set(range(len(generation)))
            check(page_of.keys() <= known, "page table: an entry was moved that never was")
            moved = all(entry != page for entry, page in page_of.items())
            check(moved, "page table: a page at home counts as moved")
        pages = list(self.live_pages())
        check(len(set(pages)) == len(pages), "page table: two live handles name one page")

    def _place(self, pool: int, entry: int, page: int) -> None:
        if entry == page:
            self._page_of[pool].pop(entry, None)
            self._entry_at[pool].pop(page, None)
        else:
            self._page_of[pool][entry] = page
            self._entry_at[pool][page] = entry


def _are_live(generation: Generations, first: int, count: int) -> bool:
    if count == 1:
        return generation.item(first) & 1 == 1
    return int(np.bitwise_and.reduce(generation[first : first + count])) & 1 == 1


def _advance(generation: Generations, first: int, count: int) -> None:
    """Raise the generation of entries: free ones become live, live ones free."""
    if count == 1:
        generation[first] = generation.item(first) + 1 & WORD_MASK
    else:
        part = generation[first : first + count]
        part += ONE
