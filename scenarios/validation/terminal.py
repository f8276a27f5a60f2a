"""A validation for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from scenarios.validation.result import ValidationResult

COLUMNS = (
    "allocator",
    "backing",
    "load",
    "steps",
    "decisions",
    "corrupted",
    "throughput",
    "step p50",
    "TTFT p50",
    "TTFT p95",
    "TPOT p50",
    "TPOT p95",
)


def show_validation(result: ValidationResult) -> None:
    """Print a line a row."""
    Console().print(validation_table(result))


def validation_table(result: ValidationResult) -> Table:
    """Errors of every row, in percent of what was measured."""
    facts = result.facts
    table = Table(
        title=f"{escape(facts['model'])} on {escape(facts['device'])}, {escape(facts['trace'])}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        caption="errors: (predicted - measured) / measured, in percent",
    )
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in {"allocator", "backing"} else "right")
    for row in result.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    steps = row["steps"]["all"]
    latencies = (row.get(f"{key}_error_pct", {}) for key in ("ttft", "tpot"))
    errors = [latency.get(name) for latency in latencies for name in ("p50", "p95")]
    return [
        escape(row["allocator"]),
        row["backing"],
        f"{row['rate_scale']:g}",
        f"{steps['count']:,}",
        "identical" if row["decisions_identical"] else "DIFFER",
        f"{row['corrupted_pages']:,}",
        *map(_error, (row["throughput_error_pct"], steps["p50_error_pct"], *errors)),
    ]


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"
