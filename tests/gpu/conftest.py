"""What tests on a device share."""

from __future__ import annotations

import gc
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
    _warm_up(driver)
    before = _free_bytes(driver)
    yield driver
    assert _free_bytes(driver) >= before


def _warm_up(driver: Any) -> None:  # noqa: ANN401 - imported if torch is
    """Load what torch loads once a process, when it is first used: kernels, and a graph's pool."""
    import torch  # noqa: PLC0415 - only where it is installed

    from gpu_backend.page_ops import Pattern, TorchPageOps  # noqa: PLC0415 - the same

    ops, slab = TorchPageOps(), torch.zeros(4096, dtype=torch.uint8, device=driver.device)
    for page_bytes in (64, 65):  # words, and bytes
        offsets = [0, 4 * page_bytes]
        pattern = Pattern([1, 2], 3)
        ops.fill(slab, page_bytes, offsets, pattern)
        ops.differ(slab, page_bytes, offsets, pattern).nonzero().tolist()
        ops.copy(slab, page_bytes, offsets[:1], offsets[1:])
    total = torch.zeros((), dtype=torch.int64, device=driver.device)
    total.copy_(slab.fill_(1).sum())
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        total.copy_(slab.sum())
    graph.replay()
    torch.cuda.synchronize()


def _free_bytes(driver: Any) -> int:  # noqa: ANN401 - imported if torch is
    """Device memory that is free once torch has given its cache back."""
    import torch  # noqa: PLC0415 - only where it is installed

    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    free: int = driver.free_memory_bytes() + torch.cuda.memory_reserved()
    return free
