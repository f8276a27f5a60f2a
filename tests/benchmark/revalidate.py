"""Rows of a validation again, from the steps it kept: with another profile, and no device.

python tests/benchmark/revalidate.py KEPT PROFILE TRACE [START_S LIMIT] > ROWS.json
KEPT is a folder with validate.json and steps-N.csv, as `twinpool validate --out` leaves it.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.machine import GIB, MachineOptions
from scenarios.trace_input import TraceInput
from scenarios.validation.comparison import Row
from scenarios.validation.runs import Case, GuardedRun, predict, repeat_measured
from scenarios.validation.steps import RecordedStep
from scenarios.validation.validate import ValidateOptions, Validation
from sim.step import StepWork
from traces.load import TraceOptions
from traces.transform import scale_rate

if TYPE_CHECKING:
    from traces.record import Trace


def steps_of(file: Path) -> list[RecordedStep]:
    with file.open(encoding="utf-8") as lines:
        rows = [{name: int(cell) for name, cell in row.items()} for row in csv.DictReader(lines)]
    return [RecordedStep(_work(r), r["measured_ns"], r["predicted_ns"]) for r in rows]


def _work(row: dict[str, int]) -> StepWork:
    return StepWork(**{name: row[name] for name in StepWork.__slots__})


def again(kept: dict[str, Any], steps: list[RecordedStep], profile: str, trace: Trace) -> Row:
    options = ValidateOptions(
        "nemotron-h-8b",
        profile,
        (kept["allocator"],),
        machine=MachineOptions(memory_gib=kept["budget_bytes"] / GIB),
    )
    load = kept["rate_scale"]
    loaded = trace if load == 1 else scale_rate(trace, load)
    case = Case(Validation.of(options).cells()[0], loaded, kept["backing"])
    measured = replace(repeat_measured(case, steps), physical_bytes=kept["physical_bytes"])
    if measured.decisions.event_log_sha256 != kept["decisions"]["event_log_sha256"]:
        raise SystemExit("the simulator does not repeat what the device decided")
    guarded = GuardedRun(kept["verified_pages"], kept["corrupted_pages"])
    return Row(case, load, measured, measured.decisions, predict(case), guarded)


def main() -> None:
    folder, profile, source, *cut = sys.argv[1:]
    start_s, limit = (float(cut[0]), int(cut[1])) if cut else (0.0, None)
    trace = TraceInput(source, TraceOptions(), start_s=start_s, limit=limit).load()
    kept = json.loads((Path(folder) / "validate.json").read_text())["rows"]
    rows = [
        again(row, steps_of(Path(folder) / f"steps-{number}.csv"), profile, trace).to_json()
        for number, row in enumerate(kept, start=1)
    ]
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
