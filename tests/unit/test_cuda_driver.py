"""The calls that go to the driver, on a driver that only notes them."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
driver_module = pytest.importorskip("gpu_backend.driver")
availability = pytest.importorskip("gpu_backend.availability")

GRANULE = 2 << 20


class Result(Enum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2


class Bindings:
    """As `cuda.bindings.driver` answers: a status, then values."""

    CUresult = Result
    CUmemAllocationGranularity_flags = SimpleNamespace(CU_MEM_ALLOC_GRANULARITY_MINIMUM="minimum")
    CUmemAllocationType = SimpleNamespace(CU_MEM_ALLOCATION_TYPE_PINNED="pinned")
    CUmemLocationType = SimpleNamespace(CU_MEM_LOCATION_TYPE_DEVICE="on device")
    CUmemAccess_flags = SimpleNamespace(CU_MEM_ACCESS_FLAGS_PROT_READWRITE="read and write")
    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED="virtual memory"
    )

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.failing = ""
        self.supported = 1

    @staticmethod
    def CUmemAllocationProp() -> SimpleNamespace:  # noqa: N802 - the driver's name
        return SimpleNamespace(location=SimpleNamespace())

    @staticmethod
    def CUmemAccessDesc() -> SimpleNamespace:  # noqa: N802 - the driver's name
        return SimpleNamespace()

    @staticmethod
    def cuGetErrorString(status: Result) -> tuple[Result, bytes]:  # noqa: N802 - the driver's name
        return Result.CUDA_SUCCESS, status.name.lower().encode()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a call of the driver
        answers: dict[str, tuple[object, ...]] = {
            "cuDeviceGet": ("device 0",),
            "cuDeviceGetAttribute": (self.supported,),
            "cuMemGetAllocationGranularity": (GRANULE,),
            "cuMemAddressReserve": (0x7000,),
            "cuMemCreate": (41,),
            "cuMemGetInfo": (30, 80),
        }

        def call(*arguments: object) -> tuple[object, ...]:
            self.calls.append((name, *arguments))
            if name == self.failing:
                return (Result.CUDA_ERROR_OUT_OF_MEMORY, None)
            return (Result.CUDA_SUCCESS, *answers.get(name, ()))

        return call


@pytest.fixture
def bindings(monkeypatch: pytest.MonkeyPatch) -> Bindings:
    fake_cuda = SimpleNamespace(device=lambda _: _Nothing(), synchronize=lambda *_: None)
    monkeypatch.setattr(driver_module, "cuda_device", lambda index: torch.device("cuda", index))
    monkeypatch.setattr(driver_module, "torch_module", lambda: SimpleNamespace(cuda=fake_cuda))
    return Bindings()


class _Nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


def test_every_call_goes_through_with_its_arguments(bindings: Bindings) -> None:
    driver = driver_module.CudaDriver(0, bindings)
    assert driver.granule_bytes == GRANULE
    bindings.calls.clear()
    assert driver.reserve(3 * GRANULE) == 0x7000
    assert driver.create(GRANULE) == 41
    driver.map(0x7000, GRANULE, 41)
    driver.allow_access(0x7000, GRANULE)
    driver.unmap(0x7000, GRANULE)
    driver.release(41)
    driver.free(0x7000, 3 * GRANULE)
    assert driver.free_memory_bytes() == 30
    names = [call[0] for call in bindings.calls]
    assert names == [
        "cuMemAddressReserve",
        "cuMemCreate",
        "cuMemMap",
        "cuMemSetAccess",
        "cuMemUnmap",
        "cuMemRelease",
        "cuMemAddressFree",
        "cuMemGetInfo",
    ]
    created, access = bindings.calls[1], bindings.calls[3]
    assert (created[2].type, created[2].location.type, created[2].location.id) == (
        "pinned",
        "on device",
        0,
    )
    assert (access[3][0].flags, access[3][0].location) == ("read and write", created[2].location)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("cuMemAddressReserve", lambda d: d.reserve(GRANULE)),
        ("cuMemAddressFree", lambda d: d.free(0x7000, GRANULE)),
        ("cuMemCreate", lambda d: d.create(GRANULE)),
        ("cuMemRelease", lambda d: d.release(41)),
        ("cuMemMap", lambda d: d.map(0x7000, GRANULE, 41)),
        ("cuMemSetAccess", lambda d: d.allow_access(0x7000, GRANULE)),
        ("cuMemUnmap", lambda d: d.unmap(0x7000, GRANULE)),
        ("cuMemGetInfo", lambda d: d.free_memory_bytes()),
    ],
)
def test_no_failure_passes_unseen(bindings: Bindings, name: str, call: Any) -> None:  # noqa: ANN401 - a lambda
    driver = driver_module.CudaDriver(0, bindings)
    bindings.failing = name
    sentence = rf"{name} failed: CUDA_ERROR_OUT_OF_MEMORY \(cuda_error_out_of_memory\)"
    with pytest.raises(driver_module.DriverError, match=sentence):
        call(driver)


def test_a_device_without_virtual_memory_is_refused(bindings: Bindings) -> None:
    bindings.supported = 0
    with pytest.raises(availability.UnavailableError, match="no virtual memory management"):
        driver_module.CudaDriver(0, bindings)
