"""The whole evaluation of the paper: every sweep, one fix at a time, phases, the engine."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from scenarios.reproduce.decomposition import decompose
from scenarios.reproduce.engine_grid import engine_runs, engine_table
from scenarios.reproduce.grid import SWEEPS
from scenarios.reproduce.outcome import (
    ReproduceInterruptedError,
    ReproduceOptions,
    SweepOutcome,
    run_sweep,
)
from scenarios.reproduce.page import report_html
from scenarios.reproduce.phases import phase_table, same_decisions, timed_runs
from scenarios.reproduce.run import Known, Worker
from scenarios.reproduce.workloads import SHAREGPT
from scenarios.sweep_store import write_results
from scenarios.whole_file import appearing, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scenarios.reproduce.cell import Row
    from scenarios.reproduce.run import Watcher

RESULT = "result.json"
REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was run.

    Attributes:
        sweeps: Outcomes by name; without prompt counts `sharegpt` is not among them.
        studies: `decomposition`, `phases` and `engine`, where they were asked for.
    """

    sweeps: dict[str, SweepOutcome]
    studies: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints and `result.json` holds: the first sweep leads."""
        leading = next(iter(self.sweeps.values()))
        sweeps = {
            name: {
                "cells": own.facts["cells"],
                "rows": own.rows,
                "totals": own.totals,
                "bootstrap": own.bootstrap,
            }
            for name, own in self.sweeps.items()
        }
        return {**leading.to_json(), "sweeps": sweeps, **self.studies}


def evaluate(options: ReproduceOptions, watcher: Watcher) -> Evaluation:
    """Run one sweep, or with a folder and without a sweep's name everything.

    Raises:
        UserError, TraceError: See `outcome.run_sweep`.
        ReproduceInterruptedError: The user interrupted; what was done is in the folder.
    """
    known = Known(options.folder)
    worker = Worker(known, options.jobs, watcher)
    try:
        names = [options.sweep] if options.sweep else _every_sweep(options)
        sweeps = {name: run_sweep(replace(options, sweep=name), worker) for name in names}
        is_whole = options.sweep is None and options.folder is not None
        found = Evaluation(sweeps, _studies(worker) if is_whole else {})
    except KeyboardInterrupt:
        raise ReproduceInterruptedError(len(known.rows)) from None
    if options.folder is not None:
        write(found, options.folder)
    return found


def _every_sweep(options: ReproduceOptions) -> list[str]:
    if options.folder is None:
        return ["headline"]
    lacking = options.prompts is None
    return [name for name, own in SWEEPS.items() if not (lacking and SHAREGPT in own.workloads)]


def _studies(worker: Worker) -> dict[str, Any]:
    timed = worker.run(timed_runs(), "host time")
    return {
        "decomposition": decompose(worker),
        "phases": {"table": phase_table(timed), "same_decisions": same_decisions(timed)},
        "engine": engine_table(worker.run(engine_runs(), "serving engine")),
    }


def write(found: Evaluation, folder: Path) -> None:
    """Write `result.json`, the tables as CSV and Parquet, and the report."""
    result = found.to_json()
    write_text(folder / RESULT, json.dumps(result, indent=1) + "\n")
    for name, rows in _tables(found):
        _write_table(folder, name, rows)
    write_text(folder / REPORT, report_html(result))


def _tables(found: Evaluation) -> Iterator[tuple[str, Sequence[Row]]]:
    """(name, rows) of every table."""
    for name, outcome in found.sweeps.items():
        yield name, outcome.rows
    for kind, steps in found.studies.get("decomposition", {}).items():
        rows = [{"step": step["step"], **total} for step in steps for total in step["totals"]]
        yield f"fixes-{kind}", rows
    if "phases" in found.studies:
        yield "phases", found.studies["phases"]["table"]
        yield "engine", found.studies["engine"]


def _write_table(folder: Path, name: str, rows: Sequence[Row]) -> None:
    flat = [
        {
            key: json.dumps(value) if isinstance(value, (list, dict)) else value
            for key, value in row.items()
        }
        for row in rows
    ]
    write_results(folder / f"{name}.parquet", flat)
    with appearing(folder / f"{name}.csv") as partial:
        pa_csv.write_csv(pa.Table.from_pylist(flat), partial)
