"""Puts the page together: header, reading, table, charts, provenance, all in one file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from scenarios.report.axes import TimeAxis
from scenarios.report.header import facts_html, provenance_html
from scenarios.report.load_charts import TPOT, TTFT, latency_row, queue_row
from scenarios.report.matrix import matrix_html
from scenarios.report.memory_charts import occupancy_row, waste_row
from scenarios.report.reading import reading_of
from scenarios.report.replicas import replicas_html
from scenarios.report.series import end_s_of, start_s_of
from scenarios.report.table_html import table_html
from scenarios.report.tenants import tenants_html
from sim.replica_log import as_one

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scenarios.report.chart_row import ChartRow
    from scenarios.result import ReplayResult, RunResult


def write_report(result: ReplayResult, path: Path) -> None:
    """Write the report of a replay as one HTML file that needs no network.

    Args:
        result: What was found; an interrupted replay may have no runs.
        path: The file to write; an older one is replaced.
    """
    path.write_text(report_html(result), encoding="utf-8")


def report_html(result: ReplayResult) -> str:
    """The report as text."""
    trace = str(result.facts.get("trace") or "replay")
    runs = [replace(run, log=as_one(run.log)) for run in result.runs]
    rows = chart_rows(runs)
    return Template(_part("page.html")).substitute(
        title=escape(f"{trace} - Twinpool replay"),
        style=_part("page.css"),
        trace=escape(trace),
        facts=facts_html(result),
        reading=_reading_html(runs),
        table=table_html(runs),
        tenants=tenants_html(runs),
        replicas=replicas_html(runs),
        charts=matrix_html(rows, [run.allocator for run in runs]),
        provenance=provenance_html(result),
        chart_data=_script_json([figure for row in rows for figure in row.figures]),
        plotly=get_plotlyjs(),
        script=_part("page.js"),
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


def _script_json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
