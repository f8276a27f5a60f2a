"""A profile fitted anew to the steps that it holds, after terms have changed.

python tests/benchmark/refit_profile.py IN.json OUT.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gpu_backend.calibrate import StepShape
from scenarios.calibration import MeasuredRow, Subject, fitted_profile, write_profile
from scenarios.step_bench import MeasuredStep
from sim.step import StepWork


def row_of(step: dict[str, Any]) -> MeasuredRow:
    measured = MeasuredStep(StepWork(**step["work"]), step["measured_ns"], step["spread_pct"])
    return MeasuredRow(StepShape(**step["shape"]), measured)


def main() -> None:
    held = json.loads(Path(sys.argv[1]).read_text())
    subject = Subject(**{name: held[name] for name in Subject.__slots__})
    rows = [row_of(step) for step in held["steps"]]
    profile, evidence = fitted_profile(subject, rows, held["primitives"])
    kept = {"host_ns_per_allocator_op": held["host_ns_per_allocator_op"]}
    write_profile(Path(sys.argv[2]), profile, evidence | kept)
    sys.stdout.write(f"{profile.fit_error} {dict(profile.table.terms)} {profile.table.launch}\n")


if __name__ == "__main__":
    main()
