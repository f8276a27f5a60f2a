"""A table of texts, for the report and for documents alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = "-"
BETTER, WORSE, CHANGED = "better", "worse", "changed"


@dataclass(frozen=True, slots=True)
class Cell:
    """One text.

    Attributes:
        text: The text.
        differs: Whether it is marked as not what was published.
        verdict: `BETTER`, `WORSE` or `CHANGED` than what it is compared with, or nothing.
        note: What is said behind it in small letters, before the verdict.
    """

    text: str
    differs: bool = False
    verdict: str = ""
    note: str = ""


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
            f'<th scope="col">{_breakable(text)}</th>' if text else "<td></td>"
            for text in self.header
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
    cells = "".join(map(_cell_html, others))
    return f'<tr><th scope="row">{_breakable(first.text)}</th>{cells}</tr>'


def _cell_html(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.differs:
        return f'<td class="differs">≠ {text}</td>'
    if cell.verdict:
        small = escape(f"{cell.note} {cell.verdict}".strip())
        return f'<td class="{cell.verdict}">{text} <span class="verdict">{small}</span></td>'
    return f"<td>{text}</td>"


def _breakable(name: str) -> str:
    """A name as HTML that a narrow column may break where its parts meet."""
    return re.sub("([:,=])", r"\1<wbr>", escape(name))
