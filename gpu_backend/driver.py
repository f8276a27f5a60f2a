"""Virtual memory of a device: the few driver calls that a backing needs, every one checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gpu_backend.availability import UnavailableError, cuda_device, driver_module, torch_module

if TYPE_CHECKING:
    import torch


class DriverError(RuntimeError):
    """A driver call failed; the message names the call and says why."""


class Fence(Protocol):
    """A point in the work given to a device."""

    def synchronize(self) -> None:
        """Wait until the device has passed it."""


class VirtualMemory(Protocol):
    """What `vmm_backing` asks of a driver; addresses and memory are plain integers.

    Every call does what it says or raises `DriverError` and leaves everything as it was.

    Attributes:
        granule_bytes: The unit of sizes and addresses.
    """

    granule_bytes: int

    def reserve(self, size_bytes: int) -> int:
        """Reserve addresses; returns the first."""

    def free(self, address: int, size_bytes: int) -> None:
        """Give back what `reserve` returned, nothing of it mapped."""

    def create(self, size_bytes: int) -> int:
        """Allocate physical memory; returns its number."""

    def release(self, memory: int) -> None:
        """Give physical memory back that is mapped nowhere."""

    def map(self, address: int, size_bytes: int, memory: int) -> None:
        """Put physical memory, all of it, behind addresses."""

    def allow_access(self, address: int, size_bytes: int) -> None:
        """Let the device read and write mapped addresses."""

    def unmap(self, address: int, size_bytes: int) -> None:
        """Take physical memory away from addresses: one or several whole mappings."""

    def fence(self) -> Fence:
        """The point that the current stream has reached in the work given to it."""

    def synchronize(self) -> None:
        """Wait for all work of the device."""

    def tensor(self, address: int, size_bytes: int) -> torch.Tensor:
        """Bytes at reserved addresses as a tensor: uint8, shape (size_bytes,)."""


class CudaDriver:
    """The CUDA driver API through cuda-bindings 12 or 13, on one device.

    Source of the rules: CUDA driver API reference, "Virtual Memory Management". Calls are issued
    in the context that torch uses on the device.

    Attributes:
        granule_bytes: See `VirtualMemory`; the smallest that the driver maps.
        device: The device, as torch calls it.
    """

    def __init__(self, device_index: int = 0, bindings: Any = None) -> None:  # noqa: ANN401 - a module
        """Look at a device.

        Args:
            device_index: Number of the device.
            bindings: Instead of `cuda.bindings.driver`, for tests.

        Raises:
            UnavailableError: If the device, or what it takes to use it, is missing.
            DriverError: If a call fails.
        """
        self._cuda: Any = driver_module() if bindings is None else bindings
        self.device = cuda_device(device_index)
        self._torch = torch_module()
        with self._torch.cuda.device(self.device):
            self._torch.cuda.synchronize()  # makes the context of torch the current one
        self._check_support(device_index)
        self._properties = self._allocation_properties(device_index)
        self._access = self._access_description()
        minimum = self._cuda.CUmemAllocationGranularity_flags.CU_MEM_ALLOC_GRANULARITY_MINIMUM
        self.granule_bytes = int(
            self._call("cuMemGetAllocationGranularity", self._properties, minimum)
        )

    def reserve(self, size_bytes: int) -> int:
        """See `VirtualMemory.reserve`."""
        return int(self._call("cuMemAddressReserve", size_bytes, 0, 0, 0))

    def free(self, address: int, size_bytes: int) -> None:
        """See `VirtualMemory.free`."""
        self._call("cuMemAddressFree", address, size_bytes)

    def create(self, size_bytes: int) -> int:
        """See `VirtualMemory.create`."""
        return int(self._call("cuMemCreate", size_bytes, self._properties, 0))

    def release(self, memory: int) -> None:
        """See `VirtualMemory.release`."""
        self._call("cuMemRelease", memory)

    def map(self, address: int, size_bytes: int, memory: int) -> None:
        """See `VirtualMemory.map`."""
        self._call("cuMemMap", address, size_bytes, 0, memory, 0)

    def allow_access(self, address: int, size_bytes: int) -> None:
        """See `VirtualMemory.allow_access`."""
        self._call("cuMemSetAccess", address, size_bytes, [self._access], 1)

    def unmap(self, address: int, size_bytes: int) -> None:
        """See `VirtualMemory.unmap`."""
        self._call("cuMemUnmap", address, size_bytes)

    def fence(self) -> Fence:
        """See `VirtualMemory.fence`."""
        event: Fence = self._torch.cuda.current_stream(self.device).record_event()
        return event

    def synchronize(self) -> None:
        """See `VirtualMemory.synchronize`."""
        self._torch.cuda.synchronize(self.device)

    def tensor(self, address: int, size_bytes: int) -> torch.Tensor:
        """See `VirtualMemory.tensor`."""
        # The device is named with its number, so torch does not ask whose an unmapped address is.
        view: torch.Tensor = self._torch.as_tensor(
            _Addresses(address, size_bytes), device=self.device
        )
        return view

    def free_memory_bytes(self) -> int:
        """Device memory that nobody has allocated."""
        free_bytes, _total_bytes = self._call("cuMemGetInfo")
        return int(free_bytes)

    def _call(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - what the call returns
        """Call the driver; returns its value, or values, without the status."""
        status, *values = getattr(self._cuda, name)(*arguments)
        if status != self._cuda.CUresult.CUDA_SUCCESS:
            raise DriverError(f"{name} failed: {status.name}{_meaning(self._cuda, status)}")
        return values[0] if len(values) == 1 else values

    def _check_support(self, index: int) -> None:
        attribute = self._cuda.CUdevice_attribute
        name = attribute.CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED
        if not self._call("cuDeviceGetAttribute", name, self._call("cuDeviceGet", index)):
            raise UnavailableError("the device has no virtual memory management: use torch slabs")

    def _allocation_properties(self, index: int) -> Any:  # noqa: ANN401 - a driver structure
        properties = self._cuda.CUmemAllocationProp()
        properties.type = self._cuda.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
        properties.location.type = self._cuda.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
        properties.location.id = index
        return properties

    def _access_description(self) -> Any:  # noqa: ANN401 - a driver structure
        access = self._cuda.CUmemAccessDesc()
        access.location = self._properties.location
        access.flags = self._cuda.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
        return access


class _Addresses:
    """Device memory at fixed addresses, as the CUDA array interface (version 3) describes it."""

    def __init__(self, address: int, size_bytes: int) -> None:
        self.__cuda_array_interface__ = {
            "shape": (size_bytes,),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }


def _meaning(cuda: Any, status: object) -> str:  # noqa: ANN401 - a module
    """What the driver says of an error, if it says anything."""
    found, text = cuda.cuGetErrorString(status)
    return f" ({text.decode()})" if found == cuda.CUresult.CUDA_SUCCESS and text else ""
