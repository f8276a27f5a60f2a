"""A backing adaptor: physical memory for the whole budget behind every slab."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing, BackingCounters


class OversizedBacking:
    """Keeps the books of one budget over memory that was mapped in full for each slab.

    The paper's AVMP allocates a tensor of the full budget for each of its two pools and lets a
    counter say how much of it may be used: twice the budget is occupied, and moving capacity
    moves no memory.

    Attributes:
        granule_bytes: Unit of both backings.
        num_granules: Granules of the budget.
    """

    def __init__(self, books: Backing, memory: Backing) -> None:
        """Count in `books` what pools may use, and map slabs whole in `memory`."""
        self._books = books
        self._memory = memory
        self.granule_bytes = books.granule_bytes
        self.num_granules = books.num_granules

    @property
    def num_free_granules(self) -> int:
        """Granules of the budget that no pool may use."""
        return self._books.num_free_granules

    def reserve(self, size_bytes: int) -> int:
        """Reserve a slab and map all of it; see `Backing.reserve`."""
        slab = self._memory.reserve(size_bytes)
        self._memory.map(slab, 0, size_bytes // self.granule_bytes)
        return self._books.reserve(size_bytes)

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Let a pool use granules; see `Backing.map`."""
        self._books.map(slab, first_granule, num_granules)

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """Take the use of granules back; see `Backing.unmap`."""
        self._books.unmap(slab, first_granule, num_granules)

    def copy_pages(self, slab: int, page_bytes: int, pairs: Sequence[tuple[int, int]]) -> None:
        """See `Backing.copy_pages`."""
        self._memory.copy_pages(slab, page_bytes, pairs)

    def counters(self) -> BackingCounters:
        """What the memory, not the books, was asked for."""
        return self._memory.counters()

    def check_integrity(self) -> None:
        """See `Backing.check_integrity`."""
        self._books.check_integrity()
        self._memory.check_integrity()
