"""`twinpool compare`: a simulated run against what a real engine measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.commands.options import JsonFlag, QuietFlag
from scenarios.compare.comparison import CompareOptions, compare
from scenarios.compare.folder import REPORT
from scenarios.compare.occupancy import occupancy_input
from scenarios.compare.terminal import show_comparison
from scenarios.result_lock import result_folder
from scenarios.terminal import say

EPILOG = (
    "Example: twinpool compare twinpool-out measured.csv --allocator vllm --columns"
    " arrival=t0,first_token=t1,last_token=t2,prompt=n_in,output=n_out --out compared"
)


def compare_command(
    run: Annotated[Path, typer.Argument(help="The --out folder of a replay.")],
    measured: Annotated[Path, typer.Argument(help="Log of a real engine, CSV or JSON Lines.")],
    allocator: Annotated[
        str | None, typer.Option(help="Which run of the folder, if it holds several.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="id=,arrival=,first_token= or ttft=,last_token= or e2e=,prompt=,output=; behind"
            " a time :s, :ms, :us or :ns. Well-known names by default."
        ),
    ] = None,
    occupancy: Annotated[
        Path | None, typer.Option(help="Pool use over time, on the clock of the log.")
    ] = None,
    occupancy_columns: Annotated[
        str | None, typer.Option(help="time=...[:ms],pct=...[:fraction]; time and pct by default.")
    ] = None,
    occupancy_pool: Annotated[
        str | None, typer.Option(help="Pool of the run to compare; all together by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for compare.html and CSV.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare a simulated run with what a real engine measured, request by request."""
    series = occupancy_input(occupancy, occupancy_columns, occupancy_pool)
    found = compare(CompareOptions(run, measured, allocator, columns, series))
    with result_folder(out) as folder:
        show_comparison(found, folder, as_json=as_json)
        if folder is not None and not quiet:
            say(f"report: {folder / REPORT}")
