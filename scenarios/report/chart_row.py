"""A row of charts: one a run, with one legend and shared axes.

Figures are plotly's own structure of plain dicts. Colours are names of CSS variables (`--blue`),
which the page's script looks up, so that one palette serves page and charts, light and dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """What one mark in a row of charts means; `mark` is line, dash, area or mark."""

    text: str
    color: str
    mark: str


@dataclass(frozen=True, slots=True)
class ChartRow:
    """Charts of one kind, one a run.

    Attributes:
        title: What the row shows.
        hint: How to read it.
        legend: What the marks mean, the same in every column.
        zoom_group: Charts of one group zoom together.
        figures: Plotly's data and layout, one a run.
        notes: What must be said beside one run's chart, or nothing; one a run.
    """

    title: str
    hint: str
    legend: tuple[LegendEntry, ...]
    zoom_group: str
    figures: tuple[Spec, ...]
    notes: tuple[str, ...]
