"""A sweep as a table for a terminal: a line an allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from scenarios.sweep import SweepResult
    from scenarios.sweep_task import Row

PERCENT = 100
FIGURES = ("throughput_rps", "goodput_rps")
COUNTS = ("rejected", "preemptions", "migrations_count")


def sweep_table(result: SweepResult) -> Table:
    """Mean rates relative to the capacity, and mean counts, over the cells that did not fail."""
    facts = result.facts
    table = Table(
        title=f"{facts['scenario']}: {facts['cells']:,} cells, {facts['failed_cells']:,} failed",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        caption="means a cell; percent of the capacity; goodput within " + facts["slo"],
    )
    table.add_column("allocator", overflow="fold")
    for name in ("cells", "rate, %", "goodput, %", "rejected", "preempted", "moves"):
        table.add_column(name, justify="right")
    by_allocator: dict[str, list[Row]] = {}
    for row in result.rows:
        by_allocator.setdefault(row["allocator"], []).append(row)
    for allocator, rows in by_allocator.items():
        table.add_row(escape(allocator), f"{len(rows):,}", *_means(rows))
    return table


def _means(rows: list[Row]) -> list[str]:
    good = [row for row in rows if row["error"] is None]
    if not good:
        return ["-"] * (len(FIGURES) + len(COUNTS))
    shares = [
        sum((row[name] or 0.0) / row["capacity_rps"] for row in good) * PERCENT / len(good)
        for name in FIGURES
    ]
    counts = [sum(row[name] for row in good) / len(good) for name in COUNTS]
    return [f"{value:.1f}" for value in (*shares, *counts)]
