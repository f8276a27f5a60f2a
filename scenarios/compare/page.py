"""The report of a comparison: one HTML file that needs no network."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scenarios.compare.charts import rows_of
from scenarios.compare.figures import LATENCIES
from scenarios.compare.wording import figure_rows, request_lines, signed
from scenarios.report.document import NO_SCRIPT, Document, Section, document_html, list_html
from scenarios.report.matrix import legend_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scenarios.compare.charts import Row
    from scenarios.compare.comparison import Comparison

FIGURE_HEADS = ("Figure", "measured", "simulated", "error, %", "from", "to")
ORIGIN_HEADS = (
    "Part of the requests",
    "requests",
    "median error, %",
    "median absolute error, %",
    "% of all error in seconds",
)
ZOOM_HINT = "With a mouse, drag across a chart to zoom in, and double-click to reset."
PROVENANCE = ("twinpool_version", "scenario_digest", "trace_digest", "event_log_sha256", "seed")


def comparison_html(found: Comparison) -> str:
    """The report as text."""
    facts, rows = found.facts, list(rows_of(found))
    notes = (*found.notes, *request_lines(found))
    sections = (
        Section("reading", "Reading", list_html(notes)),
        Section("figures", "Figures", _figures_html(found)),
        Section("charts", "Charts", _charts_html(rows)),
        Section("origins", "Where the errors come from", "\n".join(_origins_html(found))),
    )
    return document_html(
        Document(
            "Twinpool compare",
            f"{facts['allocator']} against {facts['measured']}",
            list(_facts(found)),
            sections,
            [chart.spec for row in rows for chart in row.charts],
            [(name, str(facts[name])) for name in PROVENANCE if facts[name]],
        )
    )


def _facts(found: Comparison) -> Iterator[tuple[str, str]]:
    facts = found.facts
    matched = f"{found.matching.num_matched:,}, by {facts['matched_by']}"
    yield from (
        ("run", facts["run"]),
        ("allocator", facts["allocator"]),
        ("measured log", facts["measured"]),
        ("requests matched", matched),
        ("compared", f"{len(found.matching):,}"),
        ("the run was", facts["stability"]),
    )
    named = ("trace", "model", "device", "scheduler")
    yield from ((name, str(facts[name])) for name in named if facts[name])


def _figures_html(found: Comparison) -> str:
    caption = "Error is (simulated - measured) / measured; from and to are its 95 % interval."
    return _table_html(caption, FIGURE_HEADS, figure_rows(found))


def _origins_html(found: Comparison) -> Iterator[str]:
    """For each latency, which requests are off."""
    for latency in LATENCIES:
        about = found.requests[latency.key]
        if about["requests"]:
            lines = [
                (
                    f"{part['by']}: {part['part']}",
                    f"{part['requests']:,}",
                    signed(part["median_error_pct"]),
                    f"{part['median_abs_error_pct']:,.2f}",
                    "-"
                    if part["share_of_error_pct"] is None
                    else f"{part['share_of_error_pct']:.1f}",
                )
                for part in about["origins"]
            ]
            yield f"<h3>{latency.name}</h3>"
            yield _table_html(f"Errors of {latency.name}, by request.", ORIGIN_HEADS, lines)


def _table_html(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroller" role="region" tabindex="0" aria-label="{escape(caption)}">\n'
        f"<table>\n<caption><span>{escape(caption)}</span></caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _charts_html(rows: Sequence[Row]) -> str:
    return (
        f'<p class="hint">{ZOOM_HINT}</p>\n{NO_SCRIPT}\n'
        '<div class="scroller" role="region" tabindex="0" aria-label="Charts">\n'
        '<div class="matrix" style="--columns: 3">\n'
        + "\n".join(map(_row_html, rows))
        + "\n</div>\n</div>"
    )


def _row_html(row: Row) -> str:
    legend = "".join(map(legend_html, row.legend))
    cells = "\n".join(
        f"<figure><figcaption>{escape(chart.caption)}</figcaption>"
        f'<div class="chart" role="img" data-zoom="{escape(chart.zoom_group)}"'
        f' aria-label="{escape(f"{row.title}, {chart.caption}: chart")}"></div></figure>'
        for chart in row.charts
    )
    return (
        f'<section class="row">\n<div class="row-head"><h3>{escape(row.title)}</h3>'
        f'<p class="hint">{escape(row.hint)}</p><ul class="legend">{legend}</ul></div>\n'
        f'<div class="cells" style="--columns: {len(row.charts)}">\n{cells}\n</div>\n</section>'
    )
