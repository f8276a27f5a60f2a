"""One HTML file that needs no network: the frame of every report, and the parts that they share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from scenarios.report.chart_table import table_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenarios.report.chart import Chart, Spec

    Terms = Sequence[tuple[str, str]]

NO_SCRIPT = "<noscript><p>The charts need JavaScript; the tables do not.</p></noscript>"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        anchor: Its name in the page.
        title: Its heading.
        html: What stands under it.
    """

    anchor: str
    title: str
    html: str


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Attributes:
        kind: What made it, such as `Twinpool replay`.
        title: What it is about.
        facts: What was asked, as (name, text).
        sections: From top to bottom.
        figures: Plotly's data and layout of each chart, in the order in which charts stand.
        provenance: Where it comes from, as (name, text).
    """

    kind: str
    title: str
    facts: Terms
    sections: Sequence[Section]
    figures: Sequence[Spec]
    provenance: Terms


def document_html(document: Document) -> str:
    """The report as text."""
    return Template(part("document.html")).substitute(
        kind=escape(document.kind),
        title=escape(f"{document.title} - {document.kind}"),
        heading=escape(document.title),
        style=part("page.css"),
        facts=terms_html(document.facts),
        sections="\n".join(map(_section_html, document.sections)),
        provenance=terms_html(document.provenance),
        chart_data=script_json(document.figures),
        plotly=get_plotlyjs(),
        script=part("page.js"),
    )


def terms_html(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and texts, for a `<dl>`."""
    return "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in pairs
    )


def list_html(sentences: Iterable[str]) -> str:
    """Sentences, each an item."""
    items = "\n".join(f"<li>{escape(text)}</li>" for text in sentences)
    return f'<ul class="reading">\n{items}\n</ul>'


def charts_html(charts: Sequence[Chart]) -> str:
    """Charts one below the other, each with its title and how to read it."""
    return NO_SCRIPT + "\n".join(
        f'<div class="plot">\n<h3>{escape(chart.title)}</h3>\n'
        f"<p class='hint'>{escape(chart.hint)}</p>\n"
        f'<div class="chart tall" role="img" aria-label="{escape(chart.title)}: chart"'
        f' data-zoom="{number}"></div>\n{table_html(chart)}</div>'
        for number, chart in enumerate(charts)
    )


def script_json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def part(name: str) -> str:
    """A file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _section_html(section: Section) -> str:
    return (
        f'<section aria-labelledby="{section.anchor}">\n'
        f'<h2 id="{section.anchor}">{escape(section.title)}</h2>\n{section.html}\n</section>'
    )
