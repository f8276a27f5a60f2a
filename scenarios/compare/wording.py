"""What a comparison says, as texts that a terminal and a page show alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.compare.figures import LATENCIES
from scenarios.tables import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenarios.compare.comparison import Comparison
    from scenarios.compare.figures import Figure

NOTHING = "-"
MS = 1e3
SCALES = {"ttft": (1.0, "s", 3), "tpot": (MS, "ms", 2), "e2e": (1.0, "s", 3)}
"""By latency: factor, unit and decimals."""


def figure_rows(found: Comparison) -> Iterator[tuple[str, ...]]:
    """A line a figure: label, measured, simulated, error, and the ends of its interval."""
    yield _figure_row("throughput, requests/s", found.rates["throughput_rps"], 1.0, 3)
    yield _figure_row("throughput, tokens/s", found.rates["throughput_tokens_per_s"], 1.0, 1)
    mark = "" if found.is_latency_valid else MARK
    for latency in LATENCIES:
        scale, unit, digits = SCALES[latency.key]
        for name, figure in found.latencies[latency.key].items():
            row = _figure_row(f"{latency.name} {name}, {unit}", figure, scale, digits)
            label, measured, simulated, *error = row
            yield (label, measured, simulated + mark, *error)
    if found.occupancy is not None:
        mean = found.occupancy.measured_mean_pct
        both = (_number(mean, 2), _number(mean + found.occupancy.bias_pct, 2))
        yield ("pool use, mean %", *both, NOTHING, "", "")
        yield ("pool use, MAE in points", "", "", _number(found.occupancy.mae_pct, 2), "", "")


def _figure_row(label: str, figure: Figure, scale: float, digits: int) -> tuple[str, ...]:
    """The texts of a line."""
    values = (figure.measured, figure.simulated)
    sides = (_number(None if value is None else value * scale, digits) for value in values)
    return (
        label,
        *sides,
        signed(figure.error_pct),
        *(signed(end) if end is not None else "" for end in (figure.low_pct, figure.high_pct)),
    )


def request_lines(found: Comparison) -> Iterator[str]:
    """How far single requests are off, and where most of it lies."""
    for latency in LATENCIES:
        about = found.requests[latency.key]
        if not about["requests"]:
            continue
        worst = max(about["origins"], key=lambda part: abs(part["median_error_pct"]))
        yield (
            f"{latency.name} of a request: off by {about['median_abs_error_pct']:.1f} % in the"
            f" median, {about['p95_abs_error_pct']:.1f} % at p95; most where {worst['by']} is"
            f" {worst['part']} ({signed(worst['median_error_pct'])} % in the median,"
            f" {worst['requests']:,} requests)"
        )


def signed(value: float | None) -> str:
    """An error with its sign."""
    return NOTHING if value is None else f"{value:+,.2f}".replace("-0.00", "+0.00")


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"
