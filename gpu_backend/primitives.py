"""What the memory operations of an allocator cost on a device, one JSON of measurements.

`python -m gpu_backend.primitives FILE.json` measures the first device.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from gpu_backend.availability import UnavailableError
from gpu_backend.driver import CudaDriver
from gpu_backend.measure import BusyKernel, Timing, device_timing, host_timing, random_bytes
from gpu_backend.page_ops import TorchPageOps
from gpu_backend.vmm_backing import VmmBacking

if TYPE_CHECKING:
    from gpu_backend.page_ops import PageOps

MIB = 1 << 20
Row = dict[str, Any]

MAPPING_MIB = (2, 8, 32, 128)
MAPPING_COUNTS = (1, 2, 4, 8, 16)
PAGE_BYTES = (32 << 10, 64 << 10, 512 << 10, 2 << 20)
PAGE_COUNTS = (1, 16, 256)
TABLE_ENTRIES = (1, 64, 4096, 262_144)
MIGRATION_MIB = (2, 8, 32, 128, 512)
BUSY_NS = 20_000_000


def mapping_rows(driver: CudaDriver, beside_kernel: bool, trials: int) -> list[Row]:  # noqa: FBT001 - idle or not, the axis of the table
    """Host time of moving n mappings of a size: unmap, map, set access, and all three.

    Beside a kernel each row says too in how many trials the kernel still ran at the end, so that
    no call can have waited for it.
    """
    busy = BusyKernel(driver.device, BUSY_NS) if beside_kernel else None
    rows = []
    for size_mib in MAPPING_MIB:
        for count in MAPPING_COUNTS:
            with _Mappings(driver, size_mib * MIB, count) as mappings:
                rows.append(mappings.move(busy, trials))
    return rows


class _Mappings:
    """n pieces of memory that move to and fro between two ranges of addresses."""

    def __init__(self, driver: CudaDriver, size_bytes: int, count: int) -> None:
        self._driver = driver
        self._size = size_bytes
        self._count = count
        self._stack = ExitStack()
        self._ranges: list[int] = []
        self._memory: list[int] = []
        self._at = 0

    def __enter__(self) -> Self:
        driver, whole = self._driver, self._size * self._count
        with ExitStack() as stack:
            for _ in range(2):
                self._ranges.append(driver.reserve(whole))
                stack.callback(driver.free, self._ranges[-1], whole)
            for _ in range(self._count):
                self._memory.append(driver.create(self._size))
                stack.callback(driver.release, self._memory[-1])
            self._map(0)
            stack.callback(self._unmap)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._driver.synchronize()
        self._stack.close()

    def move(self, busy: BusyKernel | None, trials: int) -> Row:
        """Move all pieces to the other range, again and again."""
        durations: defaultdict[str, list[float]] = defaultdict(list)
        still_running = 0
        for trial in range(trials + 2):
            fence = None
            if busy is not None:
                busy.wait()
                busy.start()
                fence = busy.fence()
            marks = self._move_once()
            if busy is not None and busy.is_running(fence):
                still_running += 1
            if trial >= 2:  # noqa: PLR2004 - the first two warm up
                for name, duration_ns in marks.items():
                    durations[name].append(duration_ns)
        row: Row = {"size_mib": self._size // MIB, "count": self._count}
        row |= {name: Timing.of(found).to_json() for name, found in durations.items()}
        if busy is not None:
            row |= {"kernel_still_ran": still_running, "of_trials": trials + 2}
        return row

    def _move_once(self) -> dict[str, float]:
        clock = time.perf_counter_ns
        start = clock()
        self._unmap()
        unmapped = clock()
        self._at = 1 - self._at
        for number, memory in enumerate(self._memory):
            address = self._ranges[self._at] + number * self._size
            self._driver.map(address, self._size, memory)
        mapped = clock()
        for number in range(self._count):
            self._driver.allow_access(self._ranges[self._at] + number * self._size, self._size)
        end = clock()
        return {
            "unmap": unmapped - start,
            "map": mapped - unmapped,
            "access": end - mapped,
            "all": end - start,
        }

    def _map(self, to: int) -> None:
        self._at = to
        for number, memory in enumerate(self._memory):
            address = self._ranges[to] + number * self._size
            self._driver.map(address, self._size, memory)
            self._driver.allow_access(address, self._size)

    def _unmap(self) -> None:
        for number in range(self._count):
            self._driver.unmap(self._ranges[self._at] + number * self._size, self._size)


def creation_rows(driver: CudaDriver, trials: int) -> list[Row]:
    """Host time of creating and releasing physical memory, and of reserving addresses."""
    rows = []
    for size_mib in MAPPING_MIB:
        size_bytes = size_mib * MIB
        created: list[int] = []

        def create(size_bytes: int = size_bytes, created: list[int] = created) -> None:
            created.append(driver.create(size_bytes))

        made = host_timing(create, trials)
        gone = host_timing(lambda created=created: driver.release(created.pop()), trials)  # type: ignore[misc]
        row = {"size_mib": size_mib, "create": made.to_json(), "release": gone.to_json()}
        rows.append(row)
    return rows


def copy_rows(ops: PageOps, device: torch.device, trials: int) -> list[Row]:
    """Device and host time of one batched copy, by page size and number of pages."""
    rows = []
    for page_bytes in PAGE_BYTES:
        for count in PAGE_COUNTS:
            slab = random_bytes(2 * count * page_bytes, device)
            order = torch.randperm(2 * count, generator=torch.Generator().manual_seed(count))
            offsets = [number * page_bytes for number in order.tolist()]
            sources, targets = offsets[:count], offsets[count:]

            def copy(
                slab: torch.Tensor = slab,
                page_bytes: int = page_bytes,
                sources: list[int] = sources,
                targets: list[int] = targets,
            ) -> None:
                ops.copy(slab, page_bytes, sources, targets)

            on_device = device_timing(copy, device, trials)
            moved_bytes = 2 * count * page_bytes
            rows.append(
                {
                    "page_bytes": page_bytes,
                    "count": count,
                    "device": on_device.to_json(),
                    "host": host_timing(copy, trials).to_json(),
                    "tb_per_s": moved_bytes / on_device.median_ns / 1000,
                }
            )
    return rows


def table_rows(device: torch.device, trials: int) -> list[Row]:
    """Time of one incremental update of a page table on the device, by entries.

    Entry numbers (64 bits) and pages (32 bits) go up pinned, and one scatter writes them.
    """
    rows = []
    table = torch.zeros(1 << 20, dtype=torch.int32, device=device)
    for entries in TABLE_ENTRIES:
        order = torch.randperm(1 << 20, generator=torch.Generator().manual_seed(1))[:entries]
        numbers, pages = order.pin_memory(), order.flip(0).int().pin_memory()

        def upload(numbers: torch.Tensor = numbers, pages: torch.Tensor = pages) -> None:
            where = numbers.to(device, non_blocking=True)
            table.index_copy_(0, where, pages.to(device, non_blocking=True))

        timing = device_timing(upload, device, trials)
        host = host_timing(upload, trials).to_json()
        rows.append({"entries": entries, "device": timing.to_json(), "host": host})
    return rows


def migration_rows(driver: CudaDriver, trials: int) -> list[Row]:
    """Moving capacity from one slab to another: remapped in units, against its bytes copied.

    Remapping is host time, units of 128 MiB or the whole migration if that is less. Copying is
    device time of copying as many live bytes.
    """
    rows = []
    for size_mib in MIGRATION_MIB:
        size_bytes = size_mib * MIB
        unit = min(size_bytes, 128 * MIB)
        source = random_bytes(size_bytes, driver.device)
        target = torch.empty_like(source)
        copied = device_timing(lambda a=source, b=target: b.copy_(a), driver.device, trials)  # type: ignore[misc]
        with VmmBacking(2 * size_bytes, driver) as backing:
            remapped = host_timing(_Migration(backing, size_bytes, unit).run, trials)
        rows.append(
            {
                "size_mib": size_mib,
                "remap": remapped.to_json(),
                "copy": copied.to_json(),
                "units": size_bytes // unit,
            }
        )
    return rows


class _Migration:
    """Takes units from the end of one slab and maps them at the end of another."""

    def __init__(self, backing: VmmBacking, size_bytes: int, unit_bytes: int) -> None:
        self._backing = backing
        self._unit = unit_bytes // backing.granule_bytes
        self._count = size_bytes // unit_bytes
        self._slabs = [backing.reserve(size_bytes) for _ in range(2)]
        for number in range(self._count):
            backing.map(self._slabs[0], number * self._unit, self._unit)

    def run(self) -> None:
        """Move everything to the other slab."""
        donor, recipient = self._slabs
        for number in reversed(range(self._count)):
            self._backing.unmap(donor, number * self._unit, self._unit)
        for number in range(self._count):
            self._backing.map(recipient, number * self._unit, self._unit)
        self._slabs.reverse()


def measure_primitives(
    driver: CudaDriver, ops: PageOps | None = None, trials: int = 30
) -> dict[str, Any]:
    """Measure everything; a few seconds on an H200.

    Args:
        driver: The device.
        ops: Copies pages; plain torch by default.
        trials: Of each figure, after the warm-up.
    """
    device = driver.device
    return {
        "granule_bytes": driver.granule_bytes,
        "creation": creation_rows(driver, trials),
        "mapping_idle": mapping_rows(driver, beside_kernel=False, trials=trials),
        "mapping_beside_kernel": mapping_rows(driver, beside_kernel=True, trials=trials // 3),
        "page_copy": copy_rows(ops or TorchPageOps(), device, trials),
        "table_update": table_rows(device, trials),
        "migration": migration_rows(driver, trials),
        "device": describe_device(device),
    }


def describe_device(device: torch.device) -> dict[str, str]:
    """Name, driver and versions, as they belong beside every figure."""
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_bytes": str(properties.total_memory),
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
    }


def main(arguments: list[str]) -> int:
    """Measure the first device and write what was found; returns an exit status."""
    if len(arguments) != 1:
        sys.stderr.write("name one file to write: python -m gpu_backend.primitives FILE.json\n")
        return 2
    try:
        found = measure_primitives(CudaDriver())
    except UnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    Path(arguments[0]).write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
