"""`twinpool validate`: the same run simulated and on this device, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scenarios.calibration import catalogue_name
from scenarios.commands.options import (
    AllocatorsOption,
    ArrivalsOption,
    ColumnsOption,
    DurationOption,
    FormatOption,
    JsonFlag,
    LimitOption,
    MemoryOption,
    ModelOption,
    QuietFlag,
    SchedulerOption,
    SeedOption,
    StartOption,
    StateDtypeOption,
    TraceOption,
    names_of,
)
from scenarios.device_rig import device_product, rig_of, said_as_user_error
from scenarios.errors import UserError
from scenarios.machine import MachineOptions
from scenarios.result_lock import result_folder
from scenarios.terminal import ended_by_interrupt, print_json, stage_bars
from scenarios.trace_input import TraceInput
from scenarios.validation.kept import RESULT
from scenarios.validation.terminal import show_validation
from scenarios.validation.validate import ValidateOptions, Validation
from traces.load import TraceOptions

EPILOG = (
    "Example: twinpool validate --model nemotron-h-8b --profile nemotron-h-8b-h200.json --trace"
    " trace.csv.gz --limit 300 --allocator avmp --allocator static --memory-gib 6 --rate-scale 2"
)

BackingOption = Annotated[
    list[str] | None, typer.Option(help="vmm (the default) or torch; repeat it for both.")
]
RateScalesOption = Annotated[
    list[float] | None, typer.Option(help="Arrivals this many times faster; repeat it.")
]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder for the result so far and every step.")
]


def validate_command(
    model: ModelOption,
    profile: Annotated[str, typer.Option(help="Profile that `twinpool calibrate` has made.")],
    trace: TraceOption,
    allocator: AllocatorsOption,
    backing: BackingOption = None,
    rate_scale: RateScalesOption = None,
    memory_gib: MemoryOption = None,
    scheduler: SchedulerOption = "fcfs",
    state_dtype: StateDtypeOption = "auto",
    seed: SeedOption = 0,
    trace_format: FormatOption = None,
    columns: ColumnsOption = None,
    arrivals: ArrivalsOption = None,
    limit: LimitOption = None,
    start: StartOption = 0.0,
    duration: DurationOption = None,
    out: OutOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run a trace on this CUDA device and in the simulator, and compare the two."""
    machine = MachineOptions(state_dtype=state_dtype, memory_gib=memory_gib)
    runs = (tuple(backing or ("vmm",)), tuple(rate_scale or (1.0,)), scheduler, machine, seed)
    validation = Validation.of(ValidateOptions(model, profile, names_of(allocator), *runs))
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit).load()
    kept = "nothing is kept without --out" if out is None else f"rows so far are in {out / RESULT}"
    left = f"{kept}, a validation starts anew"
    with ended_by_interrupt(left), said_as_user_error():
        rig = _rig(validation, machine)
        with result_folder(out) as folder, stage_bars(quiet=quiet) as watcher:
            result = validation.run(rig, requests, watcher, folder)
    if as_json:
        print_json(result.to_json())
    else:
        show_validation(result)


def _rig(validation: Validation, machine: MachineOptions) -> Any:  # noqa: ANN401 - needs torch
    """What runs on this device.

    Raises:
        UserError: The profile is of another one.
    """
    product = device_product()
    if catalogue_name(product) != validation.profile.device:
        raise UserError(
            f"profile {validation.profile.name} was measured on {validation.profile.device},"
            f" and this device is {product}: calibrate here"
        )
    return rig_of(validation.model, machine)
