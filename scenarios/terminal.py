"""What a person at a terminal sees of a command: progress, notes, tables, JSON."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from scenarios.report import write_report
from scenarios.sweep_table import sweep_table
from scenarios.tables import list_lines, replay_tables
from scenarios.tenant_table import tenant_tables
from scenarios.whole_file import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scenarios.listing import Item
    from scenarios.result import ReplayResult
    from scenarios.sweep import SweepResult

EXIT_INTERRUPTED = 130
"""What a command ends with that the user interrupted, as shells do (128 + SIGINT)."""
FIGURES_WIDTH = 32
"""Columns of a progress line beside its name and bar: pieces of a million, a time, and gaps."""


class RunBars:
    """Progress bars, one a run; a `scenarios.replay.Watcher`."""

    def __init__(self, progress: Progress, names: tuple[str, ...], total: int) -> None:
        self._progress = progress
        self._tasks = [progress.add_task(name, total=total) for name in names]

    def advanced(self, run: int, ended: int) -> None:
        """See `scenarios.replay.Watcher`."""
        self._progress.update(self._tasks[run], completed=ended)

    def stop(self) -> None:
        """Leave the terminal to other output."""
        self._progress.stop()


class StageBars:
    """Progress bars, one a stage; a `scenarios.sweep.SweepWatcher`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def starts(self, stage: str, total: int | None) -> None:
        """See `scenarios.sweep.SweepWatcher`; a stage without total shows what has ended."""
        self._task = self._progress.add_task(stage, total=total)

    def advanced(self, pieces: int) -> None:
        """See `scenarios.sweep.SweepWatcher`."""
        self._progress.advance(self._task, pieces)

    def stop(self) -> None:
        """Leave the terminal to other output."""
        self._progress.stop()


@contextmanager
def run_bars(names: tuple[str, ...], total: int, *, quiet: bool) -> Iterator[RunBars]:
    """A bar a run."""
    with _progress(quiet=quiet) as progress:
        yield RunBars(progress, names, total)


@contextmanager
def stage_bars(*, quiet: bool) -> Iterator[StageBars]:
    """A bar a stage, with the time left."""
    with _progress(quiet=quiet) as progress:
        yield StageBars(progress)


class TimeLeft(ProgressColumn):
    """How long a bar will take yet, once that can be told; before that, how long it has taken."""

    def render(self, task: Task) -> Text:
        """The column of one bar."""
        left = task.time_remaining
        if task.finished or left is None:
            return Text(f"{_clock(task.elapsed or 0)} taken")
        return Text(f"{_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _progress(*, quiet: bool) -> Progress:
    """Bars on stderr, only on a terminal; a long name is cut, so that figures are not."""
    console = Console(stderr=True)
    bar_width = 40 if console.width >= 2 * FIGURES_WIDTH + 40 else 16
    most = max(console.width - FIGURES_WIDTH - bar_width, 10)
    columns = (
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", max_width=most),
        ),
        BarColumn(bar_width=bar_width),
        MofNCompleteColumn(),
        TimeLeft(),
    )
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal)


def show_items(items: list[Item]) -> None:
    """Print what there is to choose from."""
    console = Console(soft_wrap=True)
    for line in list_lines(items):
        console.print(line, highlight=False)


def show_replay(result: ReplayResult, folder: Path | None, *, as_json: bool) -> None:
    """Print a result, and write it to its folder."""
    if folder is not None:
        write_text(folder / "result.json", json.dumps(result.to_json(), indent=1) + "\n")
        if result.runs:
            write_report(result, folder / "report.html")
    if as_json:
        print_json(result.to_json())
    elif result.runs:
        console = Console()
        for table in (*replay_tables(result, console.width), *tenant_tables(result)):
            console.print(table)


def show_sweep(result: SweepResult, *, as_json: bool) -> None:
    """Print a sweep: every row as JSON, or a line an allocator for people."""
    if as_json:
        print_json(result.to_json())
    elif result.rows:
        console = Console()
        console.print(sweep_table(result, console.width))


def say_interrupted(done: str, folder: Path | None) -> None:
    """Say how far a command came, such as `3 of 5 runs`, and where that is kept."""
    kept = (
        f"what is done is kept in {folder}, repeat the command to go on"
        if folder
        else "nothing is kept without --out"
    )
    say(f"interrupted: {done} are done; {kept}")


@contextmanager
def ended_by_interrupt(sentence: str) -> Iterator[None]:
    """End the command with a sentence on what is left, if the user interrupts it meanwhile."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted: {sentence}")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def print_json(result: dict[str, Any]) -> None:
    """Print the one object of `--json`."""
    typer.echo(json.dumps(result, indent=1, allow_nan=False))


def say(sentence: str) -> None:
    """Say a sentence on stderr."""
    typer.echo(f"twinpool: {sentence}", err=True)
