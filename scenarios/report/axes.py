"""Axes that a row of charts shares, and what all charts look like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.report.quantity import DURATIONS, SECONDS, Unit, unit_for

if TYPE_CHECKING:
    from scenarios.report.series import Floats

    Spec = dict[str, Any]

HEIGHT_PX = 260
MARGIN_PX = {"l": 58, "r": 12, "t": 12, "b": 46}
MAX_LOG_TICKS = 4
DIGITS = 5


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Simulated time from the first arrival to the end of the longest run.

    Attributes:
        start_s: Seconds on the trace's own clock at the first arrival.
        end_s: Seconds on that clock when the last request of the longest run ends.
        unit: The unit that suits the time between.
    """

    start_s: float
    end_s: float
    unit: Unit

    @classmethod
    def between(cls, start_s: float, end_s: float) -> TimeAxis:
        """The axis for runs that lie between two times."""
        # Ten of a unit at least: "90 s" reads better than "1.5 min".
        return cls(start_s, end_s, unit_for([(end_s - start_s) / 10], DURATIONS))

    def shown(self, time_s: Floats) -> list[float]:
        """Times as the axis counts them."""
        return compact((time_s - self.start_s) / self.unit.size)

    def layout(self) -> Spec:
        """Plotly's axis."""
        title = f"time since first arrival ({self.unit.symbol})"
        length = (self.end_s - self.start_s) / self.unit.size
        return {**_axis(title), "range": [0, length or 1], "nticks": 6}


@dataclass(frozen=True, slots=True)
class LogAxis:
    """Seconds on a logarithmic axis from one step of 1-2-5 to another."""

    low_s: float
    high_s: float

    @classmethod
    def around(cls, low_s: float, high_s: float) -> LogAxis:
        """The tightest axis around two times above zero."""
        steps = _steps(low_s / 10, high_s * 10)
        low = max(step for step in steps if step <= low_s)
        high = min(step for step in steps if step > high_s)
        return cls(low, high)

    def layout(self, title: str) -> Spec:
        """Plotly's axis, its ticks named with units."""
        ticks = _steps(self.low_s, self.high_s)
        decades = [tick for tick in ticks if _is_decade(tick)]
        if len(decades) > MAX_LOG_TICKS // 2:
            ticks = decades
        every = math.ceil(len(ticks) / MAX_LOG_TICKS)
        return {
            **_axis(title),
            "type": "log",
            "range": [math.log10(self.low_s), math.log10(self.high_s)],
            "tickvals": ticks[::every],
            "ticktext": [_tick_name(tick) for tick in ticks[::every]],
            "tickangle": 0,
        }


def linear_axis(title: str, top: float, domain: tuple[float, float] = (0.0, 1.0)) -> Spec:
    """A vertical axis from zero; it does not zoom, so that columns stay comparable."""
    return {
        **_axis(title),
        "range": [0, top],
        "domain": list(domain),
        "fixedrange": True,
        "nticks": 5 if domain == (0.0, 1.0) else 3,
    }


def cell_layout(x_axis: Spec, *y_axes: Spec) -> Spec:
    """Plotly's layout of one cell: one horizontal axis under one or two vertical ones."""
    layout = {
        "height": HEIGHT_PX,
        "margin": MARGIN_PX,
        "showlegend": False,
        "hovermode": "x unified",
        "uirevision": "keep",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "--ink", "size": 12, "family": "system-ui, sans-serif"},
        "hoverlabel": {
            "bgcolor": "--surface",
            "bordercolor": "--line",
            "font": {"color": "--ink", "size": 12},
        },
        "xaxis": {**x_axis, "anchor": f"y{len(y_axes)}" if len(y_axes) > 1 else "y"},
    }
    for index, axis in enumerate(y_axes):
        layout[f"yaxis{index + 1}" if index else "yaxis"] = axis
    return layout


def compact(values: Floats) -> list[float]:
    """Numbers for the page, to the digits that a chart can show."""
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]


def nice_top(value: float) -> float:
    """A little above a value, so that a line there is not cut; 1 above nothing."""
    return value * 1.08 if value > 0 else 1.0


def _axis(title: str) -> Spec:
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": "--grid",
        "linecolor": "--line",
        "zerolinecolor": "--grid",
        "tickcolor": "--line",
        "showline": True,
    }


def _steps(low: float, high: float) -> list[float]:
    """The steps 1, 2, 5 of each decade between two numbers, both included."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [float(f"{factor}e{decade}") for decade in decades for factor in (1, 2, 5)]
    return [step for step in steps if low <= step <= high]


def _tick_name(seconds: float) -> str:
    unit = unit_for([seconds * 1.001], SECONDS)  # 0.001 / 1e-3 may fall just short of 1
    return f"{seconds / unit.size:g} {unit.symbol}"


def _is_decade(step: float) -> bool:
    return f"{step:e}".startswith("1.0")
