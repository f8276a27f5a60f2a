"""`twinpool replay`: one trace through one or more allocators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.cell import FAST, ROUND_ROBIN
from scenarios.commands.options import JsonFlag, ProfileOption, QuietFlag
from scenarios.machine import MachineOptions
from scenarios.replay import ReplayInterruptedError, Scenario, cells_of, replay
from scenarios.slo import parse_slo
from scenarios.tenants import parse_tenants
from scenarios.terminal import (
    EXIT_INTERRUPTED,
    make_folder,
    run_bars,
    say,
    say_replay_interrupted,
    show_replay,
)
from scenarios.trace_input import TraceInput
from traces.load import TraceOptions

EPILOG = (
    "Example: twinpool replay trace.csv.gz --model nemotron-h-8b --device h200"
    " --allocator static:state_ratio=0.5 --allocator avmp --memory-gib 4"
)
DEFAULT_FOLDER = Path("twinpool-out")


def replay_command(
    trace: Annotated[str, typer.Argument(help="Trace file, or preset NAME[:key=value,...].")],
    model: Annotated[str, typer.Option(help="Model name, config.json or folder with one.")],
    device: Annotated[str, typer.Option(help="Device name; see `twinpool list devices`.")],
    allocator: Annotated[
        list[str], typer.Option(help="NAME[:key=value,...]; repeat it, or separate by spaces.")
    ],
    scheduler: Annotated[
        str, typer.Option(help="NAME[:key=value,...], then any +ADMISSION[:key=value,...].")
    ] = "fcfs",
    preemption: Annotated[str, typer.Option(help="recompute or swap[:key=...].")] = "recompute",
    profile: ProfileOption = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME:key=value,... (weight, max_seqs, memory_share, rate, burst, max_waiting);"
            " repeat it; the name * stands for all others."
        ),
    ] = None,
    memory_gib: Annotated[float | None, typer.Option(help="Cache budget of a device.")] = None,
    tp: Annotated[int, typer.Option(help="Devices that share the model.")] = 1,
    replicas: Annotated[int, typer.Option(help="Replicas, each on devices of its own.")] = 1,
    router: Annotated[str, typer.Option(help="NAME[:key=...]; see `list routers`.")] = ROUND_ROBIN,
    kv_dtype: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp8.")] = "auto",
    state_dtype: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    trace_format: Annotated[
        str | None, typer.Option("--format", help="Trace format, instead of sniffing it.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="arrival=...,prompt=...,output=... of any CSV or JSONL.")
    ] = None,
    arrivals: Annotated[
        str | None, typer.Option(help="Arrival process for lengths, e.g. poisson:rate=5.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Keep the first N requests.")] = None,
    rate_scale: Annotated[float, typer.Option(help="Arrivals this many times faster.")] = 1.0,
    start: Annotated[float, typer.Option(help="Leave out the first seconds.")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="Keep this many seconds.")] = None,
    slo: Annotated[
        str, typer.Option(help="What counts for goodput, of each request.")
    ] = "ttft=2s,tpot=100ms",
    engine_step: Annotated[
        str, typer.Option(help="fast, or exact: step by step. Both write the same event log.")
    ] = FAST,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder for results, report and logs ({DEFAULT_FOLDER} by default)."),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run one trace through one or more allocators, in simulated time."""
    machine = MachineOptions(tp, kv_dtype, state_dtype, memory_gib)
    names = tuple(name for text in allocator for name in text.split())
    fleet = (replicas, router, parse_tenants(tenant or ()))
    rules = (parse_slo(slo), seed, engine_step, preemption, profile, *fleet)
    scenario = Scenario(model, device, names, scheduler, machine, *rules)
    cells_of(scenario)
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit, rate_scale).load()
    # With --json alone nothing is written.
    folder = None if out is None and as_json else make_folder(out or DEFAULT_FOLDER)
    with run_bars(names, len(requests), quiet=quiet) as watcher:
        try:
            result = replay(scenario, requests, folder, watcher)
        except ReplayInterruptedError as interruption:
            watcher.stop()
            say_replay_interrupted(interruption, names, folder)
            show_replay(interruption.partial, folder, as_json=as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    show_replay(result, folder, as_json=as_json)
    if folder is not None and not quiet:
        say(f"report: {folder / 'report.html'}")
