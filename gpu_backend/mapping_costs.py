"""What mappings of physical memory cost the host, idle and beside a kernel."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from gpu_backend.measure import BusyKernel, Timing, host_timing

if TYPE_CHECKING:
    from gpu_backend.driver import CudaDriver

MIB = 1 << 20
Row = dict[str, Any]

MAPPING_MIB = (2, 8, 32, 128)
MAPPING_COUNTS = (1, 2, 4, 8, 16)
BUSY_NS = 20_000_000
WARM_UP = 2


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
        for trial in range(trials + WARM_UP):
            fence = None
            if busy is not None:
                busy.wait()
                busy.start()
                fence = busy.fence()
            marks = self._move_once()
            if busy is not None and busy.is_running(fence):
                still_running += 1
            if trial >= WARM_UP:
                for name, duration_ns in marks.items():
                    durations[name].append(duration_ns)
        row: Row = {"size_mib": self._size // MIB, "count": self._count}
        row |= {name: Timing.of(found).to_json() for name, found in durations.items()}
        if busy is not None:
            row |= {"kernel_still_ran": still_running, "of_trials": trials + WARM_UP}
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
