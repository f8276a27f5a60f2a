"""Backings on a device: integrity, footprint, and what a failure leaves behind."""

from __future__ import annotations

import gc
import random
from typing import TYPE_CHECKING, Any

import pytest

from allocator.interface import OutOfMemoryError
from allocator.managers.avmp import AvmpManager, AvmpOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from allocator.backing import Backing
    from gpu_backend.driver import CudaDriver

torch = pytest.importorskip("torch", reason="torch is not installed")
driver_module = pytest.importorskip("gpu_backend.driver")
guarded = pytest.importorskip("gpu_backend.guarded")
torch_backing = pytest.importorskip("gpu_backend.torch_backing")
vmm_backing = pytest.importorskip("gpu_backend.vmm_backing")
page_ops = pytest.importorskip("gpu_backend.page_ops")
availability = pytest.importorskip("gpu_backend.availability")

pytestmark = pytest.mark.gpu

MIB = 1 << 20
SPEC = CacheSpec(
    (
        CacheGroup("kv", CacheKind.ATTENTION, 4, 4096),
        CacheGroup("ssm", CacheKind.STATE, 8, 1_077_248),
    )
)
"""Layers of the sizes of Nemotron-H-8B's: KV pages of 64 KiB, states of 1 MiB."""


@pytest.fixture
def cuda_driver() -> Iterator[CudaDriver]:
    """The driver of the first CUDA device, with a check that nothing stays allocated."""
    try:
        driver = driver_module.CudaDriver()
    except availability.UnavailableError as error:
        pytest.skip(str(error))
    _warm_up(driver)
    before = _free_bytes(driver)
    yield driver
    assert _free_bytes(driver) >= before


def _warm_up(driver: CudaDriver) -> None:
    """Load what torch loads once a process, when it is first used: kernels, and a graph's pool."""
    ops, slab = page_ops.TorchPageOps(), torch.zeros(4096, dtype=torch.uint8, device=driver.device)
    for page_bytes in (64, 65):  # words, and bytes
        offsets = [0, 4 * page_bytes]
        pattern = page_ops.Pattern([1, 2], 3)
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


def _free_bytes(driver: CudaDriver) -> int:
    """Device memory that is free once torch has given its cache back."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    free: int = driver.free_memory_bytes() + torch.cuda.memory_reserved()
    return free


def churned(backing: Backing, calls: int) -> tuple[Any, AvmpManager]:
    """Random calls over a guarded backing; the guard after them."""
    guard = guarded.GuardedBacking(backing)
    manager = AvmpManager(SPEC, guard, AvmpOptions(batch=8, unit=8))
    chance, live = random.Random(7), {}  # noqa: S311 - reproducible
    for number in range(calls):
        kind = chance.random()
        phase = number * 6 // calls % 2  # many short sequences, then few long ones: units move
        try:
            if kind < 0.4:
                manager.admit(number, chance.randint(1, 400 if phase else 40))
                live[number] = True
            elif kind < 0.7 and live:
                manager.extend(chance.choice(list(live)), chance.randint(1, 300 if phase else 10))
            elif live:
                manager.release(sequence := chance.choice(list(live)))
                del live[sequence]
        except OutOfMemoryError:
            for sequence in list(live)[: len(live) // 2]:
                manager.release(sequence)
                del live[sequence]
        manager.prepare(200)
        if number % 4 == 0:
            tables = (manager.block_table(s, g.name) for s in live for g in SPEC.groups)
            guard.observe({handle: manager.place(handle) for table in tables for handle in table})
            if number % 40 == 0:
                guard.verify()
    guard.verify()
    manager.check_integrity()
    return guard, manager


def test_pages_keep_their_bytes_while_memory_moves(cuda_driver: CudaDriver) -> None:
    budget = 512 * MIB
    before = cuda_driver.free_memory_bytes()
    with vmm_backing.VmmBacking(budget, cuda_driver) as backing:
        guard, _ = churned(backing, 2500)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        held = before - cuda_driver.free_memory_bytes() - torch.cuda.memory_reserved()
        counts = backing.counters()
        found = f"{guard.verified_pages} pages verified, {counts}, {held / budget:.4f} x budget"
        print(found)  # noqa: T201 - for the page on the GPU mode (pytest -s)
        assert guard.corrupted_pages == 0
        assert counts.unmaps > 15
        assert counts.copies > 3
        assert backing.physical_bytes == budget
        assert held <= 1.01 * budget + cuda_driver.granule_bytes
    torch.cuda.empty_cache()
    assert cuda_driver.free_memory_bytes() + torch.cuda.memory_reserved() >= before


def test_torch_slabs_of_a_device_keep_their_bytes_and_hold_the_budget_twice(
    cuda_driver: CudaDriver,
) -> None:
    with torch_backing.TorchBacking(256 * MIB, device=cuda_driver.device) as backing:
        guard, _ = churned(backing, 800)
        assert guard.corrupted_pages == 0
        assert guard.verified_pages > 1000
        assert backing.physical_bytes == 512 * MIB


def test_lists_of_any_length_need_no_other_kernel_than_the_first(
    cuda_driver: CudaDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton = pytest.importorskip("triton", reason="triton is not installed")
    pages = pytest.importorskip("gpu_backend.kernels.device.pages")
    ops, page_bytes, compiled = pages.TritonPageOps(), 4080, []
    slab = torch.randint(255, (12 * page_bytes,), dtype=torch.uint8, device=cuda_driver.device)
    hook = "jit_post_compile_hook"
    monkeypatch.setattr(triton.knobs.runtime, hook, lambda **_: compiled.append(1))
    for count in range(1, 7):
        sources = [i * page_bytes for i in range(count)]
        targets = [(6 + i) * page_bytes for i in range(count)]
        ops.copy(slab, page_bytes, sources, targets)
        assert torch.equal(slab[: count * page_bytes], slab[6 * page_bytes :][: count * page_bytes])
    assert len(compiled) == 1


class FailingDriver:
    """The device's driver, until one call of a kind fails."""

    def __init__(self, inner: Any, name: str, at: int) -> None:  # noqa: ANN401 - imported if torch is
        self._inner, self._name, self._left = inner, name, at

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a method of the driver
        method = getattr(self._inner, name)
        return self._fail_perhaps if name == self._name else method

    def _fail_perhaps(self, *arguments: int) -> Any:  # noqa: ANN401 - what the call returns
        self._left -= 1
        if self._left == 0:
            raise driver_module.DriverError(f"{self._name} failed: made to")
        return getattr(self._inner, self._name)(*arguments)


@pytest.mark.parametrize("name", ["reserve", "create", "map", "allow_access", "unmap"])
def test_a_run_that_fails_half_way_leaves_no_device_memory(
    cuda_driver: CudaDriver, name: str
) -> None:
    before = cuda_driver.free_memory_bytes()
    failing = FailingDriver(cuda_driver, name, at=2)
    with vmm_backing.VmmBacking(256 * MIB, failing) as backing:
        with pytest.raises(driver_module.DriverError, match="made to"):
            churned(backing, 2000)
        backing.check_integrity()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    assert cuda_driver.free_memory_bytes() + torch.cuda.memory_reserved() >= before


def test_more_than_the_device_has_is_refused_and_changes_nothing(cuda_driver: CudaDriver) -> None:
    free = cuda_driver.free_memory_bytes()
    granule = cuda_driver.granule_bytes
    with vmm_backing.VmmBacking(2 * free, cuda_driver) as backing:
        slab = backing.reserve(2 * free // granule * granule)
        with pytest.raises(driver_module.DriverError, match=r"cuMemCreate failed.*OUT_OF_MEMORY"):
            backing.map(slab, 0, backing.num_granules)
        assert backing.physical_bytes == 0
        backing.map(slab, 3, 1)
        backing.slab_bytes(slab)[3 * granule : 4 * granule] = 9


def test_a_mapped_granule_is_used_by_a_kernel_given_later_and_a_graph_keeps_working(
    cuda_driver: CudaDriver,
) -> None:
    granule = cuda_driver.granule_bytes
    with vmm_backing.VmmBacking(4 * granule, cuda_driver) as backing:
        one, two = (backing.reserve(2 * granule) for _ in range(2))
        for slab in (one, two):
            for first in range(2):
                backing.map(slab, first, 1)
        view = backing.slab_bytes(one)
        view.fill_(1)
        total = torch.zeros((), dtype=torch.int64, device=cuda_driver.device)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            total.copy_(view[granule : granule + 4096].sum())
        graph.replay()
        torch.cuda.synchronize()
        assert int(total) == 4096
        backing.slab_bytes(two)[granule:] = 2
        backing.note_use(two)
        backing.unmap(one, 1, 1)
        backing.unmap(two, 1, 1)
        backing.map(one, 1, 1)  # the piece that came back last: that of the other slab
        graph.replay()
        torch.cuda.synchronize()
        assert int(total) == 2 * 4096


def test_capacity_moves_beside_a_kernel_that_reads_live_pages(cuda_driver: CudaDriver) -> None:
    """No call waits for the kernel, and the kernel reads what it should."""
    granule = cuda_driver.granule_bytes
    with vmm_backing.VmmBacking(16 * granule, cuda_driver) as backing:
        one, two = (backing.reserve(16 * granule) for _ in range(2))
        for first in range(16):
            backing.map(one, first, 1)
        live = backing.slab_bytes(one)[: 8 * granule]
        live.random_()
        expected = int(live.sum())
        total = torch.zeros((), dtype=torch.int64, device=cuda_driver.device)
        torch.cuda.synchronize()
        for _ in range(2000):
            total += live.sum()
        fence = torch.cuda.current_stream().record_event()
        for first in range(15, 7, -1):
            backing.unmap(one, first, 1)
        for first in range(8):
            backing.map(two, first, 1)
        assert not fence.query()
        torch.cuda.synchronize()
        assert int(total) == 2000 * expected
        backing.slab_bytes(two)[: 8 * granule] = 3
        assert int(live.sum()) == expected
