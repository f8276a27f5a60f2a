"""Rows of a validation again, from the steps it kept: with another profile, and no device.

python tests/benchmark/revalidate.py KEPT PROFILE TRACE [START_S LIMIT] > ROWS.json
KEPT is a folder with validate.json and steps-N.csv.gz, as `twinpool validate --out` leaves it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.machine import GIB, MachineOptions
from scenarios.profile import load_profile
from scenarios.trace_input import TraceInput
from scenarios.validation.comparison import Row
from scenarios.validation.kept import RESULT, read_steps
from scenarios.validation.runs import Case, GuardedRun, predict, repeat_measured
from scenarios.validation.validate import ValidateOptions, Validation
from traces.load import TraceOptions
from traces.transform import scale_rate

if TYPE_CHECKING:
    from scenarios.validation.steps import RecordedStep
    from traces.record import Trace


def again(kept: dict[str, Any], steps: list[RecordedStep], profile: str, trace: Trace) -> Row:
    options = ValidateOptions(
        load_profile(profile).model,
        profile,
        (kept["allocator"],),
        machine=MachineOptions(memory_gib=kept["budget_bytes"] / GIB),
    )
    load = kept["rate_scale"]
    loaded = trace if load == 1 else scale_rate(trace, load)
    case = Case(Validation.of(options).cells()[0], loaded, kept["backing"])
    repeated = repeat_measured(case, steps)
    on_device = [
        replace(step, aside=held.aside) for step, held in zip(repeated.steps, steps, strict=True)
    ]
    measured = replace(repeated, steps=on_device, physical_bytes=kept["physical_bytes"])
    if measured.decisions.event_log_sha256 != kept["decisions"]["event_log_sha256"]:
        raise SystemExit("the simulator does not repeat what the device decided")
    guarded = GuardedRun(kept["verified_pages"], kept["corrupted_pages"])
    return Row(case, load, measured, measured.decisions, predict(case), guarded)


def main() -> None:
    folder, profile, source, *cut = sys.argv[1:]
    start_s, limit = (float(cut[0]), int(cut[1])) if cut else (0.0, None)
    trace = TraceInput(source, TraceOptions(), start_s=start_s, limit=limit).load()
    kept = json.loads((Path(folder) / RESULT).read_text())["rows"]
    rows = [
        again(row, read_steps(Path(folder), number), profile, trace).to_json()
        for number, row in enumerate(kept, start=1)
    ]
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
