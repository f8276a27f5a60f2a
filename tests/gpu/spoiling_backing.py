"""A backing that spoils what nobody owns, so that whoever reads it is found out."""

from __future__ import annotations

from gpu_backend.torch_backing import TorchBacking

SPOILT = 255
"""Four such bytes are NaN in every type of float."""


class SpoilingBacking(TorchBacking):
    """Memory that is reserved or unmapped holds NaN."""

    def reserve(self, size_bytes: int) -> int:
        number = super().reserve(size_bytes)
        self.slab_bytes(number).fill_(SPOILT)
        return number

    def unmap(self, slab: int, first_granule: int, num_granules: int) -> None:
        super().unmap(slab, first_granule, num_granules)
        first = first_granule * self.granule_bytes
        self.slab_bytes(slab)[first : first + num_granules * self.granule_bytes] = SPOILT
