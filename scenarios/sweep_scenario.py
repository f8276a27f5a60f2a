"""What a sweep is: a grid of cells, a memory rule, the meaning of load 1, mixes of traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scenarios.cell import ROUND_ROBIN
from scenarios.device import load_device
from scenarios.machine import GIB, MachineOptions, machine_of
from scenarios.model_choice import choose_model
from scenarios.profile import load_profile
from scenarios.slo import parse_slo
from scenarios.trace_input import TraceInput
from sim.preemptions.recompute import Recompute
from traces.load import TraceOptions
from traces.record import TraceError
from traces.transform import scale_rate, superpose, take

if TYPE_CHECKING:
    from scenarios.machine import Machine
    from sim.metric import Slo
    from sim.tenant import Tenant
    from traces.record import Trace

NS_PER_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Grid:
    """What is varied, and what is the same in every cell.

    Attributes:
        summary: What the sweep is for, in one line.
        models: Names of models.
        device: Name of the device.
        loads: Request rates, in multiples of the capacity of (model, mix).
        seeds: How many; they are 0, 1, ...
        allocators: `NAME[:key=value,...]` each; `every` stands for all, with their defaults.
        scheduler: `NAME[:key=value,...]`.
        slo: What a request must reach to count for goodput.
        preemption: `NAME[:key=value,...]`: where the tokens of victims go.
        profile: Name or file of measured costs; empty prices steps from the device's rates.
        replicas: How many serve each cell, each with the budget of the rule.
        router: `NAME[:key=value,...]`; chooses among several replicas.
    """

    summary: str
    models: tuple[str, ...]
    device: str
    loads: tuple[float, ...]
    seeds: int
    allocators: tuple[str, ...]
    scheduler: str = "fcfs"
    slo: str = "ttft=2s,tpot=100ms"
    preemption: str = Recompute.name
    profile: str = ""
    replicas: int = 1
    router: str = ROUND_ROBIN


@dataclass(frozen=True, slots=True)
class MemoryRule:
    """The cache budget of a model: room for so many sequences of a reference length.

    Attributes:
        sequences: How many.
        reference_tokens: Prompt and output tokens of each.
    """

    sequences: int
    reference_tokens: int

    def budget_bytes(self, machine: Machine) -> int:
        """Bytes of the sequences without any waste, rounded up to whole granules."""
        spec, granule_bytes = machine.spec, machine.granule_bytes
        one = spec.bytes_per_sequence() + self.reference_tokens * spec.bytes_per_token()
        return -(-self.sequences * one // granule_bytes) * granule_bytes


@dataclass(frozen=True, slots=True)
class CapacityRule:
    """How the capacity of (model, mix) is measured: the rate at which a backlog is served.

    Attributes:
        allocator: Who serves it.
        seeds: The traces of so many seeds, one after the other, are all there at the start.
        requests: Of a longer trace so many, evenly spaced, since a day's worth takes minutes. A
            backlog ends with its longest outputs, so fewer requests give a somewhat lower rate.
    """

    allocator: str = "shared-bytes"
    seeds: int = 4
    requests: int = 20_000

    def backlog(self, mix: Mix) -> Trace:
        """The requests, all there at the start."""
        traces = [self._part(mix.load(seed)) for seed in range(self.seeds)]
        at_once = [replace(trace, arrival_ns=np.zeros(len(trace), np.int64)) for trace in traces]
        return superpose(at_once)

    def _part(self, trace: Trace) -> Trace:
        if len(trace) <= self.requests:
            return trace
        return take(trace, np.arange(self.requests) * len(trace) // self.requests)


@dataclass(frozen=True, slots=True)
class Mix:
    """A kind of traffic; a run stretches its times to the rate of the cell, periods and all.

    Attributes:
        trace: A file, or a preset `NAME[:key=value,...]`.
        arrivals: An arrival process instead of the trace's own times; empty keeps those.
    """

    trace: str
    arrivals: str = ""

    def load(self, seed: int) -> Trace:
        """The trace of a seed at its own rate.

        Raises:
            TraceError: Anything that is wrong about it, or arrivals that take no time.
        """
        trace = TraceInput(self.trace, TraceOptions(seed=seed), self.arrivals or None).load()
        if trace.arrival_ns is None or trace.arrival_ns[0] == trace.arrival_ns[-1]:
            raise TraceError(f"{trace.name}: its requests arrive at no rate that could be scaled")
        return trace

    def load_at(self, rate_rps: float, seed: int) -> Trace:
        """The trace of a seed at a mean rate in requests a second."""
        trace = self.load(seed)
        gaps_ns = np.diff(np.asarray(trace.arrival_ns))
        return scale_rate(trace, rate_rps * float(gaps_ns.mean()) / NS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class SweepScenario:
    """A sweep: every cell is a (model, mix, load, seed, allocator).

    Attributes:
        name: The file's name without ending.
        grid: What is varied.
        memory: The cache budget of each model.
        capacity: What load 1 means.
        mixes: Traffic by name.
        tenants: What is known of tenants of the traffic, or of all others.
    """

    name: str
    grid: Grid
    memory: MemoryRule
    capacity: CapacityRule
    mixes: dict[str, Mix]
    tenants: tuple[Tenant, ...] = ()

    @property
    def slo(self) -> Slo:
        """What a request must reach to count for goodput."""
        return parse_slo(self.grid.slo)

    @property
    def num_cells(self) -> int:
        """Cells of the whole grid."""
        grid = self.grid
        groups = len(grid.models) * len(self.mixes) * len(grid.loads) * grid.seeds
        return groups * len(grid.allocators)

    def machine(self, model_name: str) -> Machine:
        """A model on the device, with the budget of the rule."""
        model, device = choose_model(model_name), load_device(self.grid.device)
        anywhere = machine_of(model, device, MachineOptions(memory_gib=1.0))
        budget_gib = self.memory.budget_bytes(anywhere) / GIB
        profile = load_profile(self.grid.profile) if self.grid.profile else None
        return machine_of(model, device, MachineOptions(memory_gib=budget_gib), profile)
