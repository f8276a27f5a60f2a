"""What tests on a device share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cuda_driver() -> Iterator[Any]:
    """The driver of the first CUDA device, with a check that nothing stays allocated."""
    pytest.importorskip("torch", reason="torch is not installed")
    from gpu_backend.availability import UnavailableError  # noqa: PLC0415 - only where torch is
    from gpu_backend.driver import CudaDriver  # noqa: PLC0415 - the same

    try:
        driver = CudaDriver()
    except UnavailableError as error:
        pytest.skip(str(error))
    import torch  # noqa: PLC0415 - only where it is installed

    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = driver.free_memory_bytes()
    yield driver
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    kept = torch.cuda.memory_reserved()
    assert driver.free_memory_bytes() + kept >= before
