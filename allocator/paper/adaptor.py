"""What every adaptor around an allocator passes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.interface import PoolUsage
    from allocator.paper.interface import LayerAllocator


class Adaptor(ABC):
    """A `LayerAllocator` around another: it changes how calls are made and owns no memory."""

    def __init__(self, inner: LayerAllocator) -> None:
        self._inner = inner

    @abstractmethod
    def allocate(self, request: int, group: int, count: int) -> Sequence[int]:
        """See `LayerAllocator.allocate`."""

    def release(self, request: int) -> None:
        """See `LayerAllocator.release`."""
        self._inner.release(request)

    def pools(self) -> tuple[PoolUsage, ...]:
        """See `LayerAllocator.pools`."""
        return self._inner.pools()

    def footprint_bytes(self) -> int:
        """See `LayerAllocator.footprint_bytes`."""
        return self._inner.footprint_bytes()

    def check_integrity(self) -> None:
        """See `LayerAllocator.check_integrity`."""
        self._inner.check_integrity()
