"""What a step does to memory beside computing: mappings before it and while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gpu_backend.deferred import DeferredBacking

if TYPE_CHECKING:
    from gpu_backend.byte_backing import ByteBacking
    from sim.step import StepPlan


class StepMemory(Protocol):
    """Told before a step is launched and after, while it runs."""

    def before(self, plan: StepPlan) -> None:
        """What the step needs must be there when this returns."""

    def launched(self) -> None:
        """The step has been given to the device, and runs."""


class MemoryAtOnce:
    """Over a backing that does at once what it is asked."""

    def __init__(self, backing: ByteBacking, slabs: int) -> None:
        self._backing = backing
        self._slabs = range(slabs)

    def before(self, plan: StepPlan) -> None:
        """See `StepMemory.before`."""

    def launched(self) -> None:
        """See `StepMemory.launched`."""
        for slab in self._slabs:
            self._backing.note_use(slab)


class DeferredMemory:
    """Over a backing that waits: what was asked ahead of need changes while the step runs."""

    def __init__(self, backing: DeferredBacking, slabs: int) -> None:
        self._backing = backing
        self._slabs = range(slabs)

    def before(self, plan: StepPlan) -> None:
        """See `StepMemory.before`."""
        self._backing.apply(leaving=plan.maps_beside + plan.unmaps_beside)

    def launched(self) -> None:
        """See `StepMemory.launched`; what goes ahead of need is free, so the step does not use it."""
        self._backing.apply()
        for slab in self._slabs:
            self._backing.note_use(slab)


def memory_of(backing: ByteBacking, slabs: int) -> StepMemory:
    """What a step does to the memory of a backing with so many slabs."""
    if isinstance(backing, DeferredBacking):
        return DeferredMemory(backing, slabs)
    return MemoryAtOnce(backing, slabs)
