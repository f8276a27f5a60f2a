"""Slabs that are torch tensors, on a device or on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from allocator.backing import DEFAULT_GRANULE_BYTES, HostBacking
from allocator.spec import SLAB_ALIGNMENT_BYTES, align_up
from gpu_backend.byte_backing import ByteBacking
from gpu_backend.page_ops import TorchPageOps

if TYPE_CHECKING:
    from gpu_backend.page_ops import PageOps


class TorchBacking(ByteBacking):
    """Each slab is one byte tensor, allocated whole when it is reserved.

    Mapping and unmapping only change the books: `physical_bytes` is what all slabs take, mapped or
    not. Allocators whose slabs add up to the budget (`static`, `padded`) lose nothing by that; one
    that reserves the budget for each of two slabs (`avmp`) holds it twice, as the prototype of its
    paper does. `vmm_backing` holds the budget once.
    """

    def __init__(
        self,
        budget_bytes: int,
        granule_bytes: int = DEFAULT_GRANULE_BYTES,
        device: torch.device | str = "cpu",
        ops: PageOps | None = None,
    ) -> None:
        """Start without a slab.

        Args:
            budget_bytes: See `HostBacking`.
            granule_bytes: See `HostBacking`.
            device: Where slabs lie.
            ops: Copies and fills pages; plain torch by default.
        """
        super().__init__(HostBacking(budget_bytes, granule_bytes), ops or TorchPageOps())
        self.device = torch.device(device)
        self._slabs: list[torch.Tensor] = []

    @property
    def physical_bytes(self) -> int:
        """See `ByteBacking.physical_bytes`: that of whole slabs."""
        return sum(slab.numel() for slab in self._slabs)

    def reserve(self, size_bytes: int) -> int:
        """See `Backing.reserve`; here it takes physical memory, all of it at once."""
        whole = align_up(size_bytes, self.granule_bytes)
        memory = torch.empty(whole + SLAB_ALIGNMENT_BYTES, dtype=torch.uint8, device=self.device)
        start = -memory.data_ptr() % SLAB_ALIGNMENT_BYTES
        self._slabs.append(memory[start : start + whole])
        return self.books.reserve(size_bytes)

    def map(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.map`; only the books change."""
        self.books.map(slab, first_granule, num_granules)

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        """See `Backing.unmap`; only the books change, so nothing in flight can be hurt."""
        self.books.unmap(slab, first_granule, num_granules)

    def slab_bytes(self, slab: int) -> torch.Tensor:
        """See `ByteBacking.slab_bytes`."""
        return self._slabs[slab]

    def note_use(self, slab: int) -> None:
        """See `ByteBacking.note_use`; nothing waits, since nothing is taken away."""

    def close(self) -> None:
        """See `ByteBacking.close`; torch keeps freed memory of a device in its own cache."""
        self._slabs.clear()
