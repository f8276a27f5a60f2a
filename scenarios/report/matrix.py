"""The charts' places on the page: rows with a title and a legend, one column an allocator."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.report.chart_row import ChartRow, LegendEntry

SWATCHES = {
    "line": '<line x1="0" y1="6" x2="22" y2="6" stroke="{}" stroke-width="2.5"/>',
    "dash": '<line x1="0" y1="6" x2="22" y2="6" stroke="{}" stroke-width="2" '
    'stroke-dasharray="5 3"/>',
    "area": '<rect x="2" y="0" width="18" height="12" fill="{}"/>',
    "mark": '<line x1="11" y1="1" x2="11" y2="11" stroke="{}" stroke-width="2"/>',
    "point": '<circle cx="11" cy="6" r="4.5" fill="{}"/>',
}


def matrix_html(rows: Sequence[ChartRow], allocators: Sequence[str]) -> str:
    """All rows of charts in one region, which scrolls sideways where it is too wide."""
    if not rows:
        return ""
    body = "\n".join(_row_html(row, allocators) for row in rows)
    return (
        '<div class="scroller" role="region" tabindex="0" aria-label="Charts, one column an'
        f' allocator">\n<div class="matrix" style="--columns: {len(allocators)}">\n{body}\n'
        "</div>\n</div>"
    )


def _row_html(row: ChartRow, allocators: Sequence[str]) -> str:
    legend = "".join(legend_html(entry) for entry in row.legend)
    head = (
        f'<div class="row-head"><h3>{escape(row.title)}</h3>'
        f'<p class="hint">{escape(row.hint)}</p><ul class="legend">{legend}</ul></div>'
    )
    pairs = zip(allocators, row.notes, strict=True)
    cells = "\n".join(_cell_html(row, allocator, note) for allocator, note in pairs)
    return f'<section class="row">\n{head}\n<div class="cells">\n{cells}\n</div>\n</section>'


def _cell_html(row: ChartRow, allocator: str, note: str) -> str:
    aside = f' <span class="note">{escape(note)}</span>' if note else ""
    label = escape(f"{row.title}, {allocator}: chart")
    return (
        f"<figure><figcaption>{escape(allocator)}{aside}</figcaption>"
        f'<div class="chart" role="img" aria-label="{label}" data-zoom="{row.zoom_group}"></div>'
        "</figure>"
    )


def legend_html(entry: LegendEntry) -> str:
    """An entry of a legend: its swatch and its text."""
    swatch = SWATCHES[entry.mark].format(f"var({entry.color})")
    return (
        f'<li><svg width="22" height="12" aria-hidden="true">{swatch}</svg>'
        f"{escape(entry.text)}</li>"
    )
