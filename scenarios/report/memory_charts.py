"""Charts of memory over simulated time: what pools hold, and what is wasted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.report.axes import TimeAxis, cell_layout, compact, linear_axis, nice_top
from scenarios.report.chart_row import ChartRow, LegendEntry
from scenarios.report.quantity import BYTES, GIB, quantity
from scenarios.report.series import migrations_of, pools_of, waste_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scenarios.report.chart_row import Spec
    from scenarios.report.series import MigrationMark, PoolSeries, Samples
    from scenarios.result import RunResult

POOL_COLORS = ("--blue", "--orange", "--green", "--purple")
WASTE_COLORS = {"internal": "--blue", "external": "--yellow", "stranded": "--orange"}


@dataclass(frozen=True, slots=True)
class OccupancyAxes:
    """What the columns of the occupancy row share.

    Attributes:
        time: The horizontal axis.
        top_gib: Top of the vertical axis.
        colors: The colour of each pool by its name.
    """

    time: TimeAxis
    top_gib: float
    colors: dict[str, str]


def occupancy_row(runs: Sequence[RunResult], time: TimeAxis) -> ChartRow:
    """Live bytes and capacity of each pool, and when capacity moved."""
    pools = [pools_of(run.log) for run in runs]
    moves = [migrations_of(run.log) for run in runs]
    names = dict.fromkeys(pool.name for each in pools for pool in each)
    colors = {name: POOL_COLORS[i % len(POOL_COLORS)] for i, name in enumerate(names)}
    largest = max((p.capacity_bytes.max(initial=0) for each in pools for p in each), default=0)
    axes = OccupancyAxes(time, nice_top(float(largest) / GIB), colors)
    cells = zip(pools, moves, strict=True)
    return ChartRow(
        title="Occupancy of the pools",
        hint="Bytes granted to sequences (solid) under the capacity of their pool (dashed).",
        legend=_occupancy_legend(colors, has_migrations=any(moves)),
        zoom_group="time",
        figures=tuple(_occupancy_figure(each, marks, axes) for each, marks in cells),
        notes=("",) * len(runs),
    )


def _occupancy_legend(colors: dict[str, str], *, has_migrations: bool) -> tuple[LegendEntry, ...]:
    """Colours name the pools, strokes what is drawn of each."""
    entries = [LegendEntry(f"pool {name}", color, "area") for name, color in colors.items()]
    entries.append(LegendEntry("live", "--ink", "line"))
    entries.append(LegendEntry("capacity", "--ink", "dash"))
    if has_migrations:
        entries.append(LegendEntry("capacity moves to the pool of this colour", "--ink", "mark"))
    return tuple(entries)


def _occupancy_figure(
    pools: list[PoolSeries], marks: list[MigrationMark], axes: OccupancyAxes
) -> Spec:
    traces = [trace for pool in pools for trace in _pool_traces(pool, axes)]
    recipients = dict.fromkeys(mark.recipient for mark in marks)
    traces += [_migration_trace([m for m in marks if m.recipient == r], axes) for r in recipients]
    layout = cell_layout(axes.time.layout(), linear_axis("memory (GiB)", axes.top_gib))
    return {"data": traces, "layout": layout}


def _pool_traces(pool: PoolSeries, axes: OccupancyAxes) -> Iterator[Spec]:
    ways = (("live", pool.live_bytes, "solid"), ("capacity", pool.capacity_bytes, "dash"))
    for what, num_bytes, dash in ways:
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": f"{pool.name}: {what}",
            "x": axes.time.shown(pool.time_s),
            "y": compact(num_bytes / GIB),
            "line": {"color": axes.colors[pool.name], "width": 1.5, "dash": dash, "shape": "hv"},
            "hovertemplate": "%{y:.4~g} GiB",
        }


def _migration_trace(marks: list[MigrationMark], axes: OccupancyAxes) -> Spec:
    """Ticks along the top, in the colour of the pool that gained."""
    recipient = marks[0].recipient
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"moved to {recipient}",
        "x": axes.time.shown(np.array([mark.time_s for mark in marks])),
        "y": [axes.top_gib * 0.97] * len(marks),
        "text": [f"{quantity(mark.num_bytes, BYTES)} in {mark.count}" for mark in marks],
        "marker": {
            "symbol": "line-ns-open",
            "color": axes.colors[recipient],
            "size": 9,
            "line": {"width": 1.5},
        },
        "hovertemplate": "%{text}",
    }


def waste_row(runs: Sequence[RunResult], time: TimeAxis) -> ChartRow:
    """The three kinds of waste, stacked."""
    samples = [waste_of(run.log) for run in runs]
    highest = max((each.values.sum(axis=0).max(initial=0) for each in samples), default=0)
    layout = cell_layout(time.layout(), linear_axis("% of budget", nice_top(float(highest))))
    figures = [{"data": list(_waste_traces(each, time)), "layout": layout} for each in samples]
    entries = (LegendEntry(name, color, "area") for name, color in WASTE_COLORS.items())
    return ChartRow(
        title="Waste",
        hint="Internal: inside granted pages. External: free, but in no page's shape."
        " Stranded: free in one pool while the queue waits for another. Stacked;"
        " lower is better.",
        legend=tuple(entries),
        zoom_group="time",
        figures=tuple(figures),
        notes=tuple("" if each.values.any() else "none" for each in samples),
    )


def _waste_traces(samples: Samples, time: TimeAxis) -> Iterator[Spec]:
    for (name, color), percents in zip(WASTE_COLORS.items(), samples.values, strict=True):
        if not percents.any():
            continue  # an area without height would still be printed, as a hairline
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": time.shown(samples.time_s),
            "y": compact(percents),
            "stackgroup": "waste",
            "line": {"color": color, "width": 0},
            "fillcolor": color,
            "hovertemplate": "%{y:.3~g} %",
        }
