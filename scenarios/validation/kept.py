"""A validation on disk: the result so far, and every step that a device ran."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING

from scenarios.validation.steps import RecordedStep, StepAside
from scenarios.whole_file import appearing, write_text
from sim.step import StepWork

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scenarios.validation.result import ValidationResult

RESULT = "validate.json"
TIMES = ("measured_ns", "predicted_ns")
ASIDE = tuple(StepAside.__slots__)


def keep(result: ValidationResult, steps: Sequence[RecordedStep], folder: Path) -> None:
    """Write the result so far, and the steps of its last row."""
    write_text(folder / RESULT, json.dumps(result.to_json(), indent=1) + "\n")
    target = steps_file(folder, len(result.rows))
    with appearing(target) as partial, gzip.open(partial, "wt", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow((*TIMES, *StepWork.__slots__, *ASIDE))
        for step in steps:
            work = (getattr(step.work, name) for name in StepWork.__slots__)
            aside = (getattr(step.aside, name) for name in ASIDE)
            table.writerow((step.measured_ns, step.predicted_ns, *work, *aside))


def read_steps(folder: Path, row: int) -> list[RecordedStep]:
    """The steps of a row, counted from 1."""
    with gzip.open(steps_file(folder, row), "rt", encoding="utf-8") as file:
        return [_step(line) for line in csv.DictReader(file)]


def steps_file(folder: Path, row: int) -> Path:
    """Where the steps of a row are, counted from 1."""
    return folder / f"steps-{row}.csv.gz"


def _step(line: dict[str, str]) -> RecordedStep:
    work = StepWork(**{name: int(line[name]) for name in StepWork.__slots__})
    measured_ns, predicted_ns = (int(line[name]) for name in TIMES)
    aside = StepAside(**{name: int(line[name]) for name in ASIDE if name in line})
    return RecordedStep(work, measured_ns, predicted_ns, aside)
