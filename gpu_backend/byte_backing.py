"""What backings that hold real bytes share: the books of `HostBacking`, and bytes behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from allocator.backing import HostBacking, Place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import torch

    from allocator.backing import BackingCounters
    from gpu_backend.page_ops import PageList, PageOps, Pattern


class ByteBacking(ABC):
    """A `Backing` whose slabs hold bytes; its books are those of the host backing.

    Use it in a `with` statement: what it holds of a device is given back at the end of it, or
    when an error leaves it.

    Attributes:
        books: Accounting of budget, mappings and copies.
        granule_bytes: See `Backing`.
        num_granules: See `Backing`.
        page_ops: What copies, fills and compares pages.
    """

    def __init__(self, books: HostBacking, ops: PageOps) -> None:
        self.books = books
        self.granule_bytes = books.granule_bytes
        self.num_granules = books.num_granules
        self.page_ops = ops

    @property
    def num_free_granules(self) -> int:
        """See `Backing.num_free_granules`."""
        return self.books.num_free_granules

    @property
    @abstractmethod
    def physical_bytes(self) -> int:
        """Bytes of physical memory that this backing holds now."""

    @abstractmethod
    def reserve(self, size_bytes: int) -> int:
        """See `Backing.reserve`."""

    @abstractmethod
    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.map`."""

    @abstractmethod
    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.unmap`."""

    @abstractmethod
    def slab_bytes(self, slab: int) -> torch.Tensor:
        """The whole virtual range of a slab: uint8, shape (size_bytes,), the same at every call.

        Only what is mapped may be read or written.
        """

    @abstractmethod
    def note_use(self, slab: int) -> None:
        """Work on a slab's bytes has been given to the device; see `unmap` of the backing."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back; tensors of slabs must not be used any more."""

    def copy_pages(self, slab: int, page_bytes: int, pairs: Sequence[tuple[int, int]]) -> None:
        """See `Backing.copy_pages`: one batched operation for all pages."""
        self.books.copy_pages(slab, page_bytes, pairs)
        sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
        self.page_ops.copy(self.slab_bytes(slab), page_bytes, sources, targets)
        self.note_use(slab)

    def fill_pages(self, pages: PageList, pattern: Pattern) -> None:
        """Write a pattern to pages, in one batched operation.

        Raises:
            ValueError: If one of them is not mapped; nothing is written.
        """
        self._check_mapped(pages)
        self.page_ops.fill(self.slab_bytes(pages.slab), pages.page_bytes, pages.offsets, pattern)
        self.note_use(pages.slab)

    def pages_that_differ(self, pages: PageList, pattern: Pattern) -> list[int]:
        """Numbers of the pages, in the list, that hold something else; waits for the device.

        Raises:
            ValueError: If one of them is not mapped.
        """
        self._check_mapped(pages)
        slab = self.slab_bytes(pages.slab)
        found = self.page_ops.differ(slab, pages.page_bytes, pages.offsets, pattern)
        numbers: list[int] = found.nonzero().flatten().tolist()
        return numbers

    def counters(self) -> BackingCounters:
        """See `Backing.counters`."""
        return self.books.counters()

    def check_integrity(self) -> None:
        """See `Backing.check_integrity`."""
        self.books.check_integrity()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_mapped(self, pages: PageList) -> None:
        for offset in pages.offsets:
            if not self.books.is_mapped(Place(pages.slab, offset, pages.page_bytes)):
                raise ValueError(f"slab {pages.slab}: the page at {offset} is not mapped")
