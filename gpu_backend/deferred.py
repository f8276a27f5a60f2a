"""A backing adaptor that lets mappings wait, so that they change while a step runs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from allocator.backing import HostBacking
from allocator.integrity import check
from gpu_backend.byte_backing import ByteBacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from gpu_backend.page_ops import PageList, Pattern

Change = tuple[bool, int, int, int]
"""Whether it maps, slab, first granule, granules."""


class DeferredBacking(ByteBacking):
    """Changes its books at once, and the memory when it is told to.

    The engine plans a step, lets the manager prepare (`CacheManager.prepare`), and then executes.
    What was asked for the plan must be there before the step is launched, what was asked by
    preparing can follow while it runs. So an executor calls
    `apply(leaving=plan.maps_beside + plan.unmaps_beside)`, launches, and calls `apply()`. Copies
    and fills first apply all that was asked before them.

    A driver that fails is heard of when changes are applied, not by the manager that asked; the
    run has failed then.
    """

    def __init__(self, inner: ByteBacking) -> None:
        """Let changes of a backing wait; it has no slab yet."""
        budget_bytes = inner.num_granules * inner.granule_bytes
        super().__init__(HostBacking(budget_bytes, inner.granule_bytes), inner.page_ops)
        self.inner = inner
        self._waiting: deque[Change] = deque()

    @property
    def num_waiting(self) -> int:
        """Changes that have been asked and not applied."""
        return len(self._waiting)

    @property
    def physical_bytes(self) -> int:
        """See `ByteBacking.physical_bytes`."""
        return self.inner.physical_bytes

    def apply(self, leaving: int = 0) -> int:
        """Apply changes, the oldest first, until so many wait; returns how many.

        Raises:
            DriverError: If the driver refuses one; those before it have been applied.
        """
        count = max(0, len(self._waiting) - leaving)
        for _ in range(count):
            maps, slab, first, granules = self._waiting[0]
            (self.inner.map if maps else self.inner.unmap)(slab, first, granules)
            self._waiting.popleft()
        return count

    def reserve(self, size_bytes: int) -> int:
        """See `Backing.reserve`; at once."""
        self.inner.reserve(size_bytes)
        return self.books.reserve(size_bytes)

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.map`; the memory comes with `apply`."""
        self.books.map(slab, first_granule, num_granules)
        self._waiting.append((True, slab, first_granule, num_granules))

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.unmap`; the memory goes with `apply`."""
        self.books.unmap(slab, first_granule, num_granules)
        self._waiting.append((False, slab, first_granule, num_granules))

    def copy_pages(self, slab: int, page_bytes: int, pairs: Sequence[tuple[int, int]]) -> None:
        """See `Backing.copy_pages`; after all that was asked before."""
        self.apply()
        self.books.copy_pages(slab, page_bytes, pairs)
        self.inner.copy_pages(slab, page_bytes, pairs)

    def fill_pages(self, pages: PageList, pattern: Pattern) -> None:
        """See `ByteBacking.fill_pages`; after all that was asked before."""
        self.apply()
        self.inner.fill_pages(pages, pattern)

    def pages_that_differ(self, pages: PageList, pattern: Pattern) -> list[int]:
        """See `ByteBacking.pages_that_differ`; after all that was asked before."""
        self.apply()
        return self.inner.pages_that_differ(pages, pattern)

    def slab_bytes(self, slab: int) -> torch.Tensor:
        """See `ByteBacking.slab_bytes`."""
        return self.inner.slab_bytes(slab)

    def note_use(self, slab: int) -> None:
        """See `ByteBacking.note_use`."""
        self.inner.note_use(slab)

    def close(self) -> None:
        """See `ByteBacking.close`; what waits is forgotten."""
        self._waiting.clear()
        self.inner.close()

    def check_integrity(self) -> None:
        """See `Backing.check_integrity`; what waits makes up for the difference."""
        super().check_integrity()
        self.inner.check_integrity()
        ahead = sum(granules if maps else -granules for maps, _, _, granules in self._waiting)
        difference = self.inner.num_free_granules - self.num_free_granules
        check(difference == ahead, "deferred backing: a change is lost")
