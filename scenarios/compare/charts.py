"""Charts of both sides: distributions, errors over the time of arrival, pool use.

Figures are plotly's own structure of plain dicts, in the axes and palette of `scenarios.report`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.compare.figures import LATENCIES
from scenarios.compare.requests import errors_pct
from scenarios.report.axes import LogAxis, TimeAxis, cell_layout, compact, linear_axis, nice_top
from scenarios.report.chart_row import LegendEntry
from scenarios.report.series import quantiles_of, thinned
from sim.timeline import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.compare.comparison import Comparison
    from scenarios.compare.figures import Floats, Latency
    from scenarios.compare.matching import Matching
    from scenarios.compare.occupancy import OccupancyError
    from scenarios.report.axes import Spec

COLORS = {"measured": "--orange", "simulated": "--blue"}
SIDES = tuple(LegendEntry(name, color, "line") for name, color in COLORS.items())
ERROR_LEGEND = (
    LegendEntry("one request", COLORS["simulated"], "point"),
    LegendEntry("median of a stretch", "--ink", "line"),
)
EMPTY_AXIS = LogAxis(1e-3, 1.0)
NUM_BINS = 24
MOST_SHOWN_PCT = 95
"""Percentile of the errors up to which the axis reaches; what lies beyond is put on its edge."""

ERROR_HINT = (
    "Each compared request, and the median of each stretch of time; nearer to 0 is better. Errors"
    " beyond the 95th percentile lie on the edge; long logs keep the extremes of every stretch."
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its caption.

    Attributes:
        caption: What it shows.
        zoom_group: Charts of one group zoom together.
        spec: Plotly's data and layout.
    """

    caption: str
    zoom_group: str
    spec: Spec


@dataclass(frozen=True, slots=True)
class Row:
    """Charts side by side: their title, how to read them, and what their marks mean."""

    title: str
    hint: str
    legend: tuple[LegendEntry, ...]
    charts: list[Chart]


def distribution_chart(matching: Matching, latency: Latency) -> Chart:
    """The empirical distributions of a latency on both sides."""
    sides = dict(zip(COLORS, latency.pairs(matching), strict=True))
    curves = {name: quantiles_of(seconds[~np.isnan(seconds)]) for name, seconds in sides.items()}
    ends = [end for curve in curves.values() for end in curve.time_s[[0, -1]].tolist() if end]
    axis = LogAxis.around(min(ends), max(ends)) if ends else EMPTY_AXIS
    share = {**linear_axis("% of requests", 104), "tickvals": [0, 25, 50, 75, 100]}
    layout = cell_layout(axis.layout(f"{latency.name} (log scale)"), share)
    layout["hovermode"] = "closest"
    data = [
        {
            **_line(name, compact(curve.time_s), compact(curve.values[0])),
            "hovertemplate": "%{y:.1f} % within %{x:.3~g} s",
        }
        for name, curve in curves.items()
    ]
    return Chart(latency.name, f"distribution {latency.key}", {"data": data, "layout": layout})


def error_chart(matching: Matching, latency: Latency) -> Chart:
    """The error of each request by its time of arrival, and the median of each stretch."""
    errors = errors_pct(*latency.pairs(matching))
    known = ~np.isnan(errors)
    arrival_s, errors = matching.measured.arrival_ns[known] / NS_PER_S, errors[known]
    top = nice_top(float(np.percentile(np.abs(errors), MOST_SHOWN_PCT))) if len(errors) else 1.0
    time = TimeAxis.between(0.0, float(matching.measured.arrival_ns.max()) / NS_PER_S)
    kept = thinned(errors)
    points = {
        **_line("request", time.shown(arrival_s[kept]), compact(np.clip(errors[kept], -top, top))),
        "mode": "markers",
        "marker": {"color": COLORS["simulated"], "size": 4, "opacity": 0.45},
        "hovertemplate": "%{y:.1f} %",
    }
    middle_s, medians = _medians(arrival_s, errors)
    median = {
        **_line("median", time.shown(middle_s), compact(np.clip(medians, -top, top))),
        "line": {"color": "--ink", "width": 2},
        "hovertemplate": "%{y:.1f} %",
    }
    layout = cell_layout(time.layout(), {**linear_axis("error, %", top), "range": [-top, top]})
    return Chart(latency.name, "arrival", {"data": [points, median], "layout": layout})


def _medians(arrival_s: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The middle and the median error of each stretch of time in which somebody arrived."""
    if not len(errors):
        return errors, errors
    edges = np.linspace(arrival_s[0], arrival_s[-1], NUM_BINS + 1)
    stretch = np.clip(np.searchsorted(edges, arrival_s, side="right") - 1, 0, NUM_BINS - 1)
    used = np.unique(stretch)
    medians = np.array([np.median(errors[stretch == one]) for one in used])
    return np.asarray((edges[used] + edges[used + 1]) / 2), medians


def occupancy_chart(found: OccupancyError) -> Chart:
    """Pool use of both sides over time."""
    sides = {"measured": found.measured, "simulated": found.simulated}
    start_s = min(0.0, *(float(series.time_s[0]) for series in sides.values()))
    end_s = max(float(series.time_s[-1]) for series in sides.values())
    time = TimeAxis.between(start_s, end_s)
    data: list[Spec] = []
    for name, series in sides.items():
        kept = thinned(series.pct)
        line = _line(name, time.shown(series.time_s[kept]), compact(series.pct[kept]))
        line["line"]["shape"] = "hv"
        data.append({**line, "hovertemplate": "%{y:.1f} %"})
    layout = cell_layout(time.layout(), linear_axis("% of the pool", 104))
    return Chart("pool use", "occupancy", {"data": data, "layout": layout})


def rows_of(found: Comparison) -> Iterator[Row]:
    """The rows of the page, from top to bottom."""
    yield Row(
        "Distributions",
        "Share of the compared requests at or below a latency, measured and simulated; the closer"
        " the lines, the better.",
        SIDES,
        [distribution_chart(found.matching, latency) for latency in LATENCIES],
    )
    yield Row(
        "Error by time of arrival",
        ERROR_HINT,
        ERROR_LEGEND,
        [error_chart(found.matching, latency) for latency in LATENCIES],
    )
    if found.occupancy is not None:
        yield Row(
            "Pool use",
            f"Steps between samples; {found.occupancy.mae_pct:.2f} points apart on average.",
            SIDES,
            [occupancy_chart(found.occupancy)],
        )


def _line(name: str, x: list[float], y: list[float]) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "line": {"color": COLORS.get(name, "--blue"), "width": 2},
    }
