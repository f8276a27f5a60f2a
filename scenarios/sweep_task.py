"""What a worker does for a sweep: measure a capacity, or run the cells that share a trace."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from scenarios.cell import Cell, simulate
from scenarios.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scenarios.machine import Machine
    from scenarios.sweep_scenario import CapacityRule, Mix, SweepScenario
    from sim.metric import Slo
    from sim.tenant import Tenant
    from traces.record import Trace

Row = dict[str, Any]

NUM_SAMPLES = 250
"""Samples of occupancy a run: enough for means; 2,000 would take 40 % of the time of a run."""


class WorkerDiedError(RuntimeError):
    """The process of a cell ended whenever it was tried."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a task found.

    Attributes:
        digests: Of every cell of the task, in its order.
        rows: Those of its cells that had not been recorded before.
    """

    digests: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What the cells of a task have in common, apart from the trace's rate and seed.

    Attributes:
        model: Name of the model.
        mix_name: Name of the mix.
        machine: The model on the device.
        mix: The traffic.
        scheduler: `NAME[:key=value,...]`.
        slo: What a request must reach to count for goodput.
        preemption: `NAME[:key=value,...]`.
        replicas: How many serve.
        router: `NAME[:key=value,...]`.
        tenants: What is known of tenants of the traffic, or of all others.
    """

    model: str
    mix_name: str
    machine: Machine
    mix: Mix
    scheduler: str
    slo: Slo
    preemption: str
    replicas: int
    router: str
    tenants: tuple[Tenant, ...] = ()

    def cell(self, allocator: str) -> Cell:
        """The cell of an allocator."""
        return Cell(
            self.machine,
            allocator,
            self.scheduler,
            self.slo,
            num_samples=NUM_SAMPLES,
            preemption=self.preemption,
            tenants=self.tenants,
            replicas=self.replicas,
            router=self.router,
        )


def settings_of(scenario: SweepScenario) -> Iterator[Setting]:
    """One setting a (model, mix), in the order of the scenario."""
    grid = scenario.grid
    for model in grid.models:
        machine = scenario.machine(model)
        for name, mix in scenario.mixes.items():
            rules = (grid.scheduler, scenario.slo, grid.preemption, grid.replicas, grid.router)
            yield Setting(model, name, machine, mix, *rules, scenario.tenants)


@dataclass(frozen=True, slots=True)
class CapacityTask:
    """Measures the capacity of (model, mix): the rate at which a backlog is served.

    Attributes:
        setting: Model and mix.
        rule: Who serves which requests.
        kept: Digests of the capacities that are recorded.
    """

    setting: Setting
    rule: CapacityRule
    kept: frozenset[str]

    def run(self) -> Done:
        """See `scenarios.retries.Task`; a cell that fails is recorded with its error."""
        setting = self.setting
        row: Row = {"model": setting.model, "mix": setting.mix_name}
        try:
            trace = self.rule.backlog(setting.mix)
            cell = setting.cell(self.rule.allocator)
            digest = _digest(row, cell.digest(trace.digest()))
            if digest in self.kept:
                return Done((digest,), ())
            rate_rps = simulate(cell, trace).metrics["throughput_rps"]
            if not rate_rps:
                raise UserError(f"{self.rule.allocator} serves nothing of {setting.mix_name}")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - recorded with its cells, which fail for it
            return self._failed(error)
        return Done((digest,), ({**row, "digest": digest, "capacity_rps": rate_rps},))

    def lost(self, sentence: str) -> Done:
        """What to record if its processes ended; a repeated sweep tries it again."""
        return self._failed(WorkerDiedError(sentence))

    def _failed(self, error: Exception) -> Done:
        setting = self.setting
        row: Row = {"model": setting.model, "mix": setting.mix_name}
        digest = _digest(row, repr((asdict(setting), asdict(self.rule))))
        return Done((digest,), ({**row, "digest": digest, "error": _said(error)},))


@dataclass(frozen=True, slots=True)
class Group:
    """The cells of one (model, mix, load, seed): they share a trace.

    Attributes:
        setting: Model and mix.
        load: The rate, in multiples of the capacity.
        seed: Seed of the trace.
        allocators: One cell each.
        capacity: The row of the capacity's measurement.
        kept: Digests of the cells of this group that are recorded.
    """

    setting: Setting
    load: float
    seed: int
    allocators: tuple[str, ...]
    capacity: Row
    kept: frozenset[str] = frozenset()

    @property
    def place(self) -> Row:
        """What names the group in a table."""
        setting = self.setting
        names = {"model": setting.model, "mix": setting.mix_name}
        return {**names, "load": self.load, "seed": self.seed}

    def run(self) -> Done:
        """See `scenarios.retries.Task`; a cell that fails is recorded with its error."""
        try:
            rate_rps = self._rate_rps()
            trace = _trace_at(self.setting.mix, rate_rps, self.seed)
        except Exception as error:  # noqa: BLE001 - recorded with each cell, which fails for it
            return self._failed(error)
        trace_digest = trace.digest()
        facts = {
            "capacity_rps": self.capacity["capacity_rps"],
            "rate_rps": rate_rps,
            "requests": len(trace),
            "budget_bytes": self.setting.machine.budget_bytes,
            "trace_digest": trace_digest,
        }
        cells = [self.setting.cell(allocator) for allocator in self.allocators]
        digests = tuple(_digest(self.place, cell.digest(trace_digest)) for cell in cells)
        rows = tuple(
            {**self._names(cell.allocator, digest), **facts, **_outcome(cell, trace)}
            for cell, digest in zip(cells, digests, strict=True)
            if digest not in self.kept
        )
        return Done(digests, rows)

    def lost(self, sentence: str) -> Done:
        """What to record of cells whose processes ended.

        Their digests hold no trace: a repeated sweep tries them again, since what ended a process
        from outside says nothing of the cell.
        """
        return self._failed(WorkerDiedError(sentence))

    def _rate_rps(self) -> float:
        if "error" in self.capacity:
            raise UserError(f"the capacity could not be measured: {self.capacity['error']}")
        return self.load * float(self.capacity["capacity_rps"])

    def _failed(self, error: Exception) -> Done:
        """Every cell fails for the same reason."""
        cells = [self.setting.cell(allocator) for allocator in self.allocators]
        digests = tuple(_digest(self.place, cell.digest(_said(error))) for cell in cells)
        rows = tuple(
            {**self._names(cell.allocator, digest), "error": _said(error)}
            for cell, digest in zip(cells, digests, strict=True)
            if digest not in self.kept
        )
        return Done(digests, rows)

    def _names(self, allocator: str, digest: str) -> Row:
        return {**self.place, "allocator": allocator, "digest": digest}


@lru_cache(maxsize=2)
def _trace_at(mix: Mix, rate_rps: float, seed: int) -> Trace:
    """Cells of a group are tasks of their own; those that meet in a process share their trace."""
    return mix.load_at(rate_rps, seed)


def _outcome(cell: Cell, trace: Trace) -> Row:
    """The figures of a cell, or the error that ended it."""
    try:
        metrics = simulate(cell, trace).metrics
    except Exception as error:  # noqa: BLE001 - a failing cell is recorded and stops no other
        return {"error": _said(error)}
    return {"error": None, **dict(_flat(metrics))}


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Figures by one name each: `waste: {internal_pct}` becomes `waste_internal_pct`.

    Figures of a tenant carry its name: `tenants_chat_completed`.
    """
    for name, value in metrics.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        elif name == "tenants":
            for figures in value:
                yield from _flat(figures, f"{prefix}{name}_{figures['tenant']}_")
        else:
            yield prefix + name, value


def is_lost(row: Row) -> bool:
    """Whether a row only says that the processes of its cell ended."""
    return str(row.get("error")).startswith(WorkerDiedError.__name__)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _digest(place: Row, described: str) -> str:
    """SHA-256 (hex) of a cell by its place too: two places may hold the same work."""
    return hashlib.sha256(repr((place, described)).encode()).hexdigest()
