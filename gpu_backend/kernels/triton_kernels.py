"""The kernels in Triton, as the object that a decoder takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpu_backend.kernels import (
    triton_conv,
    triton_decode,
    triton_norm,
    triton_prefill,
    triton_state,
    triton_store,
)

if TYPE_CHECKING:
    import torch


class TritonKernels:
    """See `Kernels`; needs a CUDA device, or Triton's interpreter."""

    norm = staticmethod(triton_norm.norm)
    gated_norm = staticmethod(triton_norm.gated_norm)
    store_kv = staticmethod(triton_store.store_kv)
    attend_chunks = staticmethod(triton_prefill.attend_chunks)
    convolve = staticmethod(triton_conv.convolve)
    scan = staticmethod(triton_state.scan)
    attend = staticmethod(triton_decode.attend)
    update_state = staticmethod(triton_state.update_state)

    def gated_silu(self, x: torch.Tensor) -> torch.Tensor:
        """See `Kernels.gated_silu`."""
        return triton_norm.activate(x, gated=True)

    def squared_relu(self, x: torch.Tensor) -> torch.Tensor:
        """See `Kernels.squared_relu`."""
        return triton_norm.activate(x, gated=False)
