"""`twinpool plan`: the highest load within an SLO, devices and cost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from scenarios.cell import ROUND_ROBIN
from scenarios.commands.options import JsonFlag, ProfileOption, QuietFlag
from scenarios.errors import UserError
from scenarios.machine import MachineOptions
from scenarios.plan.ask import Accuracy, PlanAsk
from scenarios.plan.folder import REPORT, write_plan
from scenarios.plan.plan import PlanInterruptedError, plan
from scenarios.plan.rounds import Runs
from scenarios.plan.terminal import say_notes, say_plan_interrupted, show_plan
from scenarios.terminal import EXIT_INTERRUPTED, make_folder, say, stage_bars
from scenarios.trace_input import TraceInput
from traces.load import TraceOptions
from traces.loads import Traffic

EPILOG = (
    "Example: twinpool plan --model nemotron-h-8b --device h100-80gb --trace trace.csv.gz"
    " --slo ttft_p99=2s,tpot_p99=50ms --allocator static --allocator avmp --target-rps 100"
    " --price-per-hour 2.5 --ratios 0.2,0.8 --out planned"
)


def plan_command(
    model: Annotated[str, typer.Option(help="Model name, config.json or folder with one.")],
    device: Annotated[list[str], typer.Option(help="See `twinpool list devices`; repeat it.")],
    trace: Annotated[str, typer.Option(help="Trace file, or preset NAME[:key=value,...].")],
    slo: Annotated[
        str, typer.Option(help="ttft, tpot or e2e, _pNN or _mean: ttft_p99=2s,tpot_p99=50ms.")
    ],
    allocator: Annotated[
        list[str], typer.Option(help="NAME[:key=value,...]; repeat it, or separate by spaces.")
    ],
    target_rps: Annotated[
        float | None, typer.Option(help="Requests a second to serve: how many devices?")
    ] = None,
    price_per_hour: Annotated[
        list[str] | None, typer.Option(help="Of a device: 2.5, or NAME=2.5 for one of several.")
    ] = None,
    ratios: Annotated[
        str, typer.Option(help="Shares of memory for states to try `static` at: 0.1,0.3,0.9.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Searches an allocator.")] = 3,
    tolerance: Annotated[float, typer.Option(help="Loads are told apart by this share.")] = 0.02,
    requests_per_run: Annotated[
        int, typer.Option(min=0, help="About so many a run near saturation; 0: the whole trace.")
    ] = 10_000,
    stretch: Annotated[
        bool, typer.Option("--stretch", help="Change loads by stretching time instead.")
    ] = False,
    sensitivity: Annotated[
        bool, typer.Option(help="Search again with changed inputs, to see which matter.")
    ] = True,
    scheduler: Annotated[
        str, typer.Option(help="NAME[:key=value,...][+ADMISSION[:key=value,...]].")
    ] = "fcfs",
    preemption: Annotated[str, typer.Option(help="recompute or swap[:key=...].")] = "recompute",
    profile: ProfileOption = None,
    router: Annotated[
        str, typer.Option(help="NAME[:key=value,...]: spreads the target over replicas.")
    ] = ROUND_ROBIN,
    memory_gib: Annotated[
        float | None, typer.Option(help="Cache budget of a device, instead of deriving it.")
    ] = None,
    tp: Annotated[int, typer.Option(help="Devices that share the model.")] = 1,
    kv_dtype: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp8.")] = "auto",
    state_dtype: Annotated[str, typer.Option(help="auto, bf16, fp16 or fp32.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    trace_format: Annotated[
        str | None, typer.Option("--format", help="Trace format, instead of sniffing it.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="arrival=...,prompt=...,output=... of any CSV or JSONL.")
    ] = None,
    arrivals: Annotated[
        str | None, typer.Option(help="Arrival process for lengths, e.g. poisson:rate=5.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Plan for the first N requests.")] = None,
    start: Annotated[float, typer.Option(help="Leave out the first seconds of the trace.")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="Keep this many seconds of it.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as processors by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for plan.html, tables and runs; it resumes there.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find the highest load within an SLO, what limits it, and devices and cost for a target."""
    ask = PlanAsk(
        model,
        tuple(device),
        tuple(name for text in allocator for name in text.split()),
        slo,
        scheduler,
        MachineOptions(tp, kv_dtype, state_dtype, memory_gib),
        preemption,
        profile,
        router,
        _ratios(ratios),
        target_rps,
        tuple(price_per_hour or ()),
        Accuracy(seeds, tolerance, requests_per_run, sensitivity),
        seed,
    )
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit).load()
    traffic = Traffic.of(requests, is_stretched=stretch)
    folder = None if out is None else make_folder(out)
    with stage_bars(quiet=quiet) as watcher:
        try:
            found = plan(ask, traffic, Runs(folder, jobs or os.cpu_count() or 1, watcher))
        except PlanInterruptedError as interruption:
            watcher.stop()
            say_plan_interrupted(interruption, folder)
            show_plan(interruption.partial, as_json=as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    if folder is not None:
        write_plan(found, folder)
    show_plan(found, as_json=as_json)
    if not quiet:
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
