"""How long a step took, by the clock of what ran it."""

from __future__ import annotations

import time
from typing import Protocol

import torch

NS_PER_MS = 1_000_000


class StepClock(Protocol):
    """Measures one step at a time."""

    def start(self) -> None:
        """What is launched from now on belongs to the step."""

    def stop(self) -> int:
        """Wait until the step has been computed; returns its nanoseconds, at least 1."""


class HostClock:
    """For steps that are computed when their calls return."""

    def __init__(self) -> None:
        self._started_ns = 0

    def start(self) -> None:
        """See `StepClock.start`."""
        self._started_ns = time.perf_counter_ns()

    def stop(self) -> int:
        """See `StepClock.stop`."""
        return max(1, time.perf_counter_ns() - self._started_ns)


class CudaClock:
    """Events around what a stream runs; stopping waits once."""

    def __init__(self) -> None:
        self._events = tuple(torch.cuda.Event(enable_timing=True) for _ in range(2))

    def start(self) -> None:
        """See `StepClock.start`."""
        self._events[0].record()

    def stop(self) -> int:
        """See `StepClock.stop`."""
        first, last = self._events
        last.record()
        last.synchronize()
        elapsed_ms: float = first.elapsed_time(last)
        return max(1, round(elapsed_ms * NS_PER_MS))
