"""The report of an evaluation: reading, figures and tables in one file that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.report.document import Document, Section, charts_html, document_html, list_html
from scenarios.reproduce.charts import charts_of
from scenarios.reproduce.published_figures import published_facts
from scenarios.reproduce.reading import reading_of
from scenarios.reproduce.sheets import sheets_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Found = dict[str, Any]
TITLE = "arXiv 2605.22416 (AVMP), run again"
MARKED = '<p class="hint">≠ and colour mark what is not the published figure.</p>\n'


def report_html(found: Found) -> str:
    """The report as text.

    Args:
        found: The evaluation as it is written to `result.json`.
    """
    charts = list(charts_of(found))
    tables = MARKED + "\n".join(sheet.html() for sheet in sheets_of(found))
    sections = (
        Section("reading", "Reading", list_html(reading_of(found))),
        Section("charts", "Figures", charts_html(charts)),
        Section("figures", "Tables", tables),
    )
    figures = [chart.figure for chart in charts]
    return document_html(
        Document(
            "Twinpool reproduction",
            TITLE,
            list(_facts(found)),
            sections,
            figures,
            list(_provenance(found)),
        )
    )


def _facts(found: Found) -> Iterable[tuple[str, str]]:
    yield "sweeps", ", ".join(found["sweeps"])
    yield "cells", f"{sum(sweep['cells'] for sweep in found['sweeps'].values()):,}"
    yield "fixed", ", ".join(found["fixes"]) or "nothing: as published"


def _provenance(found: Found) -> Iterable[tuple[str, str]]:
    yield "published figures", published_facts()["source"]
    yield "twinpool", found["twinpool_version"]
    yield "scenario", found["scenario_digest"]
