"""When mappings that wait are done: before a step is launched, or while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gpu_backend.deferred import DeferredBacking

if TYPE_CHECKING:
    from gpu_backend.byte_backing import ByteBacking
    from sim.step import StepPlan


class StepMemory(Protocol):
    """Told before a step is launched, and after, while it runs."""

    def before(self, plan: StepPlan) -> None:
        """What the step needs must be there when this returns."""

    def launched(self) -> None:
        """The step has been given to the device."""


class MemoryAtOnce:
    """Over a backing that does at once what it is asked."""

    def before(self, plan: StepPlan) -> None:
        """See `StepMemory.before`."""

    def launched(self) -> None:
        """See `StepMemory.launched`."""


class DeferredMemory:
    """Over a backing that waits: what is asked ahead of need changes while the step runs."""

    def __init__(self, backing: DeferredBacking) -> None:
        self._backing = backing

    def before(self, plan: StepPlan) -> None:
        """See `StepMemory.before`."""
        self._backing.apply(leaving=plan.maps_beside + plan.unmaps_beside)

    def launched(self) -> None:
        """See `StepMemory.launched`."""
        self._backing.apply()


def memory_of(backing: ByteBacking) -> StepMemory:
    """How a step meets the mappings of a backing."""
    return DeferredMemory(backing) if isinstance(backing, DeferredBacking) else MemoryAtOnce()
