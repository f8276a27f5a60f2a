"""Charts of what requests meet: the queue over time, and how latencies are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.report.axes import (
    LogAxis,
    TimeAxis,
    cell_layout,
    compact,
    linear_axis,
    nice_top,
)
from scenarios.report.chart_row import ChartRow, LegendEntry
from scenarios.report.quantity import SECONDS, figure_at, quantity
from scenarios.report.series import quantiles_of, queue_of
from scenarios.report.table import is_overloaded
from sim.timeline import Timeline, timeline_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scenarios.report.chart_row import Spec
    from scenarios.report.series import Samples
    from scenarios.result import RunResult

RUNNING_COLOR, WAITING_COLOR, CDF_COLOR = "--blue", "--orange", "--blue"
QUEUE_LEGEND = (
    LegendEntry("running sequences", RUNNING_COLOR, "line"),
    LegendEntry("waiting sequences", WAITING_COLOR, "line"),
)
TOP_PANEL, BOTTOM_PANEL = (0.56, 1.0), (0.0, 0.44)
EMPTY_AXIS = LogAxis(1e-3, 1.0)
OVERLOAD_NOTE = "† overloaded"


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency: its short name, its meaning, its key among the metrics, how to read it."""

    name: str
    meaning: str
    key: str
    of: Callable[[Timeline], NDArray[np.float64]]


TTFT = Latency("TTFT", "time to first token", "ttft_s", Timeline.ttft_s)
TPOT = Latency("TPOT", "time per output token after the first", "tpot_s", Timeline.tpot_s)


def queue_row(runs: Sequence[RunResult], time: TimeAxis) -> ChartRow:
    """Running sequences above, waiting ones below, each on a scale of its own."""
    queues = [(queue_of(run.log, 0), queue_of(run.log, 1)) for run in runs]
    tops = [max((float(q[i].values.max(initial=0)) for q in queues), default=0) for i in (0, 1)]
    layout = cell_layout(
        time.layout(),
        linear_axis("running", nice_top(tops[0]), TOP_PANEL),
        linear_axis("waiting", nice_top(tops[1]), BOTTOM_PANEL),
    )
    figures = [{"data": _queue_traces(*each, time), "layout": layout} for each in queues]
    return ChartRow(
        title="Queue",
        hint="Sequences that hold pages, and those that wait for some (lower is better). The scales"
        " differ.",
        legend=QUEUE_LEGEND,
        zoom_group="time",
        figures=tuple(figures),
        notes=_overload_notes(runs),
    )


def _overload_notes(runs: Sequence[RunResult]) -> tuple[str, ...]:
    return tuple(OVERLOAD_NOTE if is_overloaded(run) else "" for run in runs)


def _queue_traces(running: Samples, waiting: Samples, time: TimeAxis) -> list[Spec]:
    above = _queue_trace("running", running, time, RUNNING_COLOR)
    below = _queue_trace("waiting", waiting, time, WAITING_COLOR)
    return [above, {**below, "yaxis": "y2"}]


def _queue_trace(name: str, samples: Samples, time: TimeAxis, color: str) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": time.shown(samples.time_s),
        "y": compact(samples.values[0]),
        "line": {"color": color, "width": 1.5},
        "hovertemplate": "%{y:,}",
    }


def latency_row(runs: Sequence[RunResult], latency: Latency) -> ChartRow:
    """The empirical distribution of one latency."""
    curves = [quantiles_of(latency.of(timeline_of(run.log))) for run in runs]
    ends = [end for curve in curves if len(curve.time_s) for end in curve.time_s[[0, -1]].tolist()]
    axis = LogAxis.around(min(ends), max(ends)) if ends else EMPTY_AXIS
    layout = cell_layout(axis.layout(f"{latency.name} (log scale)"), _share_axis())
    layout["hovermode"] = "closest"
    pairs = zip(curves, runs, strict=True)
    return ChartRow(
        title=f"Distribution of {latency.name}",
        hint=f"{latency.meaning.capitalize()}: share of completed requests at or below it;"
        " further left is better.",
        legend=(
            LegendEntry("completed requests", CDF_COLOR, "line"),
            LegendEntry("p50 and p99", CDF_COLOR, "point"),
        ),
        zoom_group=latency.key,
        figures=tuple(
            {"data": list(_cdf_traces(curve, run, latency)), "layout": layout}
            for curve, run in pairs
        ),
        notes=_overload_notes(runs),
    )


def _share_axis() -> Spec:
    return {**linear_axis("% of requests", 104), "tickvals": [0, 25, 50, 75, 100]}


def _cdf_traces(curve: Samples, run: RunResult, latency: Latency) -> Iterator[Spec]:
    yield {
        "type": "scatter",
        "mode": "lines",
        "name": latency.name,
        "x": compact(curve.time_s),
        "y": compact(curve.values[0]),
        "line": {"color": CDF_COLOR, "width": 2},
        "hovertemplate": "%{y:.1f} % within %{x:.3~g} s<extra></extra>",
    }
    marks = {p: figure_at(run.metrics, f"{latency.key}.p{p}") for p in (50, 99)}
    known = {p: seconds for p, seconds in marks.items() if seconds}
    yield {
        "type": "scatter",
        "mode": "markers",
        "name": "percentiles",
        "x": list(known.values()),
        "y": list(known),
        "text": [f"p{p} {quantity(seconds, SECONDS)}" for p, seconds in known.items()],
        "marker": {"color": CDF_COLOR, "size": 8},
        "hovertemplate": "%{text}<extra></extra>",
    }
