"""A comparison for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from scenarios.compare.folder import write_comparison
from scenarios.compare.wording import figure_rows, request_lines
from scenarios.terminal import print_json
from scenarios.terminal_table import titled_table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from scenarios.compare.comparison import Comparison


def show_comparison(found: Comparison, folder: Path | None, *, as_json: bool) -> None:
    """Print a comparison, and write it to its folder."""
    if folder is not None:
        write_comparison(found, folder)
    if as_json:
        print_json(found.to_json())
        return
    console = Console()
    console.print(comparison_table(found))
    for line in (*request_lines(found), *found.notes):
        console.print(f"- {line}", highlight=False, markup=False)


def comparison_table(found: Comparison) -> Table:
    """A line a figure: measured, simulated, error and its interval."""
    facts = found.facts
    table = titled_table(
        f"{facts['allocator']} against {facts['measured']}:"
        f" {len(found.matching):,} requests, matched by {facts['matched_by']}",
        "error: (simulated - measured) / measured, with its 95 % interval",
    )
    table.add_column("", no_wrap=True)
    for name in ("measured", "simulated", "error, %", "from", "to"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in figure_rows(found):
        table.add_row(*row)
    return table
