"""A chart on its own: plotly's own structure of plain dicts, in the page's palette.

Colours are names of CSS variables (`--blue`), which the page's script looks up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Spec = dict[str, Any]
COLORS = ("--blue", "--orange", "--green", "--purple", "--yellow")
HEIGHT_PX = 380


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its title, a sentence on how to read it, and what plotly draws."""

    title: str
    hint: str
    data: list[Spec]
    layout: Spec

    @property
    def figure(self) -> Spec:
        """What plotly draws, in one."""
        return {"data": self.data, "layout": self.layout}


def line_of(name: str, x: Sequence[Any], y: Sequence[float], color: str) -> Spec:
    """Points joined by lines."""
    style = {"line": {"color": color, "width": 2}, "marker": {"color": color}}
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        **style,
    }


def layout_of(title: str) -> Spec:
    """The layout of a chart whose y axis has a title and starts at 0."""
    axis = {"gridcolor": "--grid", "linecolor": "--line", "zerolinecolor": "--grid"}
    return {
        "height": HEIGHT_PX,
        "margin": {"l": 64, "r": 12, "t": 12, "b": 60},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "--ink", "size": 12, "family": "system-ui, sans-serif"},
        "legend": {"orientation": "h", "y": 1.12},
        "xaxis": dict(axis),
        "yaxis": {**axis, "title": {"text": title}, "rangemode": "tozero"},
    }
