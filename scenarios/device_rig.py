"""From a model's name to a device that serves it; what is missing is the user's to mend."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scenarios.decoder import decoder_shape_of
from scenarios.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpu_backend.rig import Rig
    from scenarios.machine import MachineOptions
    from scenarios.model import Model

PRIMITIVE_TRIALS = 20


@contextmanager
def said_as_user_error() -> Iterator[None]:
    """What the GPU mode finds missing becomes a `UserError`: one sentence, exit code 2."""
    from gpu_backend.availability import UnavailableError  # noqa: PLC0415 - with the GPU mode

    try:
        yield
    except UnavailableError as error:
        raise UserError(str(error)) from None


def check_device() -> None:
    """Raise `UnavailableError` unless there is a CUDA device with its bindings and Triton."""
    from gpu_backend.availability import (  # noqa: PLC0415 - with the GPU mode
        check_triton,
        cuda_device,
        driver_module,
    )

    cuda_device()
    driver_module()
    check_triton()


def rig_of(model: Model, options: MachineOptions) -> Rig:
    """Put a model with random weights on the first CUDA device; see `check_device`."""
    check_device()
    from gpu_backend.rig import Rig  # noqa: PLC0415 - it imports torch, which `check_device` found

    return Rig.on_cuda(decoder_shape_of(model, options))


def device_product() -> str:
    """What the first CUDA device calls itself; see `check_device`."""
    check_device()
    from gpu_backend.availability import torch_module  # noqa: PLC0415 - with the GPU mode

    return str(torch_module().cuda.get_device_name(0))


def primitives_of_device() -> dict[str, Any]:
    """What memory calls cost on the first CUDA device; see `check_device`."""
    check_device()
    from gpu_backend.driver import CudaDriver  # noqa: PLC0415 - with the GPU mode
    from gpu_backend.kernels.device.pages import TritonPageOps  # noqa: PLC0415 - the same
    from gpu_backend.primitives import measure_primitives  # noqa: PLC0415 - the same

    return measure_primitives(CudaDriver(), TritonPageOps(), PRIMITIVE_TRIALS)
