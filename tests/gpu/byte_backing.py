"""A backing that holds bytes and spoils what nobody owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from allocator.backing import HostBacking

if TYPE_CHECKING:
    from collections.abc import Sequence

SPOILT = 255
"""Four such bytes are NaN in every type of float."""


class ByteBacking(HostBacking):
    """The accounting of a host backing, over tensors."""

    def __init__(self, budget_bytes: int, granule_bytes: int, device: str = "cpu") -> None:
        super().__init__(budget_bytes, granule_bytes)
        self._device = device
        self._slabs: list[torch.Tensor] = []

    def reserve(self, size_bytes: int) -> int:
        number = super().reserve(size_bytes)
        size_bytes = -(-size_bytes // self.granule_bytes) * self.granule_bytes
        self._slabs.append(
            torch.full((size_bytes,), SPOILT, dtype=torch.uint8, device=self._device)
        )
        return number

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        super().unmap(slab, first_granule, num_granules)
        first = first_granule * self.granule_bytes
        self._slabs[slab][first : first + num_granules * self.granule_bytes] = SPOILT

    def copy_pages(self, slab: int, page_bytes: int, pairs: Sequence[tuple[int, int]]) -> None:
        super().copy_pages(slab, page_bytes, pairs)
        bytes_ = self._slabs[slab]
        for source, target in pairs:
            bytes_[target : target + page_bytes] = bytes_[source : source + page_bytes].clone()

    def slab_bytes(self, slab: int) -> torch.Tensor:
        return self._slabs[slab]
