"""One run, four times: on a device, repeated in the simulator, predicted, and under guard."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.backing import HostBacking
from allocator.pooled import PooledManager
from scenarios.errors import UserError
from scenarios.validation.decisions import Decisions, HandleDigest
from scenarios.validation.host_time import HostTime
from scenarios.validation.steps import (
    GuardedExecutor,
    LiveHandles,
    RecordingExecutor,
    ReplayedExecutor,
    StepsDifferError,
)
from sim.engine import Engine
from sim.macro_steps import MacroStepEngine
from sim.preemptions.recompute import Recompute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocator.backing import Backing
    from gpu_backend.rig import Rig
    from gpu_backend.sequence_tables import Limits
    from scenarios.cell import Cell
    from scenarios.validation.steps import RecordedStep
    from sim.event_log import EventLog
    from sim.step import StepExecutor
    from traces.record import Trace


@dataclass(frozen=True, slots=True)
class Case:
    """What is run.

    Attributes:
        cell: Machine, allocator and scheduler; its machine has a cost table.
        trace: Requests with arrivals.
        backing: Kind of memory on the device, a name in `gpu_backend.rig.BACKINGS`.
    """

    cell: Cell
    trace: Trace
    backing: str


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A run on a device.

    Attributes:
        log: Everything that happened, in measured time.
        decisions: What the allocator did.
        steps: Every step, measured and predicted.
        physical_bytes: Device memory that the caches held at the end.
    """

    log: EventLog
    decisions: Decisions
    steps: Sequence[RecordedStep]
    physical_bytes: int


@dataclass(frozen=True, slots=True)
class GuardedRun:
    """Pages compared with what they had to hold."""

    verified_pages: int
    corrupted_pages: int


def run_on_device(case: Case, rig: Rig) -> MeasuredRun:
    """Serve the trace on the device; the clock advances by what steps take there."""
    machine = case.cell.machine
    with rig.backing(case.backing, machine.budget_bytes, machine.granule_bytes) as backing:
        manager, digest = laid_out(case, backing), HandleDigest()
        manager.paging[0].report_to(digest)
        executor, host = rig.executor(manager, backing, limits_of(case)), HostTime()
        host.watch(manager)
        steps = RecordingExecutor(executor, machine.executor(), host)
        log = _log(case, manager, steps)
        manager.check_integrity()  # all calls have been made by now
        decisions = Decisions.of(digest, backing.counters(), log)
        return MeasuredRun(log, decisions, steps.steps, backing.physical_bytes)


def repeat(case: Case, steps: Sequence[RecordedStep]) -> Decisions | None:
    """What the simulator decides with recorded durations; None if another step comes."""
    try:
        return repeat_measured(case, steps).decisions
    except StepsDifferError:
        return None


def repeat_measured(case: Case, steps: Sequence[RecordedStep]) -> MeasuredRun:
    """Simulate with recorded durations: the run on the device once more, without a device.

    Raises:
        StepsDifferError: If a step comes that was not recorded.
    """
    machine, digest = case.cell.machine, HandleDigest()
    backing = HostBacking(machine.budget_bytes, machine.granule_bytes)
    manager = laid_out(case, backing)
    manager.paging[0].report_to(digest)
    again = RecordingExecutor(ReplayedExecutor(steps), machine.executor())
    log = _log(case, manager, again)
    manager.check_integrity()  # all calls have been made by now
    return MeasuredRun(log, Decisions.of(digest, backing.counters(), log), again.steps, 0)


def predict(case: Case) -> EventLog:
    """Simulate with predicted durations."""
    return MacroStepEngine(case.trace, case.cell.wire()).run()


def run_guarded(case: Case, rig: Rig, steps: Sequence[RecordedStep]) -> GuardedRun:
    """Repeat a run over the device's memory with a pattern in each page, and compare pages.

    The decoder does not run: pages hold patterns instead of caches.
    """
    from gpu_backend.guarded import GuardedBacking  # noqa: PLC0415 - it needs torch

    machine, handles = case.cell.machine, LiveHandles()
    with rig.backing(case.backing, machine.budget_bytes, machine.granule_bytes) as memory:
        guard = GuardedBacking(memory)
        manager = laid_out(case, guard)
        manager.paging[0].report_to(handles)
        guarded = GuardedExecutor(ReplayedExecutor(steps), guard, manager, handles)
        with suppress(StepsDifferError):  # `repeat` says so
            _log(case, manager, guarded)
        guarded.look()
    return GuardedRun(guard.verified_pages, guard.corrupted_pages)


def limits_of(case: Case) -> Limits:
    """How much the device's tables hold: no more sequences than have memory, and the trace."""
    from gpu_backend.sequence_tables import Limits  # noqa: PLC0415 - only the GPU mode needs it

    machine, trace = case.cell.machine, case.trace
    spec = machine.spec
    least_bytes = spec.bytes_per_sequence() + spec.bytes_per_token()
    most = min(len(trace), machine.budget_bytes // least_bytes)
    tokens = trace.prompt_tokens + trace.output_tokens
    return Limits(max(1, most), int(tokens.max()), int(tokens.sum()))


def laid_out(case: Case, backing: Backing) -> PooledManager:
    """The manager of a case, if its pages are such that a device can follow them."""
    manager = case.cell.manager_on(backing)
    if not isinstance(manager, PooledManager):
        raise UserError(f"{case.cell.allocator} cannot run on a device: it has no page table")
    return manager


def _log(case: Case, manager: PooledManager, executor: StepExecutor) -> EventLog:
    return Engine(case.trace, case.cell.wire_with(manager, executor, Recompute())).run()
