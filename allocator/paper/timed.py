"""Adaptors that add up what calls cost, by a clock that the caller brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.interface import OutOfMemoryError
from allocator.paper.adaptor import Adaptor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from allocator.paper.interface import LayerAllocator
    from allocator.paper.recovering import FailedCall, Remedy

    Clock = Callable[[], int]


@dataclass(slots=True)
class PhaseTimes:
    """Time spent in an allocator, by the paper's phases.

    Attributes:
        service_ns: Calls that succeeded, and releases; evictions and migrations included.
        failed_ns: Calls that failed; the paper says OOM recovery, but nothing recovers.
        migration_ns: Migrations that took place; part of the two above.
    """

    service_ns: int = 0
    failed_ns: int = 0
    migration_ns: int = 0


class Timed(Adaptor):
    """Times every call of an allocator. Host time: it says nothing about a simulated clock."""

    def __init__(self, inner: LayerAllocator, times: PhaseTimes, clock_ns: Clock) -> None:
        super().__init__(inner)
        self._times = times
        self._clock_ns = clock_ns

    def allocate(self, request: int, group: int, count: int) -> Sequence[int]:
        """See `LayerAllocator.allocate`."""
        start_ns = self._clock_ns()
        try:
            pages = self._inner.allocate(request, group, count)
        except OutOfMemoryError:
            self._times.failed_ns += self._clock_ns() - start_ns
            raise
        self._times.service_ns += self._clock_ns() - start_ns
        return pages

    def release(self, request: int) -> None:
        """See `LayerAllocator.release`."""
        start_ns = self._clock_ns()
        self._inner.release(request)
        self._times.service_ns += self._clock_ns() - start_ns


class TimedMigration:
    """Times a remedy where it changes something."""

    def __init__(self, inner: Remedy, times: PhaseTimes, clock_ns: Clock) -> None:
        self._inner = inner
        self._times = times
        self._clock_ns = clock_ns

    def make_room(self, call: FailedCall) -> bool:
        """See `Remedy.make_room`."""
        start_ns = self._clock_ns()
        changed = self._inner.make_room(call)
        if changed:
            self._times.migration_ns += self._clock_ns() - start_ns
        return changed
