"""What a machine must have for the GPU mode; whatever is missing is said in one sentence."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

OLDEST_TRITON = (3, 4)
"""The kernels are written for it and newer; torch 2.8 brings it along."""

GIB = 1 << 30


class UnavailableError(RuntimeError):
    """This machine cannot run the GPU mode; the message is one sentence that says what to do."""


def torch_module() -> Any:  # noqa: ANN401 - a module
    """Torch.

    Raises:
        UnavailableError: If it is not installed.
    """
    if find_spec("torch") is None:
        raise UnavailableError("torch is not installed: install twinpool[gpu]")
    return import_module("torch")


def driver_module() -> Any:  # noqa: ANN401 - a module
    """The bindings of the CUDA driver.

    Raises:
        UnavailableError: If they are not installed.
    """
    if find_spec("cuda") is None or find_spec("cuda.bindings") is None:
        raise UnavailableError("cuda-bindings is not installed: install twinpool[gpu]")
    return import_module("cuda.bindings.driver")


def cuda_device(index: int = 0) -> torch.device:
    """A CUDA device that torch can use.

    Raises:
        UnavailableError: If torch, its CUDA build, the driver or the device is missing.
    """
    module = torch_module()
    if module.version.cuda is None:
        raise UnavailableError(
            f"torch {module.__version__} is built without CUDA: install a CUDA build of it"
        )
    if not module.cuda.is_available():
        raise UnavailableError(
            "no CUDA device answers: install the NVIDIA driver, or make the device visible"
        )
    if index >= module.cuda.device_count():
        raise UnavailableError(
            f"there is no CUDA device {index}: use one below {module.cuda.device_count()}"
        )
    found: torch.device = module.device("cuda", index)
    return found


def check_triton() -> None:
    """Raise `UnavailableError` unless Triton is there and new enough."""
    if find_spec("triton") is None:
        raise UnavailableError("triton is not installed: it comes with a CUDA build of torch")
    found = str(import_module("triton").__version__)
    if _release(found) < OLDEST_TRITON:
        oldest = ".".join(map(str, OLDEST_TRITON))
        raise UnavailableError(f"triton {found} is too old: update torch to get {oldest} or newer")


def check_memory(needed_bytes: int, free_bytes: int) -> None:
    """Raise `UnavailableError` unless so many bytes of device memory are free."""
    if needed_bytes > free_bytes:
        raise UnavailableError(
            f"{needed_bytes / GIB:.2f} GiB of device memory are needed and"
            f" {free_bytes / GIB:.2f} GiB are free: use a smaller model or budget"
        )


def check_granule(granule_bytes: int, device_granule_bytes: int) -> None:
    """Raise `UnavailableError` unless a granule is made of whole granules of the device."""
    if granule_bytes < device_granule_bytes or granule_bytes % device_granule_bytes:
        raise UnavailableError(
            f"a granule of {granule_bytes} bytes is not supported: the device maps multiples of"
            f" {device_granule_bytes} bytes"
        )


def _release(version: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in version.split(".")[:2])
