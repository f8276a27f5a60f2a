"""The isolation experiment of `docs/engine.md`: what a noisy neighbour does to another tenant.

`python -m scenarios.isolation` prints the table; with `--json` the figures behind it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from scenarios.cell import Cell
from scenarios.device import load_device
from scenarios.machine import MachineOptions, machine_of
from scenarios.model_file import load_model
from sim.macro_steps import MacroStepEngine
from sim.metric import Slo, measure
from sim.tenant import Tenant
from traces.load import TraceOptions, load_trace
from traces.synthetic.noisy_neighbour import NOISY, WELL_BEHAVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.machine import Machine
    from sim.step import StepPlan, StepPricer

MODEL, DEVICE, MEMORY_GIB, ALLOCATOR = "nemotron-h-8b", "h200", 4.0, "avmp"
TRACE = "noisy-neighbour:n=200,rate=2"
SEEDS = 5
FACTOR = 10
QUOTA = (Tenant(NOISY, memory_share=0.5),)

PROMISED_STEPS = 5
"""Longest steps by which a neighbour may delay a first token under `fair` and a quota.

One is in flight when a request arrives; one belongs to the prompt that the budget of the step
before has cut; two to the neighbour's prompts while it catches up, since the tenant may be ahead
of it by what up to ten of its sequences were served (1,536 each on average, of the 8,192 that a
step computes); and its own prompt may take part in a step as long as all others.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        name: What it is called.
        factor: Load of the neighbour, in multiples of the tenant's own.
        scheduler: As on the command line.
        tenants: Settings.
    """

    name: str
    factor: int
    scheduler: str
    tenants: tuple[Tenant, ...] = ()


CASES = (
    Case("alone, `fcfs`", 0, "fcfs"),
    Case("neighbour, `fcfs`", FACTOR, "fcfs"),
    Case("neighbour, `fcfs`, quota", FACTOR, "fcfs", QUOTA),
    Case("neighbour, `fair`", FACTOR, "fair"),
    Case("neighbour, `fair`, quota", FACTOR, "fair", QUOTA),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case did to the well-behaved tenant, by seed.

    Attributes:
        case: Its name.
        ttft_p99_s: Seconds to the first token, 99th percentile.
        preempted: Its sequences that lost their pages.
        longest_step_s: The longest step of the run.
    """

    case: str
    ttft_p99_s: tuple[float, ...]
    preempted: tuple[int, ...]
    longest_step_s: tuple[float, ...]


class LongestStep:
    """An executor that remembers the longest step it was shown.

    Steps taken together are not shown: they only decode, after one that decodes as many.
    """

    def __init__(self, inner: StepPricer) -> None:
        self._inner = inner
        self.longest_ns = 0

    def execute(self, plan: StepPlan) -> int:
        """See `StepExecutor.execute`."""
        duration_ns = self._inner.execute(plan)
        self.longest_ns = max(self.longest_ns, duration_ns)
        return duration_ns

    def price_repeats(self, plan: StepPlan, repeats: int) -> list[int]:
        """See `StepPricer.price_repeats`."""
        return self._inner.price_repeats(plan, repeats)


def outcomes(trace: str = TRACE, seeds: int = SEEDS) -> Iterator[Outcome]:
    """Run every case on the traces of some seeds."""
    options = MachineOptions(memory_gib=MEMORY_GIB)
    machine = machine_of(load_model(MODEL), load_device(DEVICE), options)
    for case in CASES:
        runs = [_run(case, machine, trace, seed) for seed in range(seeds)]
        yield Outcome(case.name, *(tuple(column) for column in zip(*runs, strict=True)))


def _run(case: Case, machine: Machine, trace: str, seed: int) -> tuple[float, int, float]:
    cell = Cell(machine, ALLOCATOR, case.scheduler, Slo(), tenants=case.tenants)
    wiring = cell.wire_replica()
    executor = LongestStep(machine.executor())
    requests = load_trace(f"{trace},factor={case.factor}", TraceOptions(seed=seed))
    log = MacroStepEngine(requests, replace(wiring, executor=executor)).run()
    (figures,) = (
        tenant for tenant in measure(log, cell.slo)["tenants"] if tenant["tenant"] == WELL_BEHAVED
    )
    return figures["ttft_s"]["p99"], figures["preemptions"], executor.longest_ns / 1e9


def table_of(found: list[Outcome]) -> str:
    """The outcomes as Markdown: means over the seeds, and the worst."""
    lines = [
        "| case | p99 TTFT, s: mean | worst seed | preemptions | longest step, s |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        mean_s = sum(row.ttft_p99_s) / len(row.ttft_p99_s)
        lines.append(
            f"| {row.case} | {mean_s:.3f} | {max(row.ttft_p99_s):.3f} | {sum(row.preempted)}"
            f" | {max(row.longest_step_s):.3f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the experiment."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.isolation")
    parser.add_argument("--json", action="store_true", help="print figures instead of a table")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="traces to run each case on")
    chosen = parser.parse_args(arguments)
    found = list(outcomes(seeds=chosen.seeds))
    shown: list[dict[str, Any]] = [asdict(row) for row in found]
    sys.stdout.write((json.dumps(shown, indent=1) if chosen.json else table_of(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
