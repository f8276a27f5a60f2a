"""Draw where the memory of kept runs is over time, one panel an allocator, as a small SVG.

python docs/images/draw_memory.py RUNS OUT.svg
RUNS is a folder that `twinpool replay --out` has written.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scenarios.store import kept_runs, read_kept
from sim.event_log import EventKind
from sim.timeline import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim.event_log import EventLog

    Floats = NDArray[np.float64]

NUM_BINS = 90
PANEL, GAP, LEFT, TOP, HEIGHT = 236, 18, 44, 62, 150
INK, FAINT, FONT = "#1b1f24", "#6b7280", "font-family='Helvetica, Arial, sans-serif'"
LAYERS = (
    ("needed by sequences", "#2f6db3"),
    ("padding in their pages", "#f0b429"),
    ("free in the wrong pool while requests wait", "#d9534f"),
)
"""From the bottom up; what is left white is free, or lost to rounding."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One allocator: shares of the budget, a row a layer, a column a bin of time."""

    title: str
    shares: Floats


def panel_of(allocator: str, log: EventLog, span_ns: int) -> Panel:
    """Mean shares of the budget in equal pieces of the time in which requests arrive."""
    queue, waste = log.of(EventKind.QUEUE_SAMPLE), log.of(EventKind.WASTE_SAMPLE)
    granted, internal, stranded = queue[:, 5], waste[:, 3], waste[:, 5]
    layers = np.array([granted - internal, internal, stranded]) / log.header.budget_bytes
    bins = queue[:, 0] * NUM_BINS // span_ns
    return Panel(
        allocator,
        np.array([[row[bins == number].mean() for number in range(NUM_BINS)] for row in layers]),
    )


def drawing(panels: list[Panel], budget_gib: float, span_s: float) -> str:
    """The whole picture."""
    width = LEFT + len(panels) * (PANEL + GAP)
    height = TOP + HEIGHT + 44
    foot = f"the {span_s:,.0f} s of simulated time in which requests arrive"
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' {FONT}>",
            f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
            *_legend(),
            *_scale(budget_gib),
            *(line for number, panel in enumerate(panels) for line in _panel(number, panel)),
            _text(LEFT, height - 8, foot),
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, text: str, size: int = 12, color: str = FAINT) -> str:
    return f"<text x='{x:g}' y='{y:g}' font-size='{size}' fill='{color}'>{text}</text>"


def _legend() -> Iterator[str]:
    x = LEFT
    for name, color in LAYERS:
        yield f"<rect x='{x}' y='10' width='12' height='12' fill='{color}'/>"
        yield _text(x + 17, 20, name, 13, INK)
        x += 40 + 7 * len(name)


def _scale(budget_gib: float) -> Iterator[str]:
    for gib in (0, budget_gib / 2, budget_gib):
        y = TOP + HEIGHT * (1 - gib / budget_gib)
        yield _text(2, y + 4, f"{gib:.1f}")
    yield _text(2, TOP - 12, "GiB")


def _panel(number: int, panel: Panel) -> Iterator[str]:
    x = LEFT + number * (PANEL + GAP)
    means = 100 * panel.shares.mean(axis=1)
    yield _text(x, TOP - 12, panel.title, 14, INK)
    edges = np.vstack((np.zeros(NUM_BINS), panel.shares.cumsum(axis=0)))
    for layer, (_, color) in enumerate(LAYERS):
        if means[layer] >= 1:  # a thinner band could not be seen
            yield f"<path d='{_band(x, edges[layer], edges[layer + 1])}' fill='{color}'/>"
    yield (
        f"<rect x='{x}' y='{TOP}' width='{PANEL}' height='{HEIGHT}' fill='none'"
        f" stroke='{FAINT}' stroke-width='1'/>"
    )
    words = ("needed", "padding", "stranded")
    shown = [f"{mean:.0f} % {word}" for mean, word in zip(means, words, strict=True) if mean >= 1]
    yield _text(x, TOP + HEIGHT + 17, ", ".join(shown), 12, INK)


def _band(x: float, low: Floats, high: Floats) -> str:
    """The outline of what lies between two lines."""
    places = x + PANEL * (np.arange(NUM_BINS) + 0.5) / NUM_BINS
    places[0], places[-1] = x, x + PANEL
    there = [_point(place, share) for place, share in zip(places, high, strict=True)]
    back = [_point(place, share) for place, share in zip(places, low, strict=True)]
    return f"M{' '.join(there)} L{' '.join(reversed(back))}Z"


def _point(x: float, share: float) -> str:
    return f"{x:.0f},{TOP + HEIGHT * (1 - share):.0f}"


def main() -> None:
    """Draw the runs of a folder."""
    runs, out = sys.argv[1:]
    logs = {name: read_kept(run).log for name, run in kept_runs(Path(runs)).items()}
    first = next(iter(logs.values()))
    span_ns = int(first.of(EventKind.ARRIVAL)[-1, 0])
    panels = [panel_of(name, log, span_ns) for name, log in logs.items()]
    panels.sort(key=lambda panel: panel.shares[0].mean())  # the one that wastes least comes last
    text = drawing(panels, first.header.budget_bytes / (1 << 30), span_ns / NS_PER_S)
    Path(out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
