"""What tables for a terminal have in common, so that 80 columns are enough for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

NARROW = 100
"""Columns below which long names take several lines."""

LONGEST_PART = 18
"""Columns of the longest part of a name such as `static:state_ratio=0.4737`."""


def titled_table(title: str, caption: str | None = None) -> Table:
    """An empty table; neither text is markup."""
    return Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption=None if caption is None else escape(caption),
        caption_justify="left",
    )


def name_text(name: str, width: int) -> str:
    """The name of an allocator as a cell: its options below it where the terminal is narrow.

    Args:
        name: `NAME[:key=value,...]`, and ` (bound)` behind it perhaps.
        width: Columns of the terminal.
    """
    if width < NARROW and len(name) > LONGEST_PART:
        for mark, broken in ((":", ":\n"), (",", ",\n"), (" (", "\n(")):
            name = name.replace(mark, broken)
    return escape(name)


def add_names(table: Table, head: str, names: list[str], width: int) -> list[str]:
    """Add a column that shows the names of allocators; returns its cells."""
    cells = [name_text(name, width) for name in names]
    longest = max((len(line) for cell in cells for line in cell.splitlines()), default=0)
    at_least = min(longest, LONGEST_PART) if width < NARROW else longest
    table.add_column(head, overflow="fold", min_width=at_least)
    return cells


def used_columns(heads: Iterable[str], rows: list[tuple[str, ...]], nothing: str) -> list[int]:
    """Numbers of the columns in which any row says something."""
    return [place for place, _ in enumerate(heads) if any(row[place] != nothing for row in rows)]
