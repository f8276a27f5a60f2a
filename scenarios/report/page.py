"""Puts the page together: header, reading, table, charts, provenance, all in one file."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from scenarios.report.axes import TimeAxis
from scenarios.report.document import NO_SCRIPT, Document, Section, document_html
from scenarios.report.header import facts_of, provenance_of
from scenarios.report.load_charts import TPOT, TTFT, latency_row, queue_row
from scenarios.report.matrix import matrix_html
from scenarios.report.memory_charts import occupancy_row, waste_row
from scenarios.report.reading import reading_of
from scenarios.report.replicas import replicas_html
from scenarios.report.series import end_s_of, start_s_of
from scenarios.report.table_html import table_html
from scenarios.report.tenants import tenants_html
from scenarios.whole_file import write_text
from sim.replica_log import as_one

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scenarios.report.chart_row import ChartRow
    from scenarios.result import ReplayResult, RunResult

CHARTS_HINT = (
    '<p class="hint">One column an allocator; the axes of a row are the same in every column. With'
    " a mouse, drag across a chart to zoom all charts of that axis, and double-click to reset. Long"
    " series keep the lowest and highest sample of every stretch, so they look busier than they are"
    " on average.</p>\n"
)


def write_report(result: ReplayResult, path: Path) -> None:
    """Write the report of a replay as one HTML file that needs no network.

    Args:
        result: What was found; an interrupted replay may have no runs.
        path: The file to write; an older one is replaced.
    """
    write_text(path, report_html(result))


def report_html(result: ReplayResult) -> str:
    """The report as text."""
    runs = [replace(run, log=as_one(run.log)) for run in result.runs]
    rows = chart_rows(runs)
    charts = CHARTS_HINT + NO_SCRIPT + matrix_html(rows, [run.allocator for run in runs])
    sections = [
        Section("reading", "Reading", _reading_html(runs)),
        Section("figures", "Figures", table_html(runs)),
        Section("tenants", "Tenants", tenants_html(runs)),
        Section("replicas", "Replicas", replicas_html(runs)),
        Section("charts", "Charts", charts),
    ]
    return document_html(
        Document(
            "Twinpool replay",
            str(result.facts.get("trace") or "replay"),
            facts_of(result),
            [section for section in sections if section.html],
            [figure for row in rows for figure in row.figures],
            provenance_of(result),
        )
    )


def chart_rows(runs: Sequence[RunResult]) -> list[ChartRow]:
    """All rows of charts, from top to bottom; none without runs."""
    if not runs:
        return []
    start_s = min(start_s_of(run.log) for run in runs)
    time = TimeAxis.between(start_s, max(end_s_of(run.log) for run in runs))
    return [
        occupancy_row(runs, time),
        waste_row(runs, time),
        queue_row(runs, time),
        latency_row(runs, TTFT),
        latency_row(runs, TPOT),
    ]


def _reading_html(runs: Sequence[RunResult]) -> str:
    if not runs:
        return "<p>No run has ended.</p>"
    names = sorted((re.escape(run.allocator) for run in runs), key=len, reverse=True)
    pattern = re.compile(rf"(?<!\S)({'|'.join(names)})(?=[\s.,:;]|$)")
    items = "\n".join(f"<li>{_marked(text, pattern)}</li>" for text in reading_of(runs))
    return f'<ul class="reading">\n{items}\n</ul>'


def _marked(text: str, names: re.Pattern[str]) -> str:
    """A sentence with the names in it set apart; splitting leaves them at the odd places."""
    parts = [escape(part) for part in names.split(text)]
    return "".join(f"<b>{part}</b>" if i % 2 else part for i, part in enumerate(parts))
