"""One cell: replicas of a machine with an allocator and a scheduler, run over a trace."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from allocator.backing import HostBacking
from allocator.registry import known_managers
from scenarios.choice import choose, choose_scheduler
from scenarios.errors import UserError
from scenarios.host_cost import host_ns_per_op
from scenarios.result import RunResult
from scenarios.version import code_digest
from sim.admission import AdmissionChain
from sim.engine import SAMPLES_PER_TRACE, Engine, Fleet, Wiring
from sim.macro_steps import MacroStepEngine
from sim.metric import measure
from sim.preemption import Means, known_preemptions
from sim.preemptions.recompute import Recompute
from sim.router import known_routers
from sim.routers.round_robin import RoundRobin

if TYPE_CHECKING:
    from collections.abc import Callable

    from allocator.backing import Backing
    from allocator.interface import CacheManager
    from scenarios.machine import Machine
    from sim.metric import Slo
    from sim.preemption import Preemption
    from sim.step import StepExecutor, StepPricer
    from sim.tenant import Tenant
    from traces.record import Trace


FAST = "fast"
ROUND_ROBIN = RoundRobin.name
MOST_REPLICAS = 1024
"""Each has memory of its own to be kept account of."""
ENGINES: dict[str, type[Engine]] = {FAST: MacroStepEngine, "exact": Engine}
"""Both write the same log: one jumps over steps in which nothing is decided."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What determines a run, besides the trace; small enough to send to another process.

    Attributes:
        machine: Model and device.
        allocator: `NAME[:key=value,...]`.
        scheduler: `NAME[:key=value,...]`, and each behind a plus admission controls.
        slo: What a request must reach to count for goodput.
        engine_step: How the engine steps; see `ENGINES`.
        num_samples: Samples of occupancy between the first arrival and the last, at most.
        preemption: `NAME[:key=value,...]`: where the tokens of victims go.
        replicas: How many serve the trace, each on a machine of its own.
        router: `NAME[:key=value,...]`; chooses among several replicas.
        tenants: What is known of tenants of the trace, or of all others.
    """

    machine: Machine
    allocator: str
    scheduler: str
    slo: Slo
    engine_step: str = FAST
    num_samples: int = SAMPLES_PER_TRACE
    preemption: str = Recompute.name
    replicas: int = 1
    router: str = ROUND_ROBIN
    tenants: tuple[Tenant, ...] = ()

    def digest(self, trace_digest: str) -> str:
        """SHA-256 (hex) of everything that determines a result, the code included."""
        described = repr((code_digest(), asdict(self), trace_digest))
        return hashlib.sha256(described.encode()).hexdigest()

    def build_manager(self, budget_factor: int = 1) -> CacheManager:
        """A fresh manager on a fresh host backing of the budget, or a multiple of it.

        Raises:
            UserError: An unknown allocator or option, or a budget it cannot be laid out in.
        """
        budget_bytes = self.machine.budget_bytes * budget_factor
        return self.manager_on(HostBacking(budget_bytes, self.machine.granule_bytes))

    def manager_on(self, backing: Backing) -> CacheManager:
        """A fresh manager on a fresh backing; errors as in `build_manager`."""
        choice = choose("allocator", self.allocator, known_managers())
        try:
            return choice.design.build(self.machine.spec, backing, choice.options)
        except ValueError as error:
            raise UserError(f"{self.allocator}: {error}") from None

    def wire(self) -> Wiring | Fleet:
        """The parts of an engine; errors as in `build_manager`, for scheduler and router too."""
        check_replicas(self.replicas)
        router = choose("router", self.router, known_routers())
        if self.replicas == 1:
            return self.wire_replica()
        wirings = tuple(self.wire_replica() for _ in range(self.replicas))
        return Fleet(wirings, router.design(router.options))

    def wire_replica(self) -> Wiring:
        """The parts of one of them."""
        steps = self.machine.executor()
        preemption = self._preemption(steps)
        return self.wire_with(self.build_manager(), preemption.priced(steps), preemption)

    def wire_with(
        self, manager: CacheManager, executor: StepExecutor, preemption: Preemption
    ) -> Wiring:
        """The parts of an engine, three of them given; errors as in `wire`."""
        scheduler, admissions = choose_scheduler(self.scheduler)
        controls = [one.design(one.options) for one in admissions]
        control = AdmissionChain(controls) if controls else None
        plan = scheduler.design(scheduler.options)
        try:
            options = (self.num_samples, control, preemption, self.tenants)
            return Wiring(manager, plan, executor, *options)
        except ValueError as error:
            parts = f"{self.allocator} with {self.scheduler} and {self.preemption}"
            raise UserError(f"{parts}: {error}") from None

    def _preemption(self, steps: StepPricer) -> Preemption:
        choice = choose("preemption", self.preemption, known_preemptions())
        means = Means(self.machine.spec, self.machine.host, steps)
        return choice.design.build(choice.options, means)


def check_replicas(count: int) -> None:
    """Raise UserError unless so many replicas can be simulated."""
    if not 1 <= count <= MOST_REPLICAS:
        raise UserError(f"replicas must be from 1 to {MOST_REPLICAS}, not {count}")


def simulate(
    cell: Cell, trace: Trace, on_progress: Callable[[int], None] | None = None
) -> RunResult:
    """Run a cell and measure its log; the figures are the same on every machine.

    Raises:
        UserError: Its steps take so long that no clock of 64 bits holds their end.
    """
    try:
        log = ENGINES[cell.engine_step](trace, cell.wire(), on_progress).run()
    except OverflowError as error:  # a time no longer fits into 64 bits
        raise UserError(
            f"{cell.allocator}: the run would take more than 292 simulated years;"
            " check the trace and the costs of steps"
        ) from error
    figures = measure(log, cell.slo)
    figures["event_log_sha256"] = log.sha256()
    return RunResult(cell.allocator, log, figures)


def run_cell(
    cell: Cell, trace: Trace, on_progress: Callable[[int], None] | None = None
) -> RunResult:
    """Simulate a cell, and measure after it what its allocator costs on this host."""
    run = simulate(cell, trace, on_progress)
    run.metrics["host_ns_per_allocator_op"] = host_ns_per_op(cell.build_manager, trace)
    return run
