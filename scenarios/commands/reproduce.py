"""`twinpool reproduce`: a published evaluation, again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from scenarios.commands.options import JobsOption, JsonFlag, QuietFlag
from scenarios.reproduce.evaluation import evaluate
from scenarios.reproduce.grid import SWEEPS
from scenarios.reproduce.outcome import (
    ReproduceInterruptedError,
    ReproduceOptions,
    known_paper,
)
from scenarios.reproduce.terminal import show_evaluation, show_fixes
from scenarios.result_lock import result_folder
from scenarios.terminal import EXIT_INTERRUPTED, say, say_interrupted, stage_bars

EPILOG = (
    "Example: twinpool reproduce avmp --sweep headline --jobs 2; twinpool reproduce avmp"
    " --list-fixes"
)


def reproduce_command(
    paper: Annotated[str, typer.Argument(help="Which paper; avmp is arXiv 2605.22416.")],
    sweep: Annotated[
        str | None,
        typer.Option(help=", ".join(SWEEPS) + "; headline by default, with --out everything."),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(help="Switch one habit of the evaluation off; repeat it, or all."),
    ] = None,
    list_fixes: Annotated[
        bool, typer.Option("--list-fixes", help="Say what each fix replaces, and run nothing.")
    ] = False,
    sharegpt_prompts: Annotated[
        Path | None, typer.Option(help="Prompt token counts that the sharegpt sweep draws from.")
    ] = None,
    jobs: JobsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for cells, tables and figures; it resumes there.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run the evaluation of a paper again, as published or with its habits fixed one by one."""
    known_paper(paper)
    if list_fixes:
        show_fixes(as_json=as_json)
        return
    with result_folder(out) as folder, stage_bars(quiet=quiet) as watcher:
        options = ReproduceOptions(
            sweep, tuple(fix or ()), jobs or os.cpu_count() or 1, folder, sharegpt_prompts
        )
        try:
            found = evaluate(options, watcher)
        except ReproduceInterruptedError as interruption:
            watcher.stop()
            say_interrupted(f"{interruption.num_cells} cells", folder)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    show_evaluation(found, as_json=as_json)
    if folder is not None and not quiet:
        say(f"report: {folder / 'report.html'}")
