"""`twinpool validate`: the same run simulated and on this device, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.calibration import catalogue_name
from scenarios.commands.options import JsonFlag, QuietFlag
from scenarios.device_rig import device_product, rig_of, said_as_user_error
from scenarios.errors import UserError
from scenarios.machine import MachineOptions
from scenarios.terminal import make_folder, print_json, stage_bars
from scenarios.trace_input import TraceInput
from scenarios.validation.terminal import show_validation
from scenarios.validation.validate import ValidateOptions, Validation
from traces.load import TraceOptions

EPILOG = (
    "Example: twinpool validate --model nemotron-h-8b --profile nemotron-h-8b-h200.json --trace"
    " trace.csv.gz --limit 300 --allocator avmp --allocator static --memory-gib 6 --rate-scale 2"
)


def validate_command(
    model: Annotated[str, typer.Option(help="Model name, config.json or folder with one.")],
    profile: Annotated[str, typer.Option(help="Profile that `twinpool calibrate` has made.")],
    trace: Annotated[str, typer.Option(help="Trace file, or preset NAME[:key=value,...].")],
    allocator: Annotated[
        list[str], typer.Option(help="NAME[:key=value,...]; repeat it, or separate by spaces.")
    ],
    backing: Annotated[
        list[str] | None, typer.Option(help="vmm (the default) or torch; repeat it for both.")
    ] = None,
    rate_scale: Annotated[
        list[float] | None, typer.Option(help="Arrivals this many times faster; repeat it.")
    ] = None,
    memory_gib: Annotated[
        float | None, typer.Option(help="Cache budget, instead of deriving it.")
    ] = None,
    scheduler: Annotated[str, typer.Option(help="NAME[:key=value,...].")] = "fcfs",
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
    start: Annotated[float, typer.Option(help="Leave out the first seconds.")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="Keep this many seconds.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result so far and every step.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run a trace on this CUDA device and in the simulator, and compare the two."""
    names = tuple(name for text in allocator for name in text.split())
    machine = MachineOptions(state_dtype=state_dtype, memory_gib=memory_gib)
    kinds, loads = tuple(backing or ("vmm",)), tuple(rate_scale or (1.0,))
    options = ValidateOptions(model, profile, names, kinds, loads, scheduler, machine, seed)
    validation = Validation.of(options)
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit).load()
    with said_as_user_error():
        product = device_product()
        if catalogue_name(product) != validation.profile.device:
            raise UserError(
                f"profile {validation.profile.name} was measured on {validation.profile.device},"
                f" and this device is {product}: calibrate here"
            )
        rig = rig_of(validation.model, machine)
        folder = None if out is None else make_folder(out)
        with stage_bars(quiet=quiet) as watcher:
            result = validation.run(rig, requests, watcher, folder)
    if as_json:
        print_json(result.to_json())
    else:
        show_validation(result)
