"""The promises of a driver kept by the host's own virtual memory, where there is no device.

Physical memory is an anonymous file (memfd), addresses are reserved without access, and mapping is
mmap at a fixed address. So remapping moves real bytes, an access to what is not mapped faults as
on a device, and what is held can be counted: the logic of `vmm_backing` runs on any Linux.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

import torch

from gpu_backend.driver import DriverError

if TYPE_CHECKING:
    from gpu_backend.driver import Fence

PROT_NONE = 0
MAP_FIXED, MAP_NORESERVE = 0x10, 0x4000  # Linux
FAILED = ctypes.c_void_p(-1).value


class HostDriver:
    """Virtual memory of the host; see `gpu_backend.driver.VirtualMemory`.

    Attributes:
        granule_bytes: The host's page size, or a multiple of it.
    """

    def __init__(self, granule_bytes: int = mmap.PAGESIZE) -> None:
        if granule_bytes < 1 or granule_bytes % mmap.PAGESIZE:
            raise ValueError(f"a granule is a multiple of {mmap.PAGESIZE} bytes")
        self.granule_bytes = granule_bytes
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._sizes: dict[int, int] = {}  # of physical memory
        self._ranges: dict[int, int] = {}  # reserved addresses and their sizes

    @property
    def held_bytes(self) -> int:
        """Physical bytes that are not released."""
        return sum(self._sizes.values())

    @property
    def reserved_bytes(self) -> int:
        """Addresses that are not freed, in bytes."""
        return sum(self._ranges.values())

    def reserve(self, size_bytes: int) -> int:
        """See `VirtualMemory.reserve`."""
        address = self._mmap(0, size_bytes, PROT_NONE, -1, "reserve")
        self._ranges[address] = size_bytes
        return address

    def free(self, address: int, size_bytes: int) -> None:
        """See `VirtualMemory.free`."""
        if self._ranges.get(address) != size_bytes:
            raise DriverError("free failed: no such range is reserved")
        self._libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size_bytes))
        del self._ranges[address]

    def create(self, size_bytes: int) -> int:
        """See `VirtualMemory.create`."""
        memory = os.memfd_create("twinpool")
        os.ftruncate(memory, size_bytes)
        self._sizes[memory] = size_bytes
        return memory

    def release(self, memory: int) -> None:
        """See `VirtualMemory.release`."""
        if self._sizes.pop(memory, None) is None:
            raise DriverError("release failed: no such memory")
        os.close(memory)

    def map(self, address: int, size_bytes: int, memory: int) -> None:
        """See `VirtualMemory.map`."""
        if self._sizes.get(memory) != size_bytes:
            raise DriverError("map failed: a mapping takes all of some physical memory")
        self._mmap(address, size_bytes, PROT_NONE, memory, "map")

    def allow_access(self, address: int, size_bytes: int) -> None:
        """See `VirtualMemory.allow_access`."""
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        size = ctypes.c_size_t(size_bytes)
        if self._libc.mprotect(ctypes.c_void_p(address), size, protection):
            raise DriverError(f"allow_access failed: {os.strerror(ctypes.get_errno())}")

    def unmap(self, address: int, size_bytes: int) -> None:
        """See `VirtualMemory.unmap`."""
        self._mmap(address, size_bytes, PROT_NONE, -1, "unmap")

    def fence(self) -> Fence:
        """See `VirtualMemory.fence`: the host has no work in flight."""
        return _Passed()

    def synchronize(self) -> None:
        """See `VirtualMemory.synchronize`."""

    def tensor(self, address: int, size_bytes: int) -> torch.Tensor:
        """See `VirtualMemory.tensor`."""
        buffer = (ctypes.c_uint8 * size_bytes).from_address(address)
        return torch.frombuffer(buffer, dtype=torch.uint8)

    def _mmap(self, address: int, size_bytes: int, protection: int, file: int, what: str) -> int:
        flags = MAP_FIXED if address else 0
        if file < 0:
            flags |= mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        else:
            flags |= mmap.MAP_SHARED
        size, offset = ctypes.c_size_t(size_bytes), ctypes.c_long(0)
        where = ctypes.c_void_p(address)
        found = self._libc.mmap(where, size, protection, flags, file, offset)
        if found == FAILED:
            raise DriverError(f"{what} failed: {os.strerror(ctypes.get_errno())}")
        return int(found)


class _Passed:
    """A fence on a host, where all work is done when the call returns."""

    def synchronize(self) -> None:
        """See `Fence.synchronize`."""
