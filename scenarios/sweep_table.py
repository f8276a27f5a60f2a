"""A sweep as a table for a terminal: a line an allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.terminal_table import add_names, titled_table
from sim.metrics.stability import OVERLOADED

if TYPE_CHECKING:
    from rich.table import Table

    from scenarios.sweep import SweepResult
    from scenarios.sweep_task import Row

PERCENT = 100
MANY = 1000
"""Means from here on are shown without decimals."""

FIGURES = ("throughput_rps", "goodput_rps")
COUNTS = ("rejected", "preemptions", "migrations_count")
HEADS = (
    "cells",
    "rate, %",
    "goodput,\n%",
    "re-\njected",
    "pre-\nempted",
    "moves",
    "over-\nloaded",
)


def sweep_table(result: SweepResult, width: int) -> Table:
    """Rates relative to the capacity and counts, means over the cells that did not fail.

    Args:
        result: The cells.
        width: Columns of the terminal.
    """
    facts = result.facts
    table = titled_table(
        f"{facts['scenario']}: {facts['cells']:,} cells, {facts['failed_cells']:,} failed",
        f"means a cell; percent of the capacity; goodput within {facts['slo']};"
        " overloaded: cells whose latencies grow with the length of the trace",
    )
    cells = by_allocator(result.rows)
    names = add_names(table, "allocator", list(cells), width)
    for head in HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    for name, rows in zip(names, cells.values(), strict=True):
        table.add_row(name, f"{len(rows):,}", *means(rows))
    return table


def by_allocator(rows: list[Row]) -> dict[str, list[Row]]:
    """The cells of each allocator, in the order of the grid."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["allocator"], []).append(row)
    return found


def means(rows: list[Row]) -> list[str]:
    """The figures of the table, as many as `HEADS` but for the cells."""
    good = [row for row in rows if row["error"] is None]
    if not good:
        return ["-"] * (len(FIGURES) + len(COUNTS) + 1)
    shares = [
        sum((row[name] or 0.0) / row["capacity_rps"] for row in good) * PERCENT / len(good)
        for name in FIGURES
    ]
    counts = [sum(row[name] for row in good) / len(good) for name in COUNTS]
    overloaded = sum(row["stability"] == OVERLOADED for row in good)
    figures = (f"{v:,.0f}" if v >= MANY else f"{v:.1f}" for v in (*shares, *counts))
    return [*figures, f"{overloaded:,}"]
