"""The command line: parses, calls scenarios, renders."""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scenarios.errors import UserError
from scenarios.listing import LISTS, items_of
from scenarios.machine import MachineOptions
from scenarios.replay import ReplayInterruptedError, Scenario, cells_of, replay
from scenarios.report import write_report
from scenarios.slo import parse_slo
from scenarios.tables import list_lines, replay_tables
from scenarios.trace_input import TraceInput
from scenarios.version import SCHEMA_VERSION, TWINPOOL_VERSION
from traces.load import TraceOptions
from traces.record import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.result import ReplayResult

EXIT_FAILED = 1
EXIT_USER = 2
EXIT_INTERRUPTED = 130
TRACEBACK_VARIABLE = "TWINPOOL_TRACEBACK"
DEFAULT_FOLDER = Path("twinpool-out")

app = typer.Typer(
    name="twinpool",
    help="Simulate the cache memory of hybrid (attention + state-space) language models.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", help="No progress and no notes on stderr.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"twinpool {TWINPOOL_VERSION}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version


@app.command(
    "replay",
    epilog="Example: twinpool replay trace.csv.gz --model nemotron-h-8b --device h200"
    " --allocator static:state_ratio=0.5 --allocator avmp --memory-gib 4",
)
def replay_command(
    trace: Annotated[str, typer.Argument(help="Trace file, or preset NAME[:key=value,...].")],
    model: Annotated[str, typer.Option(help="Model name; see `twinpool list models`.")],
    device: Annotated[str, typer.Option(help="Device name; see `twinpool list devices`.")],
    allocator: Annotated[
        list[str], typer.Option(help="NAME[:key=value,...]; repeat it, or separate by spaces.")
    ],
    scheduler: Annotated[str, typer.Option(help="NAME[:key=value,...].")] = "fcfs",
    memory_gib: Annotated[
        float | None, typer.Option(help="Cache budget of a device, instead of deriving it.")
    ] = None,
    tp: Annotated[int, typer.Option(help="Devices that share the model.")] = 1,
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
    engine_step: Annotated[str, typer.Option(help="exact: step by step.")] = "exact",
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder for results, report and logs ({DEFAULT_FOLDER} by default)."),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run one trace through one or more allocators, in simulated time."""
    if engine_step != "exact":
        raise UserError(f"--engine-step {engine_step} does not exist: the one there is is exact")
    machine = MachineOptions(tp, kv_dtype, state_dtype, memory_gib)
    names = tuple(name for text in allocator for name in text.split())
    scenario = Scenario(model, device, names, scheduler, machine, parse_slo(slo), seed)
    cells_of(scenario)
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit, rate_scale).load()
    folder = _result_folder(out, as_json)
    with _progress(names, len(requests), quiet) as watcher:
        try:
            result = replay(scenario, requests, folder, watcher)
        except ReplayInterruptedError as interruption:
            watcher.stop()
            _say_interrupted(interruption, names, folder)
            _show(interruption.partial, as_json, folder)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    _show(result, as_json, folder)
    if folder is not None and not quiet:
        _say(f"report: {folder / 'report.html'}")


@app.command("list", epilog="Example: twinpool list allocators")
def list_command(
    what: Annotated[str, typer.Argument(help=", ".join(LISTS))],
    as_json: JsonFlag = False,
) -> None:
    """List what there is to choose from, with sources."""
    items = items_of(what)
    if as_json:
        _print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "twinpool_version": TWINPOOL_VERSION,
                "command": "list",
                "seed": None,
                "scenario_digest": None,
                "items": items,
            }
        )
    else:
        console = Console(soft_wrap=True)
        for line in list_lines(items):
            console.print(line, highlight=False)


class _Bars:
    """Progress bars, one a run; a `Watcher`."""

    def __init__(self, progress: Progress, names: tuple[str, ...], total: int) -> None:
        self._progress = progress
        self._tasks = [progress.add_task(name, total=total) for name in names]

    def advanced(self, run: int, ended: int) -> None:
        """See `scenarios.replay.Watcher`."""
        self._progress.update(self._tasks[run], completed=ended)

    def stop(self) -> None:
        """Leave the terminal to other output."""
        self._progress.stop()


@contextmanager
def _progress(names: tuple[str, ...], total: int, quiet: bool) -> Iterator[_Bars]:
    """Bars on stderr, only on a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden) as progress:
        yield _Bars(progress, names, total)


def _result_folder(out: Path | None, as_json: bool) -> Path | None:
    """Make the result folder; with --json alone nothing is written.

    Raises:
        UserError: If it cannot be made.
    """
    if out is None and as_json:
        return None
    folder = out or DEFAULT_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write to {folder} ({error.strerror}): name another --out"
        ) from None
    return folder


def _show(result: ReplayResult, as_json: bool, folder: Path | None) -> None:
    """Print a result, and write it to its folder."""
    if folder is not None:
        (folder / "result.json").write_text(json.dumps(result.to_json(), indent=1) + "\n")
        if result.runs:
            write_report(result, folder / "report.html")
    if as_json:
        _print_json(result.to_json())
    elif result.runs:
        console = Console()
        for table in replay_tables(result, console.width):
            console.print(table)


def _say_interrupted(
    interruption: ReplayInterruptedError, names: tuple[str, ...], folder: Path | None
) -> None:
    done = len(interruption.partial.runs)
    kept = f"; they are kept in {folder}, repeat the command to go on" if folder else ""
    _say(f"interrupted: {done} of {len(names)} runs are done{kept}")


def _print_json(result: dict[str, Any]) -> None:
    typer.echo(json.dumps(result, indent=1, allow_nan=False))


def _say(sentence: str) -> None:
    typer.echo(f"twinpool: {sentence}", err=True)


def main() -> None:
    """Run the command line; the exit status says how it went."""
    sys.exit(_run())


def _run() -> int:
    usage_error: Any = typer.BadParameter.__mro__[2]  # the base of all that typer finds wrong
    try:
        return int(app(standalone_mode=False) or 0)
    except (UserError, TraceError) as error:
        _say(str(error))
        return EXIT_USER
    except usage_error as error:
        _say(error.format_message())
        return EXIT_USER
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has left; Python would complain once more when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, it is said
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        _say(f"the run failed ({error!r}); set {TRACEBACK_VARIABLE}=1 to see where")
        return EXIT_FAILED


if __name__ == "__main__":
    main()
