"""`twinpool calibrate`: what steps of a model cost on this device, as a profile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from scenarios.calibration import Subject, catalogue_name, write_profile
from scenarios.commands.options import (
    JsonFlag,
    MemoryOption,
    ModelOption,
    QuietFlag,
    StateDtypeOption,
)
from scenarios.device import load_device
from scenarios.device_calibration import Bench, CalibrationSize
from scenarios.device_rig import (
    device_product,
    primitives_of_device,
    rig_of,
    said_as_user_error,
)
from scenarios.errors import UserError
from scenarios.machine import MachineOptions, machine_of
from scenarios.model import AUTO
from scenarios.model_choice import choose_model
from scenarios.profile import read_profile
from scenarios.terminal import ended_by_interrupt, print_json, say, stage_bars
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION

EPILOG = "Example: twinpool calibrate --model nemotron-h-8b --out nemotron-h-8b-h200.json"


def calibrate_command(
    model: ModelOption,
    out: Annotated[Path, typer.Option(help="The profile: a file that ends in .json.")],
    device: Annotated[
        str | None, typer.Option(help="Device of the catalogue, if its product is not known.")
    ] = None,
    memory_gib: MemoryOption = None,
    state_dtype: StateDtypeOption = AUTO,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure steps and memory calls on this CUDA device, and write a profile of them."""
    started_s = time.perf_counter()
    if out.suffix != ".json" or not out.parent.is_dir():
        raise UserError(f"--out {out} must be a .json file in a folder that exists")
    options = MachineOptions(state_dtype=state_dtype, memory_gib=memory_gib)
    chosen = choose_model(model)
    left = "nothing is written, a calibration starts anew"
    with ended_by_interrupt(left), said_as_user_error():
        product = device_product()
        name = device or catalogue_name(product)
        machine = machine_of(chosen, load_device(name), options)
        primitives = primitives_of_device()
        rig = rig_of(chosen, options)
        dtypes = {"kv": chosen.dtypes.kv, "state": _state_dtype(state_dtype, chosen)}
        subject = Subject(chosen.name, name, dtypes, rig.measured_on)
        with stage_bars(quiet=quiet) as watcher:

            def starts(total: int) -> Any:  # noqa: ANN401 - who is told of each step
                watcher.starts("steps", total)
                return lambda _: watcher.advanced(1)

            bench = Bench(rig, machine, CalibrationSize())
            profile, evidence = bench.calibrate(subject, primitives, starts)
    write_profile(out, profile, evidence)
    wall_seconds = time.perf_counter() - started_s
    _show(out, wall_seconds, as_json=as_json)


def _state_dtype(asked: str, model: Any) -> str:  # noqa: ANN401 - a Model
    return str(model.dtypes.recurrent_state if asked == AUTO else asked)


def _show(file: Path, wall_seconds: float, *, as_json: bool) -> None:
    """Say what was written, as it is read again."""
    profile = read_profile(file)
    error = profile.fit_error
    if as_json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "twinpool_version": TWINPOOL_VERSION,
                "command": "calibrate",
                "seed": 0,
                "model": profile.model,
                "device": profile.device,
                "profile": str(file),
                "profile_digest": profile.digest,
                "fit_error": {
                    "median_pct": error.median_pct,
                    "p95_pct": error.p95_pct,
                    "held_out_median_pct": error.held_out_median_pct,
                    "held_out_p95_pct": error.held_out_p95_pct,
                },
                "wall_seconds": wall_seconds,
            }
        )
        return
    say(
        f"{file}: fitted to {error.median_pct:.2f} % (median) and {error.p95_pct:.2f} % (95th"
        f" percentile); steps held out {error.held_out_median_pct:.2f} % and"
        f" {error.held_out_p95_pct:.2f} %"
    )
