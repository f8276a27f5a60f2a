"""The paper's grid under the serving engine: simulated time, a queue, equal physical bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.cell import Cell, simulate
from scenarios.device import load_device
from scenarios.machine import MachineOptions, machine_of
from scenarios.reproduce.workloads import MODELS, POOLS_GIB, SEEDS, SYNTHETIC, Workload, paper_model
from sim.metric import Slo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.machine import Machine
    from scenarios.reproduce.cell import Row
    from traces.record import Trace

DEVICE = "h200"
"""The weights of the paper's models do not fit its own device (12 GB); they do fit this one."""

ALLOCATORS = (
    "padded",
    "static:state_ratio=0.5",
    "static:state_ratio=0.9",
    "avmp",
    "shared-bytes",
)
NUM_SAMPLES = 250
FIGURES = (
    "completed",
    "rejected",
    "clean_completions",
    "preemptions",
    "oom_events",
    "recomputed_tokens",
    "throughput_rps",
    "throughput_tokens_per_s",
    "goodput_rps",
    "simulated_seconds",
    "event_log_sha256",
)


@dataclass(frozen=True, slots=True)
class EngineRun:
    """One run of the engine; a tick of the paper's clock is a millisecond here.

    Attributes:
        allocator: `NAME[:key=value,...]`.
        workload: The stream.
        model: The paper's name of the model.
        pool_gib: The budget: physical bytes, the same for every allocator.
    """

    allocator: str
    workload: Workload
    model: str
    pool_gib: int

    @property
    def cell(self) -> Cell:
        """What the engine runs."""
        machine = _machine(self.model, self.pool_gib)
        return Cell(machine, self.allocator, "fcfs", Slo(), num_samples=NUM_SAMPLES)

    def digest(self) -> str:
        """SHA-256 (hex) of all that determines the result."""
        described = f"engine {self.cell.digest(_trace(self.workload).digest())}"
        return hashlib.sha256(described.encode()).hexdigest()

    def run(self) -> Row:
        """Run it; simulated figures only."""
        metrics = simulate(self.cell, _trace(self.workload)).metrics
        place = {
            "allocator": self.allocator,
            "workload": self.workload.name,
            "model": self.model,
            "pool_gib": self.pool_gib,
            "seed": self.workload.seed,
            "digest": self.digest(),
        }
        moved = metrics["migrations"]
        figures = {name: metrics[name] for name in FIGURES}
        return {**place, **figures, "migrations": moved["count"], "bytes_migrated": moved["bytes"]}


def engine_runs() -> list[EngineRun]:
    """The headline grid, an allocator of this project in place of each variant."""
    return [
        EngineRun(allocator, Workload(workload, seed), model, pool_gib)
        for allocator in ALLOCATORS
        for workload in SYNTHETIC
        for model in MODELS
        for pool_gib in POOLS_GIB
        for seed in range(SEEDS)
    ]


def engine_table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """By allocator and workload: sums over the rows of the means over seeds, rates as means."""
    sums = ("completed", "rejected", "clean_completions", "preemptions", "oom_events", "migrations")
    means = ("throughput_rps", "throughput_tokens_per_s", "goodput_rps", "simulated_seconds")
    found = []
    for allocator in ALLOCATORS:
        for workload in SYNTHETIC:
            own = [r for r in rows if (r["allocator"], r["workload"]) == (allocator, workload)]
            entry: dict[str, Any] = {"allocator": allocator, "workload": workload}
            entry |= {name: float(sum(row[name] for row in own)) / SEEDS for name in sums}
            entry |= {name: float(np.mean([row[name] or 0.0 for row in own])) for name in means}
            found.append(entry)
    return found


@cache
def _machine(model: str, pool_gib: int) -> Machine:
    return machine_of(paper_model(model), load_device(DEVICE), MachineOptions(memory_gib=pool_gib))


@cache
def _trace(workload: Workload) -> Trace:
    return workload.preset().generate()
