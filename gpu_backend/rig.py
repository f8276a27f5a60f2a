"""A device that can serve a model: a decoder with random weights, backings for its caches."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gpu_backend.availability import check_memory, check_triton, cuda_device
from gpu_backend.decoder import Decoder
from gpu_backend.decoder_weights import RandomWeights
from gpu_backend.deferred import DeferredBacking
from gpu_backend.driver import CudaDriver
from gpu_backend.executor import DeviceExecutor
from gpu_backend.host_driver import HostDriver
from gpu_backend.kernels.reference import TorchKernels
from gpu_backend.measure import fill_with_noise
from gpu_backend.page_ops import TorchPageOps
from gpu_backend.primitives import describe_device
from gpu_backend.torch_backing import TorchBacking
from gpu_backend.vmm_backing import VmmBacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gpu_backend.byte_backing import ByteBacking
    from gpu_backend.decoder_caches import SizedManager
    from gpu_backend.decoder_shape import DecoderShape
    from gpu_backend.driver import VirtualMemory
    from gpu_backend.page_ops import PageOps
    from gpu_backend.sequence_tables import Limits
    from sim.step import StepExecutor

WORK_BYTES = 6 << 30
"""Device memory left for activations, captured graphs and libraries beside weights and caches."""


@dataclass(frozen=True, slots=True)
class Rig:
    """A model on a device, or on the host for tests.

    Attributes:
        decoder: The model.
        driver: The device's virtual memory.
        page_ops: What copies, fills and compares pages.
        measured_on: Product, driver and versions, by name.
    """

    decoder: Decoder
    driver: VirtualMemory
    page_ops: PageOps
    measured_on: dict[str, str]

    @classmethod
    def on_cuda(cls, shape: DecoderShape) -> Rig:
        """Put a decoder of a shape on the first CUDA device.

        Raises:
            UnavailableError: If there is none, or something that it needs is missing.
        """
        device = cuda_device()
        check_triton()
        driver = CudaDriver()
        from gpu_backend.kernels.device.kernels import TritonKernels  # noqa: PLC0415 - needs triton
        from gpu_backend.kernels.device.pages import TritonPageOps  # noqa: PLC0415 - the same

        decoder = Decoder(shape, RandomWeights(shape, str(device)).decoder(), TritonKernels())
        return cls(decoder, driver, TritonPageOps(), describe_device(device))

    @classmethod
    def on_host(cls, shape: DecoderShape) -> Rig:
        """Put a decoder of a shape on the host: slow, the same logic."""
        decoder = Decoder(shape, RandomWeights(shape, "cpu").decoder(), TorchKernels())
        return cls(
            decoder, HostDriver(), TorchPageOps(), {"name": "host", "torch": torch.__version__}
        )

    def backing(self, kind: str, budget_bytes: int, granule_bytes: int) -> ByteBacking:
        """Memory for caches, a kind in `BACKINGS`; use it in a `with` statement.

        Raises:
            UnavailableError: If the device maps no such granules, or has too little memory left.
        """
        device = self.decoder.weights.embedding.device
        if device.type == "cuda":
            free_bytes, _ = torch.cuda.mem_get_info(device)
            check_memory(budget_bytes + WORK_BYTES, free_bytes)
        return BACKINGS[kind](self, budget_bytes, granule_bytes)

    def fill(self, backing: ByteBacking, slabs: int) -> None:
        """Fill mapped slabs with random numbers: zeros would be faster to compute with."""
        for slab in range(slabs):
            fill_with_noise(backing.slab_bytes(slab))

    def ready_copies(self, page_bytes: Iterable[int]) -> None:
        """Copy a page of each size once, in memory of its own: a kernel is compiled by size."""
        device = self.decoder.weights.embedding.device
        for size in page_bytes:
            slab = torch.zeros(2 * size, dtype=torch.uint8, device=device)
            self.page_ops.copy(slab, size, [0], [size])

    def executor(self, manager: SizedManager, backing: ByteBacking, limits: Limits) -> StepExecutor:
        """Runs the steps of an engine whose manager is laid out over a backing of this rig."""
        return DeviceExecutor(self.decoder, manager, backing, limits)

    def release_unused(self) -> None:
        """Give memory back that torch keeps for later."""
        gc.collect()  # an executor and its graphs hold each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _vmm(rig: Rig, budget_bytes: int, granule_bytes: int) -> ByteBacking:
    return DeferredBacking(VmmBacking(budget_bytes, rig.driver, granule_bytes, rig.page_ops))


def _torch(rig: Rig, budget_bytes: int, granule_bytes: int) -> ByteBacking:
    device = rig.decoder.weights.embedding.device
    return TorchBacking(budget_bytes, granule_bytes, device, rig.page_ops)


BACKINGS: dict[str, Callable[[Rig, int, int], ByteBacking]] = {"vmm": _vmm, "torch": _torch}
"""By the names of the command line."""
