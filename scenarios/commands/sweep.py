"""`twinpool sweep`: every cell of a scenario, here or on a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from scenarios.commands.options import JobsOption, JsonFlag, ProfileOption, QuietFlag
from scenarios.pools import BACKENDS, LOCAL, Place
from scenarios.result_lock import own_folder
from scenarios.sweep import REPORT, SweepInterruptedError, SweepLostError, SweepOptions, sweep
from scenarios.sweep_file import load_sweep
from scenarios.sweep_store import RESULTS
from scenarios.terminal import (
    EXIT_INTERRUPTED,
    say,
    say_interrupted,
    show_sweep,
    stage_bars,
)

EPILOG = (
    "Example: twinpool sweep shift --jobs 2 --out shift-results --limit-cells 100; twinpool sweep"
    " grid.toml --backend dask --address tcp://head:8786 --out grid-results"
)
DEFAULT_FOLDER = Path("twinpool-out")


def sweep_command(
    scenario: Annotated[
        str, typer.Argument(help="TOML file, or preset; see `twinpool list presets`.")
    ],
    jobs: JobsOption = None,
    backend: Annotated[str, typer.Option(help=f"{', '.join(BACKENDS)}.")] = LOCAL,
    address: Annotated[
        str | None, typer.Option(help="Of a running cluster, instead of starting one here.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for rows and results; a sweep goes on from what is there.")
    ] = DEFAULT_FOLDER,
    limit_cells: Annotated[
        int | None, typer.Option(min=1, help="Run only the first N cells of the grid.")
    ] = None,
    profile: ProfileOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run every cell of a scenario: models, mixes of traffic, loads, seeds, allocators."""
    loaded = load_sweep(scenario, profile)
    place = Place(jobs or os.cpu_count() or 1, backend, address)
    with own_folder(out) as folder, stage_bars(quiet=quiet) as watcher:
        options = SweepOptions(folder, place, limit_cells)
        try:
            result = sweep(loaded, options, watcher)
        except SweepInterruptedError as interruption:
            watcher.stop()
            say_interrupted(f"{interruption.partial.facts['cells']} cells", folder)
            show_sweep(interruption.partial, as_json=as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except SweepLostError as loss:
            watcher.stop()
            show_sweep(loss.partial, as_json=as_json)
            raise
    show_sweep(result, as_json=as_json)
    if not quiet:
        say(f"results: {folder / RESULTS}, report: {folder / REPORT}")
