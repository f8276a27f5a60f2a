"""What the memory operations of an allocator cost on a device, one JSON of measurements.

`python -m gpu_backend.primitives FILE.json` measures the first device.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gpu_backend.availability import UnavailableError
from gpu_backend.driver import CudaDriver
from gpu_backend.mapping_costs import MIB, Row, creation_rows, mapping_rows
from gpu_backend.measure import device_timing, host_timing, random_bytes
from gpu_backend.page_ops import TorchPageOps
from gpu_backend.vmm_backing import VmmBacking

if TYPE_CHECKING:
    from gpu_backend.page_ops import PageOps

PAGE_BYTES = (32 << 10, 64 << 10, 512 << 10, 2 << 20)
PAGE_COUNTS = (1, 16, 256)
TABLE_ENTRIES = (1, 64, 4096, 262_144)
MIGRATION_MIB = (2, 8, 32, 128, 512)
DRIVER_FILE = Path("/proc/driver/nvidia/version")


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
            remapped = host_timing(CapacityMove(backing, size_bytes, unit).run, trials)
        rows.append(
            {
                "size_mib": size_mib,
                "remap": remapped.to_json(),
                "copy": copied.to_json(),
                "units": size_bytes // unit,
            }
        )
    return rows


class CapacityMove:
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
        "driver": _driver_version(),
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
    }


def _driver_version() -> str:
    """The kernel driver's version, as its module says; `unknown` where it does not."""
    try:
        said = DRIVER_FILE.read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", said)
    return found[0] if found else "unknown"


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
