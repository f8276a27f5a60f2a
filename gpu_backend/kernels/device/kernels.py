"""The kernels in Triton, as the object that a decoder takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpu_backend.kernels.device import conv, decode, norm, prefill, state, store

if TYPE_CHECKING:
    import torch


class TritonKernels:
    """See `Kernels`; needs a CUDA device, or Triton's interpreter."""

    store_kv = staticmethod(store.store_kv)
    attend = staticmethod(decode.attend)
    attend_chunks = staticmethod(prefill.attend_chunks)
    convolve = staticmethod(conv.convolve)
    update_state = staticmethod(state.update_state)
    scan = staticmethod(state.scan)
    gated_norm = staticmethod(norm.gated_norm)

    def norm(
        self, x: torch.Tensor, added: torch.Tensor | None, weight: torch.Tensor, eps: float
    ) -> torch.Tensor:
        """See `Kernels.norm`."""
        return norm.norm(x, added, weight, eps)

    def gated_silu(self, x: torch.Tensor) -> torch.Tensor:
        """See `Kernels.gated_silu`."""
        return norm.activate(x, gated=True)

    def squared_relu(self, x: torch.Tensor) -> torch.Tensor:
        """See `Kernels.squared_relu`."""
        return norm.activate(x, gated=False)
