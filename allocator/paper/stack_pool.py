"""A pool whose free pages form a stack, as in the paper's evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allocator.integrity import check
from allocator.interface import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from allocator.backing import Backing


class StackPool:
    """Equal pages numbered from 0; the page given back last is taken first.

    The order is part of the result: low pages lie on top at first, so that high ones stay free as
    long as the load is light, and only free pages at the tail let a migration take place
    (`docs/decisions/0010-paper-parts.md`). `allocator.pool.Pool` packs spans instead, for the same
    end. Capacity is counted in bytes, since a migration may leave a pool less than a whole page.
    """

    def __init__(self, name: str, page_bytes: int, backing: Backing, capacity_bytes: int) -> None:
        """Reserve a slab for as much as the budget holds, and map so much of it.

        Raises:
            ValueError: If pages are no whole number of granules.
        """
        if page_bytes % backing.granule_bytes:
            raise ValueError(f"pool {name}: pages of {page_bytes} bytes are not whole granules")
        self.name = name
        self.page_bytes = page_bytes
        self.capacity_bytes = 0
        self.num_pages = 0
        self._free: list[int] = []
        self._backing = backing
        self._slab = backing.reserve(backing.num_granules * backing.granule_bytes)
        self.grow(capacity_bytes)
        self._free.reverse()

    @property
    def num_free(self) -> int:
        """Pages that can be taken."""
        return len(self._free)

    @property
    def num_live(self) -> int:
        """Pages taken and not given back."""
        return self.num_pages - len(self._free)

    def take(self, count: int) -> list[int]:
        """Take pages from the top of the stack, in that order.

        Raises:
            OutOfMemoryError: If there are fewer; nothing is taken.
        """
        free = self._free
        if count == 1 and free:
            return [free.pop()]
        first = len(free) - count
        if first < 0:
            raise OutOfMemoryError(self.name, count, len(free), largest=len(free))
        taken = free[first:]
        del free[first:]
        taken.reverse()
        return taken

    def give(self, pages: Iterable[int]) -> None:
        """Put live pages on the stack, in order."""
        self._free.extend(pages)

    def grow(self, num_bytes: int) -> None:
        """Add capacity; new pages lie on top of the stack, the highest uppermost.

        Raises:
            BackingExhaustedError: If the budget has no room; nothing is added.
        """
        before, after = self.num_pages, (self.capacity_bytes + num_bytes) // self.page_bytes
        if after > before:
            per_page = self.page_bytes // self._backing.granule_bytes
            self._backing.map(self._slab, before * per_page, (after - before) * per_page)
        self.capacity_bytes += num_bytes
        self.num_pages = after
        self._free.extend(range(before, after))

    def pages_after_cut(self, num_bytes: int) -> int:
        """Pages that are left after giving up so many bytes; below 0 if there are fewer bytes."""
        return (self.capacity_bytes - num_bytes) // self.page_bytes

    def num_live_beyond(self, page: int) -> int:
        """Live pages with this number or a higher one."""
        return self.num_pages - page - sum(free >= page for free in self._free)

    def cut(self, num_bytes: int) -> None:
        """Give up capacity at the tail.

        Raises:
            ValueError: If a page there is live, or there are fewer bytes; nothing changes.
        """
        after = self.pages_after_cut(num_bytes)
        if after < 0 or self.num_live_beyond(after):
            raise ValueError(f"pool {self.name}: {num_bytes} bytes at the tail cannot go")
        self._free = [page for page in self._free if page < after]
        per_page = self.page_bytes // self._backing.granule_bytes
        if self.num_pages > after:
            self._backing.unmap(self._slab, after * per_page, (self.num_pages - after) * per_page)
        self.capacity_bytes -= num_bytes
        self.num_pages = after

    def relocate(self, live: Iterable[int], below: int) -> dict[int, int]:
        """Copy live pages into free pages below some page, those on top of the stack first.

        Returns:
            Where each page went.

        Raises:
            ValueError: If too few are free there; nothing is copied.
        """
        sources = list(live)
        targets = [page for page in reversed(self._free) if page < below][: len(sources)]
        if len(targets) < len(sources):
            raise ValueError(f"pool {self.name}: no room below page {below}")
        moved = dict(zip(sources, targets, strict=True))
        taken = set(targets)
        self._free = [page for page in self._free if page not in taken]
        self._free.extend(sources)
        pairs = [(a * self.page_bytes, b * self.page_bytes) for a, b in moved.items()]
        self._backing.copy_pages(self._slab, self.page_bytes, pairs)
        return moved

    def check_integrity(self) -> None:
        """Raise AssertionError if a free page is listed twice or lies outside the pool."""
        check(len(set(self._free)) == len(self._free), f"pool {self.name}: a page is free twice")
        inside = all(0 <= page < self.num_pages for page in self._free)
        check(inside, f"pool {self.name}: a free page lies outside")
        pages = self.capacity_bytes // self.page_bytes
        check(pages == self.num_pages, f"pool {self.name}: pages and bytes disagree")

    def check_live(self, pages: list[int]) -> None:
        """Raise AssertionError unless exactly these pages are taken, each by one holder."""
        check(len(set(pages)) == len(pages), f"pool {self.name}: two holders of one page")
        check(len(pages) == self.num_live, f"pool {self.name}: a live page has no holder")
        check(set(pages).isdisjoint(self._free), f"pool {self.name}: a held page is free")
