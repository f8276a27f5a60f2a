"""A chart as a table: what it says to who does not see it, and to who wants the figure itself."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.report.chart import Chart, Spec

MOST_ROWS = 400
DIGITS = 4


def table_html(chart: Chart) -> str:
    """Every point of a chart, folded away; nothing where the points are too many to be read."""
    rows = [row for series in chart.data for row in _rows(series)]
    if not 0 < len(rows) <= MOST_ROWS:
        return ""
    titles = ("series", _title(chart.layout, "xaxis"), _title(chart.layout, "yaxis"))
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    label = escape(f"{chart.title}: figures", quote=True)
    return (
        "<details>\n<summary>Figures of this chart</summary>\n"
        f'<div class="scroller" role="region" tabindex="0" aria-label="{label}">\n<table>\n'
        f"<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{''.join(rows)}</tbody>\n</table>\n</div>\n</details>"
    )


def _rows(series: Spec) -> Iterator[str]:
    name = escape(str(series.get("name", "")))
    for x, y in zip(series["x"], series["y"], strict=True):
        cells = "".join(f"<td>{_text(value)}</td>" for value in (x, y))
        yield f'<tr><th scope="row">{name}</th>{cells}</tr>\n'


def _title(layout: Spec, axis: str) -> str:
    return str(layout[axis].get("title", {}).get("text", ""))


def _text(value: object) -> str:
    """A number to some digits, or a name, whose line breaks are plotly's."""
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return str(value).replace("<br>", " ") if isinstance(value, str) else f"{value:,}"
