"""What the charts draw, read from the event log and thinned to what a screen can show."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sim.event_log import EventKind
from sim.timeline import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.event_log import EventLog

    Floats = NDArray[np.float64]

MAX_POINTS = 800
MAX_QUANTILES = 400
MAX_MARKS = 150


@dataclass(frozen=True, slots=True)
class PoolSeries:
    """One pool over time: seconds, bytes live and bytes it could grant."""

    name: str
    time_s: Floats
    live_bytes: Floats
    capacity_bytes: Floats


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples over time: seconds, and one row of values a series."""

    time_s: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class MigrationMark:
    """Capacity that moved into one pool in one short stretch of time."""

    time_s: float
    recipient: str
    count: int
    num_bytes: int


def thinned(values: Floats, max_points: int = MAX_POINTS) -> NDArray[np.int64]:
    """Indices of at most so many points that keep the lowest and highest of every stretch."""
    if len(values) <= max_points:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), max_points // 2 + 1).astype(np.int64)
    kept: set[int] = set()
    for start, stop in pairwise(edges.tolist()):
        stretch = values[start:stop]
        kept.update((start + int(stretch.argmin()), start + int(stretch.argmax())))
    return np.array(sorted(kept), dtype=np.int64)


def pools_of(log: EventLog) -> list[PoolSeries]:
    """Each pool's samples; live bytes decide which points stay."""
    rows = log.of(EventKind.POOL_SAMPLE)
    return [
        _pool_series(header.name, header.page_bytes, rows[rows[:, 2] == index])
        for index, header in enumerate(log.header.pools)
    ]


def _pool_series(name: str, page_bytes: int, rows: NDArray[np.int64]) -> PoolSeries:
    # Capacity rarely changes, so its changes are kept beside the extremes of what is live.
    changes = np.flatnonzero(np.diff(rows[:, 4])) + 1
    spared = changes[thinned(rows[changes, 4].astype(np.float64), MAX_POINTS // 4)]
    extremes = thinned(rows[:, 3].astype(np.float64), MAX_POINTS * 3 // 4)
    rows = rows[np.union1d(extremes, spared)]
    in_bytes = rows[:, 3:5].astype(np.float64) * page_bytes
    return PoolSeries(name, rows[:, 0] / NS_PER_S, in_bytes[:, 0], in_bytes[:, 1])


def waste_of(log: EventLog) -> Samples:
    """Internal, external and stranded waste in percent of the budget."""
    rows = log.of(EventKind.WASTE_SAMPLE)
    percents = 100.0 * rows[:, 3:6] / log.header.budget_bytes
    kept = thinned(percents.sum(axis=1))
    return Samples(rows[kept, 0] / NS_PER_S, percents[kept].T)


def queue_of(log: EventLog, column: int) -> Samples:
    """Running (column 0) or waiting (column 1) sequences."""
    rows = log.of(EventKind.QUEUE_SAMPLE)
    sequences = rows[:, 3 + column].astype(np.float64)
    kept = thinned(sequences)
    return Samples(rows[kept, 0] / NS_PER_S, sequences[kept][np.newaxis])


def start_s_of(log: EventLog) -> float:
    """Simulated seconds when the first request arrived."""
    return float(log.of(EventKind.ARRIVAL)[0, 0] / NS_PER_S)


def end_s_of(log: EventLog) -> float:
    """Simulated seconds when the last request ended."""
    return float(log.of(EventKind.END)[-1, 0] / NS_PER_S)


def quantiles_of(values: Floats) -> Samples:
    """The empirical distribution as at most 400 quantiles: values, and percent at or below."""
    values = values[values > 0]  # all are, but a logarithmic axis must be sure
    if not len(values):
        return Samples(values, values[np.newaxis])
    percents = np.linspace(0, 100, min(MAX_QUANTILES, max(2, len(values))))
    return Samples(np.percentile(values, percents), percents[np.newaxis])


def migrations_of(log: EventLog) -> list[MigrationMark]:
    """Migrations, those into one pool added up where they lie closer than can be told apart."""
    rows = log.of(EventKind.MIGRATION)
    span_ns = (end_s_of(log) - start_s_of(log)) * NS_PER_S
    stretch_ns = int(span_ns) // MAX_MARKS + 1
    since_start_ns = rows[:, 0] - int(start_s_of(log) * NS_PER_S)
    keys = np.column_stack((since_start_ns // stretch_ns, rows[:, 4]))
    marks = []
    for key in np.unique(keys, axis=0):
        members = rows[(keys == key).all(axis=1)]
        recipient = log.header.pools[int(key[1])].name
        time_s = float(members[:, 0].mean() / NS_PER_S)
        marks.append(MigrationMark(time_s, recipient, len(members), int(members[:, 5].sum())))
    return marks
