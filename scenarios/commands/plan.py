"""`twinpool plan`: the highest load within an SLO, devices and cost."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from scenarios.cell import ROUND_ROBIN
from scenarios.commands.options import (
    AllocatorsOption,
    ArrivalsOption,
    ColumnsOption,
    DurationOption,
    FormatOption,
    JobsOption,
    JsonFlag,
    KvDtypeOption,
    LimitOption,
    MemoryOption,
    ModelOption,
    OutOption,
    PreemptionOption,
    ProfileOption,
    QuietFlag,
    RouterOption,
    SchedulerOption,
    SeedOption,
    StartOption,
    StateDtypeOption,
    TpOption,
    TraceOption,
    names_of,
)
from scenarios.errors import UserError
from scenarios.machine import MachineOptions
from scenarios.plan.ask import Accuracy, PlanAsk
from scenarios.plan.folder import REPORT, write_plan
from scenarios.plan.plan import PlanInterruptedError, plan
from scenarios.plan.rounds import Runs
from scenarios.plan.terminal import say_notes, show_plan
from scenarios.result_lock import result_folder
from scenarios.terminal import EXIT_INTERRUPTED, say, say_interrupted, stage_bars
from scenarios.trace_input import TraceInput
from traces.load import TraceOptions
from traces.loads import Traffic

EPILOG = (
    "Example: twinpool plan --model nemotron-h-8b --device h100-80gb --trace trace.csv.gz"
    " --slo ttft_p99=2s,tpot_p99=50ms --allocator static --allocator avmp --target-rps 100"
    " --price-per-hour 2.5 --ratios 0.2,0.8 --out planned"
)

SloOption = Annotated[
    str, typer.Option(help="ttft, tpot or e2e, _pNN or _mean: ttft_p99=2s,tpot_p99=50ms.")
]
TargetOption = Annotated[
    float | None, typer.Option(help="Requests a second to serve: how many devices?")
]
PriceOption = Annotated[
    list[str] | None, typer.Option(help="Of a device: 2.5, or NAME=2.5 for one of several.")
]
RatiosOption = Annotated[
    str, typer.Option(help="Shares of memory for states to try `static` at: 0.1,0.3,0.9.")
]
RequestsOption = Annotated[
    int, typer.Option(min=0, help="About so many a run near saturation; 0: the whole trace.")
]
StretchFlag = Annotated[
    bool, typer.Option("--stretch", help="Change loads by stretching time instead.")
]
SensitivityFlag = Annotated[
    bool, typer.Option(help="Search again with changed inputs, to see which matter.")
]


def plan_command(
    model: ModelOption,
    device: Annotated[list[str], typer.Option(help="See `twinpool list devices`; repeat it.")],
    trace: TraceOption,
    slo: SloOption,
    allocator: AllocatorsOption,
    target_rps: TargetOption = None,
    price_per_hour: PriceOption = None,
    ratios: RatiosOption = "",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Searches an allocator.")] = 3,
    tolerance: Annotated[float, typer.Option(help="Loads are told apart by this share.")] = 0.02,
    requests_per_run: RequestsOption = 10_000,
    stretch: StretchFlag = False,
    sensitivity: SensitivityFlag = True,
    scheduler: SchedulerOption = "fcfs",
    preemption: PreemptionOption = "recompute",
    profile: ProfileOption = None,
    router: RouterOption = ROUND_ROBIN,
    memory_gib: MemoryOption = None,
    tp: TpOption = 1,
    kv_dtype: KvDtypeOption = "auto",
    state_dtype: StateDtypeOption = "auto",
    seed: SeedOption = 0,
    trace_format: FormatOption = None,
    columns: ColumnsOption = None,
    arrivals: ArrivalsOption = None,
    limit: LimitOption = None,
    start: StartOption = 0.0,
    duration: DurationOption = None,
    jobs: JobsOption = None,
    out: OutOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find the highest load within an SLO, what limits it, and devices and cost for a target."""
    machine = MachineOptions(tp, kv_dtype, state_dtype, memory_gib)
    rules = (slo, scheduler, machine, preemption, profile, router)
    accuracy = Accuracy(seeds, tolerance, requests_per_run, sensitivity)
    target = (target_rps, tuple(price_per_hour or ()), accuracy, seed)
    ask = PlanAsk(model, tuple(device), names_of(allocator), *rules, _ratios(ratios), *target)
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit).load()
    traffic = Traffic.of(requests, is_stretched=stretch)
    _answer(ask, traffic, Output(out, jobs or os.cpu_count() or 1, as_json, quiet))


@dataclass(frozen=True, slots=True)
class Output:
    """Where an answer goes, and how it comes about.

    Attributes:
        out: Folder for everything; None keeps nothing.
        jobs: Processes.
        as_json: Whether one JSON object is printed.
        quiet: Whether progress and notes are left out.
    """

    out: Path | None
    jobs: int
    as_json: bool
    quiet: bool


def _answer(ask: PlanAsk, traffic: Traffic, output: Output) -> None:
    """Plan, write and print."""
    with result_folder(output.out) as folder, stage_bars(quiet=output.quiet) as watcher:
        runs = Runs(folder, output.jobs, watcher)
        try:
            found = plan(ask, traffic, runs)
        except PlanInterruptedError as interruption:
            watcher.stop()
            say_interrupted(f"{runs.made} new runs", folder)
            show_plan(interruption.partial, as_json=output.as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        if folder is not None:
            write_plan(found, folder)
    show_plan(found, as_json=output.as_json)
    if not output.quiet:
        say_notes(found)
        if folder is not None:
            say(f"report: {folder / REPORT}")


def _ratios(text: str) -> tuple[float, ...]:
    """Numbers separated by commas.

    Raises:
        UserError: One is no number.
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UserError(f"--ratios {text} is no list of numbers: write 0.1,0.3,0.9") from None
