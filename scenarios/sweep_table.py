"""A sweep as a table for a terminal: a line an allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from sim.metrics.stability import OVERLOADED

if TYPE_CHECKING:
    from scenarios.sweep import SweepResult
    from scenarios.sweep_task import Row

PERCENT = 100
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


def sweep_table(result: SweepResult) -> Table:
    """Rates relative to the capacity and counts, means over the cells that did not fail."""
    facts = result.facts
    table = Table(
        title=f"{facts['scenario']}: {facts['cells']:,} cells, {facts['failed_cells']:,} failed",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        caption=f"means a cell; percent of the capacity; goodput within {facts['slo']};"
        " overloaded: cells whose latencies grow with the length of the trace",
    )
    table.add_column("allocator", overflow="fold")
    for name in HEADS:
        table.add_column(name, justify="right")
    for allocator, rows in by_allocator(result.rows).items():
        table.add_row(escape(allocator), f"{len(rows):,}", *means(rows))
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
    return [*(f"{value:.1f}" for value in (*shares, *counts)), f"{overloaded:,}"]
