"""A chart on its own: plotly's own structure of plain dicts, in the page's palette.

Colours are names of CSS variables (`--blue`), which the page's script looks up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Spec = dict[str, Any]
COLORS = ("--blue", "--orange", "--green", "--purple", "--yellow")
HEIGHT_PX = 380
BAR_HEIGHT_PX = 44
NAME_CHARACTERS = 18


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
    axis = {
        "gridcolor": "--grid",
        "linecolor": "--line",
        "zerolinecolor": "--grid",
        "automargin": True,
    }
    return {
        "height": HEIGHT_PX,
        "margin": {"l": 64, "r": 12, "t": 12, "b": 60},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "--ink", "size": 12, "family": "system-ui, sans-serif"},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "xaxis": dict(axis),
        "yaxis": {**axis, "title": {"text": title}, "rangemode": "tozero"},
    }


def wrapped(name: str) -> str:
    """A name for an axis: plotly breaks no lines by itself, and long ones leave no room to draw."""
    lines = [""]
    for part in re.split(r"(?<=[:, ])", name):
        if lines[-1] and len(lines[-1] + part) > NAME_CHARACTERS:
            lines.append("")
        lines[-1] += part
    return "<br>".join(escape(line.strip()) for line in lines)


def bar_layout_of(title: str, num_bars: int) -> Spec:
    """The layout of horizontal bars, whose x axis has a title; every bar has room for its name."""
    layout = layout_of("")
    layout["height"] = max(HEIGHT_PX, 120 + BAR_HEIGHT_PX * num_bars)
    layout["xaxis"] |= {"title": {"text": title}, "rangemode": "tozero"}
    return layout
