"""Times of work on a CUDA device: captured, warmed up, repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

COPY_BYTES = 4 << 30
WARM_UPS = 5


@dataclass(frozen=True, slots=True)
class Times:
    """Microseconds of one run: median, and the first and last decile."""

    median_us: float
    low_us: float
    high_us: float


def captured(work: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """Work as a graph, after it has run once."""
    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def time_of(work: Callable[[], None], repeats: int = 20) -> Times:
    """Time of work, between events, one run at a time."""
    for _ in range(WARM_UPS):
        work()
    events = [
        (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
        for _ in range(repeats)
    ]
    for first, last in events:
        first.record()
        work()
        last.record()
    torch.cuda.synchronize()
    times = sorted(first.elapsed_time(last) * 1e3 for first, last in events)
    return Times(times[repeats // 2], times[repeats // 10], times[-1 - repeats // 10])


def copy_bytes_per_s() -> float:
    """What a copy within the device moves a second, read and written."""
    source = torch.randint(255, (COPY_BYTES,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    times = time_of(lambda: target.copy_(source))
    return 2 * COPY_BYTES / times.median_us * 1e6
