"""The report of an evaluation: reading, figures and tables in one file that needs no network."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from plotly.offline import get_plotlyjs

from scenarios.reproduce.charts import charts_of
from scenarios.reproduce.published_figures import published_facts
from scenarios.reproduce.reading import reading_of
from scenarios.reproduce.sheets import sheets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenarios.reproduce.charts import Chart

Found = dict[str, Any]
TITLE = "arXiv 2605.22416 (AVMP), run again"


def report_html(found: Found) -> str:
    """The report as text.

    Args:
        found: The evaluation as it is written to `result.json`.
    """
    charts = list(charts_of(found))
    sentences = "\n".join(f"<li>{escape(text)}</li>" for text in reading_of(found))
    figures = [{"data": chart.data, "layout": chart.layout} for chart in charts]
    return Template(_part(__package__, "page.html")).substitute(
        title=escape(TITLE),
        style=_part("scenarios.report", "page.css"),
        facts=_terms(_facts(found)),
        reading=f'<ul class="reading">\n{sentences}\n</ul>',
        charts=_charts_html(charts),
        tables="\n".join(sheet.html() for sheet in sheets_of(found)),
        provenance=_terms(_provenance(found)),
        chart_data=json.dumps(figures, allow_nan=False).replace("<", "\\u003c"),
        plotly=get_plotlyjs(),
        script=_part("scenarios.report", "page.js"),
    )


def _charts_html(charts: Sequence[Chart]) -> str:
    return "\n".join(
        f"<h3>{escape(chart.title)}</h3>\n<p class='hint'>{escape(chart.hint)}</p>\n"
        f'<div class="chart" role="img" aria-label="{escape(chart.title)}: chart"'
        f' data-zoom="{number}"></div>'
        for number, chart in enumerate(charts)
    )


def _facts(found: Found) -> Iterable[tuple[str, str]]:
    yield "sweeps", ", ".join(found["sweeps"])
    yield "cells", f"{sum(sweep['cells'] for sweep in found['sweeps'].values()):,}"
    yield "fixed", ", ".join(found["fixes"]) or "nothing: as published"


def _provenance(found: Found) -> Iterable[tuple[str, str]]:
    yield "published figures", published_facts()["source"]
    yield "twinpool", found["twinpool_version"]
    yield "scenario", found["scenario_digest"]


def _terms(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in pairs
    )


def _part(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
