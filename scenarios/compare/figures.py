"""Figures of both sides, the error of the simulated one, and where that error may lie."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from scenarios.compare.side import Side
from sim.statistics import Resampling, bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from scenarios.compare.matching import Matching

    Floats = NDArray[np.float64]

PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
STATISTICS = ("mean", *PERCENTILES)
RESAMPLING = Resampling(resamples=400)
MOST_RESAMPLED = 20_000
"""Above so many requests a bootstrap takes minutes, and says that errors are known well."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency that both sides have: its key in results, its name, and how a side has it."""

    key: str
    name: str
    of: Callable[[Side], Floats]

    def pairs(self, matching: Matching) -> tuple[Floats, Floats]:
        """Measured and simulated seconds, NaN where a side has no such latency."""
        ours, theirs = self.of(matching.measured), self.of(matching.simulated)
        missing = np.isnan(ours) | np.isnan(theirs)
        return np.where(missing, np.nan, ours), np.where(missing, np.nan, theirs)


LATENCIES = (
    Latency("ttft", "TTFT", Side.ttft_s),
    Latency("tpot", "TPOT", Side.tpot_s),
    Latency("e2e", "end to end", Side.e2e_s),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both sides.

    Attributes:
        measured: Of the log.
        simulated: Of the run.
        error_pct: (simulated - measured) / measured; None if nothing was measured, or 0.
        low_pct: Lower end of the error's 95 % interval; None where there is no interval.
        high_pct: Its upper end.
    """

    measured: float | None
    simulated: float | None
    error_pct: float | None
    low_pct: float | None = None
    high_pct: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """By the names of its attributes."""
        return asdict(self)


def error_pct(measured: float, simulated: float) -> float | None:
    """The error of the simulated figure, percent of the measured one."""
    return 100 * (simulated - measured) / measured if measured else None


def rates(matching: Matching) -> dict[str, Figure]:
    """Requests and tokens a second, over the compared requests alone."""
    found: dict[str, list[float]] = {"throughput_rps": [], "throughput_tokens_per_s": []}
    for side in (matching.measured, matching.simulated):
        seconds = side.seconds() or np.nan
        found["throughput_rps"].append(len(side) / seconds)
        found["throughput_tokens_per_s"].append(float(side.output_tokens.sum()) / seconds)
    return {name: _rate(*values) for name, values in found.items()}


def _rate(measured: float, simulated: float) -> Figure:
    if np.isnan((measured, simulated)).any():
        return Figure(None, None, None)
    return Figure(measured, simulated, error_pct(measured, simulated))


def distribution(matching: Matching, latency: Latency) -> dict[str, Figure]:
    """Mean and percentiles of a latency; percentiles are linearly interpolated."""
    ours, theirs = (side[~np.isnan(side)] for side in latency.pairs(matching))
    if not len(ours):
        return dict.fromkeys(STATISTICS, Figure(None, None, None))
    return {name: _figure(name, ours, theirs) for name in STATISTICS}


def statistic(name: str, values: Floats) -> Floats:
    """Mean or percentile over the last axis."""
    if name == "mean":
        return np.asarray(values.mean(axis=-1))
    return np.asarray(np.percentile(values, PERCENTILES[name], axis=-1))


def _figure(name: str, ours: Floats, theirs: Floats) -> Figure:
    measured, simulated = (float(statistic(name, side)) for side in (ours, theirs))
    error = error_pct(measured, simulated)
    if error is None or not 1 < len(ours) <= MOST_RESAMPLED:
        return Figure(measured, simulated, error)
    blocks = _blocks(np.column_stack((ours, theirs)))
    interval = bootstrap(partial(_errors, name, blocks), len(blocks), RESAMPLING)
    return Figure(measured, simulated, error, interval.low, interval.high)


def _blocks(pairs: Floats) -> list[Floats]:
    """Runs of n^(1/3) neighbours in order of arrival, shape (length, 2) each.

    Requests that meet the same queue have like errors, so they are drawn together (Kuensch, 1989;
    the length is that of Hall, Horowitz and Jing, 1995, but for its constant).
    """
    length = max(1, round(len(pairs) ** (1 / 3)))
    return np.array_split(pairs, len(pairs) // length)


def _errors(name: str, blocks: list[Floats], draws: NDArray[np.intp]) -> Floats:
    """The error of a figure in each draw of blocks, percent, shape (draws,)."""
    errors = np.empty(len(draws))
    for i, draw in enumerate(draws.tolist()):
        measured, simulated = statistic(name, np.concatenate([blocks[j] for j in draw]).T)
        errors[i] = 100 * (simulated - measured) / measured if measured else 0.0
    return errors
