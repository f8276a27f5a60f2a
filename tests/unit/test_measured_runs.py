"""What an H200 decided is what the simulator decides today, with the H200's durations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.machine import GIB, MachineOptions
from scenarios.trace_input import TraceInput
from scenarios.validation.kept import RESULT, read_steps
from scenarios.validation.runs import Case, repeat_measured
from scenarios.validation.validate import ValidateOptions, Validation
from traces.load import TraceOptions

FOLDER = Path(__file__).parents[2] / "docs" / "measurements" / "h200-mix"
ROWS: list[dict[str, Any]] = json.loads((FOLDER / RESULT).read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize("number", range(1, len(ROWS) + 1), ids=[r["allocator"] for r in ROWS])
def test_the_simulator_decides_what_the_device_decided(number: int) -> None:
    row = ROWS[number - 1]
    machine = MachineOptions(memory_gib=row["budget_bytes"] / GIB)
    names = ("nemotron-h-8b", "nemotron-h-8b-h200", (row["allocator"],))
    cell = Validation.of(ValidateOptions(*names, machine=machine)).cells()[0]
    trace = TraceInput(row["trace"], TraceOptions()).load()
    steps = read_steps(FOLDER, number)
    found = repeat_measured(Case(cell, trace, row["backing"]), steps).decisions
    decided = row["decisions"]
    assert found.handles_sha256 == decided["handles_sha256"]
    assert found.event_log_sha256 == decided["event_log_sha256"]
    assert found.num_handles == decided["num_handles"] > 10_000
    assert found.oom_events == decided["oom_events"]
    assert found.oom_events + found.migrations > 0
    assert found.preemptions == decided["preemptions"]
    assert found.migrations == decided["migrations"]
    assert found.peak_bytes == decided["peak_bytes"]
