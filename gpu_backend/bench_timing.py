"""Times of work on a CUDA device: captured, warmed up, repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COPY_BYTES = 4 << 30
WARM_UPS = 5


@dataclass(frozen=True, slots=True)
class Times:
    """Microseconds of one run: median, and the first and last decile."""

    median_us: float
    low_us: float
    high_us: float

    @classmethod
    def of(cls, microseconds: Sequence[float]) -> Times:
        """Fold the times of some runs."""
        ranked, tenth = sorted(microseconds), len(microseconds) // 10
        return cls(ranked[len(ranked) // 2], ranked[tenth], ranked[-1 - tenth])


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
    (found,) = times_in_turn([work], repeats)
    return Times.of(found)


def times_in_turn(works: Sequence[Callable[[], None]], repeats: int) -> list[list[float]]:
    """Microseconds of every run of works that take turns: a clock that drifts drifts for all."""
    for work in [*works] * WARM_UPS:
        work()
    events = [
        [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
        for _ in works
    ]
    for turn in range(repeats):
        for work, pairs in zip(works, events, strict=True):
            first, last = pairs[turn]
            first.record()
            work()
            last.record()
    torch.cuda.synchronize()
    return [[first.elapsed_time(last) * 1e3 for first, last in pairs] for pairs in events]


def copy_bytes_per_s() -> float:
    """What a copy within the device moves a second, read and written."""
    source = torch.randint(255, (COPY_BYTES,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    times = time_of(lambda: target.copy_(source))
    return 2 * COPY_BYTES / times.median_us * 1e6
