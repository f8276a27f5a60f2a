"""A plan on disk: the report, the JSON object, and every evaluated run as CSV and Parquet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from scenarios.plan.page import plan_html
from scenarios.sweep_store import write_results
from scenarios.whole_file import appearing, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from scenarios.plan.result import PlanResult
    from scenarios.plan.task import Row

REPORT, ANSWER, TABLE_CSV, TABLE = "plan.html", "plan.json", "plan-runs.csv", "plan-runs.parquet"


def write_plan(found: PlanResult, folder: Path) -> None:
    """Write all files; older ones are replaced."""
    answer = found.to_json()
    text = json.dumps(answer, indent=1, allow_nan=False) + "\n"
    write_text(folder / ANSWER, text)
    write_text(folder / REPORT, plan_html(answer))
    rows = [_flat(row) for row in found.runs]
    with appearing(folder / TABLE_CSV) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)
    write_results(folder / TABLE, rows)


def _flat(row: Row) -> Row:
    """Lists and tables of a row as text, so that every cell of the table is one value."""
    return {name: _text(value) for name, value in row.items()}


def _text(value: Any) -> Any:  # noqa: ANN401 - a figure of a run
    if isinstance(value, dict):
        return " ".join(f"{name}={count}" for name, count in value.items())
    return " ".join(value) if isinstance(value, list) else value
