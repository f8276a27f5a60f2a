"""`twinpool report`: the page and the pictures of a result folder, or two of them compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scenarios.commands.options import JsonFlag, QuietFlag
from scenarios.folder_comparison.page import comparison_page
from scenarios.report.png import CannotDrawError, write_pngs
from scenarios.result_folder import REPORT, ResultFolder
from scenarios.result_lock import own_folder
from scenarios.terminal import print_json, say
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION
from scenarios.whole_file import write_text

EPILOG = "Example: twinpool report twinpool-out; twinpool report before after --out compared"
COMPARISON = "comparison.html"


def report_command(
    folder: Annotated[
        Path, typer.Argument(help="The --out folder of replay, sweep, plan, compare or capacity.")
    ],
    other: Annotated[
        Path | None, typer.Argument(help="A second one of the same command, to compare with.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; the folder by default.")] = None,
    png: Annotated[bool, typer.Option(help="Draw each chart as PNG too, if that works.")] = True,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a self-contained page and PNGs from what a command left in a folder."""
    found = ResultFolder.open(folder)
    if other is None:
        page, name = found.page(), REPORT
    else:
        page, name = comparison_page(found, ResultFolder.open(other)), COMPARISON
    note = ""
    with own_folder(out or folder) as target:
        files = [target / name]
        write_text(files[0], page)
        if png and other is None:
            try:
                files += write_pngs(page, target)
            except CannotDrawError as reason:
                note = str(reason)
    _show(found, files, note, as_json=as_json, quiet=quiet)


def _show(found: ResultFolder, files: list[Path], note: str, *, as_json: bool, quiet: bool) -> None:
    """Print what was written, and say what was not."""
    facts: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "twinpool_version": TWINPOOL_VERSION,
        "command": "report",
        "seed": found.facts.get("seed"),
        "scenario_digest": found.facts.get("scenario_digest"),
        "files": [str(file) for file in files],
    }
    if as_json:
        print_json(facts)
    else:
        for file in files:
            typer.echo(str(file))
    if note and not quiet:
        say(note)
