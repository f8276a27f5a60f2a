"""A validation for a person at a terminal."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.console import Console

from scenarios.terminal_table import add_names, titled_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from scenarios.validation.result import ValidationResult

HEADS = (
    ("backing", "load"),
    ("steps",),
    ("decisions", "corrupted"),
    ("throughput", "step p50"),
    ("TTFT p50", "TTFT p95"),
    ("TPOT p50", "TPOT p95"),
)
WIDE = 150
"""Columns below which the two of a pair stand one above the other."""

CAPTION = "errors: (predicted - measured) / measured, in percent"


def show_validation(result: ValidationResult) -> None:
    """Print a line a row."""
    console = Console()
    console.print(validation_table(result, console.width))


def validation_table(result: ValidationResult, width: int) -> Table:
    """Errors of every row, in percent of what was measured.

    Args:
        result: What was found.
        width: Columns of the terminal.
    """
    facts = result.facts
    table = titled_table(f"{facts['model']} on {facts['device']}, {facts['trace']}", CAPTION)
    names = add_names(table, "allocator", [row["allocator"] for row in result.rows], width)
    for head in _arranged(HEADS, width):
        table.add_column(head, justify="right", no_wrap=True)
    for name, row in zip(names, result.rows, strict=True):
        table.add_row(name, *_arranged(_pairs(row), width))
    return table


def _arranged(pairs: Iterable[tuple[str, ...]], width: int) -> list[str]:
    """One cell a text, or one a pair."""
    return list(chain.from_iterable(pairs) if width >= WIDE else map("\n".join, pairs))


def _pairs(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """The texts of a row, in the order of `HEADS`."""
    steps = row["steps"]["all"]
    latencies = (row.get(f"{key}_error_pct", {}) for key in ("ttft", "tpot"))
    return [
        (row["backing"], f"{row['rate_scale']:g}"),
        (f"{steps['count']:,}",),
        (
            "identical" if row["decisions_identical"] else "DIFFER",
            f"{row['corrupted_pages']:,}",
        ),
        (_error(row["throughput_error_pct"]), _error(steps["p50_error_pct"])),
        *((_error(found.get("p50")), _error(found.get("p95"))) for found in latencies),
    ]


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"
