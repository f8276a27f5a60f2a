"""Tenants as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.result import ReplayResult, RunResult

NOTHING = "-"
MOST_TENANTS = 12
"""Rows of a table at most; the JSON result has all."""

HEADS = (
    "tenant",
    "requests",
    "refused",
    "share, %",
    "goodput/s",
    "TTFT p99, s",
    "preempted (for others)",
)


def tenant_tables(result: ReplayResult) -> Iterator[Table]:
    """A table an allocator, a row a tenant; none where there are not several tenants."""
    for run in result.runs:
        if len(run.metrics["tenants"]) > 1:
            yield _table(run)


def _table(run: RunResult) -> Table:
    tenants, index = run.metrics["tenants"], run.metrics["jain_index"]
    title = f"Tenants under {escape(run.allocator)}"
    title += "" if index is None else f", Jain's index {index:.3f}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(HEADS[0], no_wrap=True)
    for head in HEADS[1:]:
        table.add_column(head, justify="right", overflow="fold")
    for figures in tenants[:MOST_TENANTS]:
        table.add_row(*_cells(figures))
    if len(tenants) > MOST_TENANTS:
        table.add_row(f"and {len(tenants) - MOST_TENANTS:,} more")
    return table


def _cells(figures: dict[str, Any]) -> tuple[str, ...]:
    preempted, for_others = figures["preemptions"], figures["preemptions_for_others"]
    return (
        escape(figures["tenant"] or "(no name)"),
        f"{figures['requests']:,}",
        f"{figures['rejected']:,}",
        f"{figures['share_pct']:.1f}",
        _number(figures["goodput_rps"], 2),
        _number(figures["ttft_s"]["p99"], 3),
        f"{preempted:,} ({for_others:,})",
    )


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"
