"""`twinpool replay`: one trace through one or more allocators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.cell import FAST, ROUND_ROBIN
from scenarios.commands.options import (
    AllocatorsOption,
    ArrivalsOption,
    ColumnsOption,
    DeviceOption,
    DurationOption,
    FormatOption,
    JsonFlag,
    KvDtypeOption,
    LimitOption,
    MemoryOption,
    ModelOption,
    PreemptionOption,
    ProfileOption,
    QuietFlag,
    RouterOption,
    SchedulerOption,
    SeedOption,
    StartOption,
    StateDtypeOption,
    TpOption,
    names_of,
)
from scenarios.machine import MachineOptions
from scenarios.replay import ReplayInterruptedError, Scenario, cells_of, replay
from scenarios.result import ReplayResult
from scenarios.result_lock import result_folder
from scenarios.slo import parse_slo
from scenarios.tenants import parse_tenants
from scenarios.terminal import (
    EXIT_INTERRUPTED,
    run_bars,
    say,
    say_interrupted,
    show_replay,
)
from scenarios.trace_input import TraceInput
from traces.load import TraceOptions
from traces.record import Trace

EPILOG = (
    "Example: twinpool replay trace.csv.gz --model nemotron-h-8b --device h200"
    " --allocator static:state_ratio=0.5 --allocator avmp --memory-gib 4"
)
DEFAULT_FOLDER = Path("twinpool-out")


TenantOption = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME:key=value,... (weight, max_seqs, memory_share, rate, burst, max_waiting);"
        " repeat it; the name * stands for all others."
    ),
]
GoodputOption = Annotated[str, typer.Option(help="What counts for goodput, of each request.")]
StepOption = Annotated[
    str, typer.Option(help="fast, or exact: step by step. Both write the same event log.")
]
FolderOption = Annotated[
    Path | None,
    typer.Option(help=f"Folder for results, report and logs ({DEFAULT_FOLDER} by default)."),
]


def replay_command(
    trace: Annotated[str, typer.Argument(help="Trace file, or preset NAME[:key=value,...].")],
    model: ModelOption,
    device: DeviceOption,
    allocator: AllocatorsOption,
    scheduler: SchedulerOption = "fcfs",
    preemption: PreemptionOption = "recompute",
    profile: ProfileOption = None,
    tenant: TenantOption = None,
    memory_gib: MemoryOption = None,
    tp: TpOption = 1,
    replicas: Annotated[int, typer.Option(help="Replicas, each on devices of its own.")] = 1,
    router: RouterOption = ROUND_ROBIN,
    kv_dtype: KvDtypeOption = "auto",
    state_dtype: StateDtypeOption = "auto",
    seed: SeedOption = 0,
    trace_format: FormatOption = None,
    columns: ColumnsOption = None,
    arrivals: ArrivalsOption = None,
    limit: LimitOption = None,
    rate_scale: Annotated[float, typer.Option(help="Arrivals this many times faster.")] = 1.0,
    start: StartOption = 0.0,
    duration: DurationOption = None,
    slo: GoodputOption = "ttft=2s,tpot=100ms",
    engine_step: StepOption = FAST,
    out: FolderOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run one trace through one or more allocators, in simulated time."""
    machine = MachineOptions(tp, kv_dtype, state_dtype, memory_gib)
    fleet = (replicas, router, parse_tenants(tenant or ()))
    rules = (parse_slo(slo), seed, engine_step, preemption, profile, *fleet)
    scenario = Scenario(model, device, names_of(allocator), scheduler, machine, *rules)
    cells_of(scenario)
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit, rate_scale).load()
    # With --json alone nothing is written.
    wanted = None if out is None and as_json else out or DEFAULT_FOLDER
    with result_folder(wanted) as folder:
        result = _replayed(scenario, requests, folder, as_json=as_json, quiet=quiet)
        show_replay(result, folder, as_json=as_json)
        if folder is not None and not quiet:
            say(f"report: {folder / 'report.html'}")


def _replayed(
    scenario: Scenario, requests: Trace, folder: Path | None, *, as_json: bool, quiet: bool
) -> ReplayResult:
    """Replay; an interrupt ends the command with what is done."""
    names = scenario.allocators
    with run_bars(names, len(requests), quiet=quiet) as watcher:
        try:
            return replay(scenario, requests, folder, watcher)
        except ReplayInterruptedError as interruption:
            watcher.stop()
            say_interrupted(f"{len(interruption.partial.runs)} of {len(names)} runs", folder)
            show_replay(interruption.partial, folder, as_json=as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None
