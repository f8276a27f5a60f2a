"""A table of texts, for the report and for documents alike."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Cell:
    """One text; `differs` marks what is not as published."""

    text: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with its title and a sentence on how to read it.

    Attributes:
        title: What it shows.
        hint: How to read it.
        header: One text a column; the first column holds names.
        lines: As many cells each.
    """

    title: str
    hint: str
    header: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]

    def markdown(self) -> str:
        """As Markdown; what differs is bold."""
        rows = [self.header, ("---",) * len(self.header)]
        rows += [tuple(_marked(cell) for cell in line) for line in self.lines]
        body = "\n".join("| " + " | ".join(row) + " |" for row in rows)
        return f"### {self.title}\n\n{self.hint}\n\n{body}\n"

    def html(self) -> str:
        """As a section of a page; what differs has the class of that name."""
        heads = "".join(
            f'<th scope="col">{escape(text)}</th>' if text else "<td></td>" for text in self.header
        )
        body = "\n".join(_row_html(line) for line in self.lines)
        label = escape(self.title, quote=True)
        return (
            f"<h3>{escape(self.title)}</h3>\n"
            f'<div class="scroller" role="region" tabindex="0" aria-label="{label}">\n<table>\n'
            f"<caption><span>{escape(self.hint)}</span></caption>\n"
            f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
        )


def lines_of(rows: Sequence[Sequence[str | Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """Lines whose plain texts differ from nothing."""
    return tuple(
        tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows
    )


def number(value: float | None, digits: int = 1) -> str:
    """A figure with its thousands apart, or a dash."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """A share in percent, without the sign."""
    return f"{100 * share:.{digits}f}"


def _marked(cell: Cell) -> str:
    return f"**{cell.text}**" if cell.differs else cell.text


def _row_html(line: tuple[Cell, ...]) -> str:
    first, *others = line
    cells = "".join(
        f'<td class="differs">≠ {escape(cell.text)}</td>'
        if cell.differs
        else f"<td>{escape(cell.text)}</td>"
        for cell in others
    )
    return f'<tr><th scope="row">{escape(first.text)}</th>{cells}</tr>'
