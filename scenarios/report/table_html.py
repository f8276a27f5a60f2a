"""The table of figures as HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scenarios.report.table import (
    HIGHER,
    LOWER,
    NEITHER,
    Cell,
    Figure,
    Section,
    is_bound,
    is_overloaded,
    rivals,
    row_cells,
    row_unit,
    sections_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.result import RunResult

BETTER = {HIGHER: "↑ higher is better", LOWER: "↓ lower is better", NEITHER: ""}


def table_html(runs: Sequence[RunResult]) -> str:
    """A real table, in a region that scrolls sideways where it is too wide."""
    if not runs:
        return ""
    heads = "".join(f'<th scope="col">{_head(run)}</th>' for run in runs)
    bodies = "\n".join(_section_html(section, runs) for section in sections_of(runs))
    return (
        '<div class="scroller" role="region" tabindex="0" aria-label="Figures, one column an'
        f' allocator">\n<table>\n<caption><span>{escape(_caption(runs))}</span></caption>\n'
        f'<thead><tr><th scope="col">Figure</th>{heads}</tr></thead>\n'
        f"{bodies}\n</table>\n</div>"
    )


def _caption(runs: Sequence[RunResult]) -> str:
    sentences = ["Simulated figures, one column an allocator."]
    if len(rivals(runs)) > 1:
        sentences.append("★ marks the best of a row; equal values are not marked.")
    if len(rivals(runs)) < len(runs):
        sentences.append("The bound is memory that wastes nothing; it does not compete.")
    if any(is_overloaded(run) for run in runs):
        sentences.append("† overloaded: depends on the length of the trace.")
    return " ".join(sentences)


def _head(run: RunResult) -> str:
    bound = ' <span class="bound">the bound</span>' if is_bound(run) else ""
    return escape(run.allocator) + bound


def _section_html(section: Section, runs: Sequence[RunResult]) -> str:
    title = (
        f'<tr><th class="group" scope="rowgroup" colspan="{len(runs) + 1}">'
        f"<span>{escape(section.title)}</span></th></tr>"
    )
    rows = [_row_html(figure, runs) for figure in section.figures]
    return "\n".join(["<tbody>", title, *rows, *_stability(section, runs), "</tbody>"])


def _stability(section: Section, runs: Sequence[RunResult]) -> list[str]:
    """Stability is a word, not a figure; it belongs with the rates."""
    if section.title != "Rate":
        return []
    words = (escape(str(run.metrics.get("stability") or "-")) for run in runs)
    cells = "".join(f"<td>{word}</td>" for word in words)
    return [f'<tr><th scope="row">stability</th>{cells}</tr>']


def _row_html(figure: Figure, runs: Sequence[RunResult]) -> str:
    unit = row_unit(figure, runs).symbol
    head = escape(figure.label)
    if unit:
        head += f' <span class="unit">{escape(unit)}</span>'
    if figure.better:
        head += f' <span class="better">{BETTER[figure.better]}</span>'
    cells = "".join(_cell_html(cell) for cell in row_cells(figure, runs))
    return f'<tr><th scope="row">{head}</th>{cells}</tr>'


def _cell_html(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.is_overloaded:
        text += '<abbr title="overloaded: depends on the length of the trace">†</abbr>'
    if not cell.is_best:
        return f"<td>{text}</td>"
    return f'<td class="best"><span role="img" aria-label="best">★</span> {text}</td>'
