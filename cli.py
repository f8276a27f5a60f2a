"""The command line: parses, calls scenarios, renders."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from scenarios.cell import FAST, ROUND_ROBIN
from scenarios.commands import (
    calibrate,
    capacity,
    compare,
    listing,
    plan,
    report,
    sweep,
    validate,
)
from scenarios.commands.options import JsonFlag, ProfileOption, QuietFlag
from scenarios.errors import UserError
from scenarios.machine import MachineOptions
from scenarios.replay import ReplayInterruptedError, Scenario, cells_of, replay
from scenarios.reproduce.evaluation import evaluate
from scenarios.reproduce.grid import SWEEPS
from scenarios.reproduce.outcome import (
    ReproduceInterruptedError,
    ReproduceOptions,
    known_paper,
)
from scenarios.reproduce.terminal import say_reproduce_interrupted, show_evaluation, show_fixes
from scenarios.slo import parse_slo
from scenarios.tenants import parse_tenants
from scenarios.terminal import (
    EXIT_INTERRUPTED,
    make_folder,
    run_bars,
    say,
    say_replay_interrupted,
    show_replay,
    stage_bars,
)
from scenarios.trace_input import TraceInput
from scenarios.version import TWINPOOL_VERSION
from traces.load import TraceOptions
from traces.record import TraceError

EXIT_FAILED = 1
EXIT_USER = 2
TRACEBACK_VARIABLE = "TWINPOOL_TRACEBACK"
DEFAULT_FOLDER = Path("twinpool-out")

app = typer.Typer(
    name="twinpool",
    help="Simulate the cache memory of hybrid (attention + state-space) language models.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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
    model: Annotated[str, typer.Option(help="Model name, config.json or folder with one.")],
    device: Annotated[str, typer.Option(help="Device name; see `twinpool list devices`.")],
    allocator: Annotated[
        list[str], typer.Option(help="NAME[:key=value,...]; repeat it, or separate by spaces.")
    ],
    scheduler: Annotated[
        str, typer.Option(help="NAME[:key=value,...], then any +ADMISSION[:key=value,...].")
    ] = "fcfs",
    preemption: Annotated[str, typer.Option(help="recompute or swap[:key=...].")] = "recompute",
    profile: ProfileOption = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME:key=value,... (weight, max_seqs, memory_share, rate, burst, max_waiting);"
            " repeat it; the name * stands for all others."
        ),
    ] = None,
    memory_gib: Annotated[float | None, typer.Option(help="Cache budget of a device.")] = None,
    tp: Annotated[int, typer.Option(help="Devices that share the model.")] = 1,
    replicas: Annotated[int, typer.Option(help="Replicas, each on devices of its own.")] = 1,
    router: Annotated[str, typer.Option(help="NAME[:key=...]; see `list routers`.")] = ROUND_ROBIN,
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
    engine_step: Annotated[
        str, typer.Option(help="fast, or exact: step by step. Both write the same event log.")
    ] = FAST,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder for results, report and logs ({DEFAULT_FOLDER} by default)."),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run one trace through one or more allocators, in simulated time."""
    machine = MachineOptions(tp, kv_dtype, state_dtype, memory_gib)
    names = tuple(name for text in allocator for name in text.split())
    fleet = (replicas, router, parse_tenants(tenant or ()))
    rules = (parse_slo(slo), seed, engine_step, preemption, profile, *fleet)
    scenario = Scenario(model, device, names, scheduler, machine, *rules)
    cells_of(scenario)
    reading = TraceOptions(format=trace_format, columns=columns, seed=seed)
    requests = TraceInput(trace, reading, arrivals, start, duration, limit, rate_scale).load()
    # With --json alone nothing is written.
    folder = None if out is None and as_json else make_folder(out or DEFAULT_FOLDER)
    with run_bars(names, len(requests), quiet=quiet) as watcher:
        try:
            result = replay(scenario, requests, folder, watcher)
        except ReplayInterruptedError as interruption:
            watcher.stop()
            say_replay_interrupted(interruption, names, folder)
            show_replay(interruption.partial, folder, as_json=as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    show_replay(result, folder, as_json=as_json)
    if folder is not None and not quiet:
        say(f"report: {folder / 'report.html'}")


@app.command(
    "reproduce",
    epilog="Example: twinpool reproduce avmp --sweep headline --jobs 2; twinpool reproduce avmp"
    " --list-fixes",
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
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as processors by default.")
    ] = None,
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
    folder = None if out is None else make_folder(out)
    options = ReproduceOptions(
        sweep, tuple(fix or ()), jobs or os.cpu_count() or 1, folder, sharegpt_prompts
    )
    with stage_bars(quiet=quiet) as watcher:
        try:
            found = evaluate(options, watcher)
        except ReproduceInterruptedError as interruption:
            watcher.stop()
            say_reproduce_interrupted(interruption, folder)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    show_evaluation(found, as_json=as_json)
    if folder is not None and not quiet:
        say(f"report: {folder / 'report.html'}")


app.command("calibrate", epilog=calibrate.EPILOG)(calibrate.calibrate_command)
app.command("validate", epilog=validate.EPILOG)(validate.validate_command)
app.command("capacity", epilog=capacity.EPILOG)(capacity.capacity_command)
app.command("compare", epilog=compare.EPILOG)(compare.compare_command)
app.command("list", epilog=listing.EPILOG)(listing.list_command)
app.command("plan", epilog=plan.EPILOG)(plan.plan_command)
app.command("report", epilog=report.EPILOG)(report.report_command)
app.command("sweep", epilog=sweep.EPILOG)(sweep.sweep_command)


def main() -> None:
    """Run the command line; the exit status says how it went."""
    sys.exit(_run())


def _run() -> int:
    usage_error: Any = typer.BadParameter.__mro__[2]  # the base of all that typer finds wrong
    try:
        return int(app(standalone_mode=False) or 0)
    except (UserError, TraceError) as error:
        say(str(error))
        return EXIT_USER
    except usage_error as error:
        say(error.format_message())
        return EXIT_USER
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has left; Python would complain once more when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, it is said
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        say(f"the run failed ({error!r}); set {TRACEBACK_VARIABLE}=1 to see where")
        return EXIT_FAILED


if __name__ == "__main__":
    main()
