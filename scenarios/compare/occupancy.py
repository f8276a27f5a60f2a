"""Use of the pool over time, measured and simulated: steps, compared as steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenarios.compare.columns import FRACTION, occupancy_columns
from scenarios.errors import UnknownNameError, UserError
from sim.event_log import EventKind
from sim.timeline import NS_PER_S
from traces.load import read_table
from traces.timestamps import instants_ns
from traces.wording import shown

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sim.event_log import EventLog
    from traces.table import Table

    Floats = NDArray[np.float64]

PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class OccupancyInput:
    """A measured occupancy series.

    Attributes:
        file: CSV or JSON Lines.
        columns: `time=...,pct=...`; None for columns of these names.
        pool: Pool of the run to compare with; None takes all together.
    """

    file: Path
    columns: str | None = None
    pool: str | None = None


def occupancy_input(
    file: Path | None, columns: str | None, pool: str | None
) -> OccupancyInput | None:
    """The series that options name, if any.

    Raises:
        UserError: If there are options for a series, and no series.
    """
    if file is not None:
        return OccupancyInput(file, columns, pool)
    if columns is not None or pool is not None:
        raise UserError("--occupancy-columns and --occupancy-pool go with --occupancy FILE")
    return None


@dataclass(frozen=True, slots=True)
class Series:
    """Pool use at some instants; each value holds until the next.

    Attributes:
        time_s: Seconds since the side's first arrival, shape (n,), never falling.
        pct: Percent of the pool in use, shape (n,).
    """

    time_s: Floats
    pct: Floats

    def at(self, time_s: Floats) -> Floats:
        """Values at instants from the first sample on."""
        return np.asarray(self.pct[np.searchsorted(self.time_s, time_s, side="right") - 1])


@dataclass(frozen=True, slots=True)
class OccupancyError:
    """How far two series are apart while both are known.

    Attributes:
        measured: The measured series.
        simulated: The simulated one.
        edges_s: When both have begun, and every instant after it at which one may change.
        end_s: When one of them ends.
        mae_pct: Mean absolute difference over that time, in points of percent.
        bias_pct: Mean difference, simulated - measured.
        measured_mean_pct: Mean of the measured series over that time.
    """

    measured: Series
    simulated: Series
    edges_s: Floats
    end_s: float
    mae_pct: float
    bias_pct: float
    measured_mean_pct: float


def read_occupancy(given: OccupancyInput, zero_ns: int) -> Series:
    """Read a measured series, on the clock of the measured log.

    Args:
        given: The file and its columns.
        zero_ns: The first arrival on that clock.

    Raises:
        UserError: See `scenarios.compare.columns.occupancy_columns`.
        TraceError: A cell is unusable, or a time lies before the one above; file and line named.
    """
    columns = occupancy_columns(given.columns)
    time, pct = columns["time"], columns["pct"]
    table = read_table(given.file, (time.name, pct.name))
    time_ns = instants_ns(table, time.name, time.unit)
    falls = np.diff(time_ns) < 0
    if falls.any():
        row = int(np.argmax(falls)) + 1
        raise table.fail(row, f"{time.name} lies before the row above; sort the file by it")
    return Series(
        (time_ns - zero_ns) / NS_PER_S,
        _percents(table, pct.name, 1.0 if pct.unit == FRACTION else PERCENT),
    )


def _percents(table: Table, name: str, top: float) -> Floats:
    """A column of numbers from 0 to what stands for all of the pool."""
    values = np.empty(len(table))
    for row, cell in enumerate(table.texts(name)):
        try:
            value = float(cell)
        except ValueError:
            raise table.fail(row, f"{name} is {shown(cell)}, no number") from None
        if not 0 <= value <= top:
            raise table.fail(row, f"{name} is {shown(cell)}, not between 0 and {top:g}")
        values[row] = value * PERCENT / top
    return values


def simulated_occupancy(log: EventLog, pool: str | None = None) -> Series:
    """Live bytes of one pool, or of all, in percent of the bytes of its pages.

    Raises:
        UserError: An unknown pool, or a run too short for a sample.
    """
    names = [header.name for header in log.header.pools]
    if pool is not None and pool not in names:
        raise UnknownNameError("pool", pool, names)
    rows = log.of(EventKind.POOL_SAMPLE)
    if not len(rows):
        raise UserError("the run has no samples of its pools: it is too short for --occupancy")
    table = rows.reshape(-1, len(names), rows.shape[1])  # pools are sampled together, in order
    chosen = [i for i, name in enumerate(names) if pool in {None, name}]
    page_bytes = np.array([log.header.pools[i].page_bytes for i in chosen], dtype=np.float64)
    live, held = (table[:, chosen, column] @ page_bytes for column in (3, 4))
    pct = np.divide(PERCENT * live, held, out=np.zeros(len(table)), where=held > 0)
    start_ns = int(log.of(EventKind.ARRIVAL)[0, 0])
    return Series((table[:, 0, 0] - start_ns) / NS_PER_S, pct)


def occupancy_error(measured: Series, simulated: Series) -> OccupancyError:
    """Compare two series over the time in which both are known, weighted by time.

    Raises:
        UserError: If there is no such time.
    """
    start_s = float(max(measured.time_s[0], simulated.time_s[0]))
    end_s = float(min(measured.time_s[-1], simulated.time_s[-1]))
    if start_s >= end_s:
        raise UserError(
            f"the occupancy series has no time in common with the run: it lies from"
            f" {measured.time_s[0]:,.1f} to {measured.time_s[-1]:,.1f} s after the first arrival of"
            f" the log, the run's samples from {simulated.time_s[0]:,.1f} to"
            f" {simulated.time_s[-1]:,.1f} s; its times must be on the clock of the log"
        )
    instants = np.concatenate(([start_s], measured.time_s, simulated.time_s))
    edges_s = np.unique(instants[(instants >= start_s) & (instants < end_s)])
    seconds = np.diff(edges_s, append=end_s)
    ours, theirs = measured.at(edges_s), simulated.at(edges_s)
    mae, bias, mean = (
        float(np.average(values, weights=seconds))
        for values in (np.abs(theirs - ours), theirs - ours, ours)
    )
    return OccupancyError(measured, simulated, edges_s, end_s, mae, bias, mean)
