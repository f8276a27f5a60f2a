"""Executors that stand around a device's: one records its steps, one repeats them, one guards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scenarios.validation.host_time import HostTime
from sim.step import StepWork

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from allocator.backing import Place
    from sim.step import StepExecutor, StepPlan

OBSERVED_STEPS = 8
"""A guard looks at every eighth step: what moved in between has to have brought its bytes along."""


@dataclass(frozen=True, slots=True)
class StepAside:
    """What a step had the host do besides starting it.

    Attributes:
        allocator_ns: In calls of the allocator since the step before.
        host_ns: All that passed since the end of the step before, but for the step itself.
        remaps: Mappings made and taken away before the step, for it.
        remaps_beside: Those made and taken away while it ran.
        copies: Batched copies of pages before the step.
    """

    allocator_ns: int = 0
    host_ns: int = 0
    remaps: int = 0
    remaps_beside: int = 0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step as a device ran it, and as it was predicted.

    Attributes:
        work: What was computed.
        measured_ns: What it took.
        predicted_ns: What the prices say.
        aside: What else it had the host do; nothing where nobody looked.
    """

    work: StepWork
    measured_ns: int
    predicted_ns: int
    aside: StepAside = StepAside()


@dataclass(slots=True)
class RecordingExecutor:
    """Runs steps by one executor, and notes what another predicts for each.

    Attributes:
        runs: Runs the steps.
        prices: Predicts them.
        host: Knows what the host's time went to.
        steps: What was run, in order.
    """

    runs: StepExecutor
    prices: StepExecutor
    host: HostTime = field(default_factory=HostTime)
    steps: list[RecordedStep] = field(default_factory=list)

    def execute(self, plan: StepPlan) -> int:
        """See `sim.step.StepExecutor`."""
        self.host.pause()
        work, predicted_ns = StepWork.of(plan), self.prices.execute(plan)
        self.host.go_on()
        measured_ns = self.runs.execute(plan)
        allocator_ns, host_ns = self.host.take(measured_ns)
        aside = StepAside(
            allocator_ns=allocator_ns,
            host_ns=host_ns,
            remaps=plan.maps + plan.unmaps,
            remaps_beside=plan.maps_beside + plan.unmaps_beside,
            copies=plan.copies,
        )
        self.steps.append(RecordedStep(work, measured_ns, predicted_ns, aside))
        return measured_ns


class StepsDifferError(RuntimeError):
    """A run that was to repeat another has come to a step that the other did not have."""


class ReplayedExecutor:
    """Says of each step what it took when it was recorded."""

    def __init__(self, steps: Sequence[RecordedStep]) -> None:
        self._steps = steps
        self._next = 0

    def execute(self, plan: StepPlan) -> int:
        """See `sim.step.StepExecutor`.

        Raises:
            StepsDifferError: If the recorded step computed something else, or there is none.
        """
        if self._next == len(self._steps):
            raise StepsDifferError(f"{self._next} steps were recorded, and one more is planned")
        step = self._steps[self._next]
        if step.work != StepWork.of(plan):
            raise StepsDifferError(f"step {self._next} is not the one that was recorded")
        self._next += 1
        return step.measured_ns


class PlacedManager(Protocol):
    """A manager that says where a page lies."""

    @property
    def paging(self) -> object:
        """What handles mean now."""

    def place(self, handle: int) -> Place:
        """Where the page of a live handle lies."""


class Guard(Protocol):
    """See `gpu_backend.guarded.GuardedBacking`."""

    def observe(self, places: Mapping[int, Place]) -> None:
        """Be told where the page of every live handle lies now, and of no other."""

    def verify(self, handles: Iterable[int] | None = None) -> list[int]:
        """Compare pages with what they must hold."""


class LiveHandles:
    """Names given and not taken back; an `allocator.page_table.TableListener`."""

    def __init__(self) -> None:
        self._live: dict[int, None] = {}

    def given(self, pool: int, handles: Sequence[int]) -> None:
        """See `TableListener.given`."""
        del pool
        self._live.update(dict.fromkeys(handles))

    def taken(self, pool: int, handles: Sequence[int]) -> None:
        """See `TableListener.taken`."""
        del pool
        for handle in handles:
            del self._live[handle]

    def places(self, manager: PlacedManager) -> dict[int, Place]:
        """Where each of them lies."""
        _ = manager.paging  # calls that have waited are made, and heard of
        return {handle: manager.place(handle) for handle in self._live}


class GuardedExecutor:
    """Lets a guard look at all live pages every few steps, once the step has been planned."""

    def __init__(
        self, runs: StepExecutor, guard: Guard, manager: PlacedManager, handles: LiveHandles
    ) -> None:
        self._runs = runs
        self._guard = guard
        self._manager = manager
        self._handles = handles
        self._count = 0

    def execute(self, plan: StepPlan) -> int:
        """See `sim.step.StepExecutor`."""
        if self._count % OBSERVED_STEPS == 0:
            self.look()
        self._count += 1
        return self._runs.execute(plan)

    def look(self) -> None:
        """Show the guard where everything lies, and let it compare every page."""
        self._guard.observe(self._handles.places(self._manager))
        self._guard.verify()
