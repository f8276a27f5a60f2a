"""One log for several replicas: rows know whose they are by request, by pool or by subject."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sim.event_log import NO_SUBJECT, EventKind, EventLog

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.event_log import LogHeader, LogWriter

SUBJECT, A, B = 2, 3, 4
POOL_COLUMNS: dict[EventKind, tuple[int, ...]] = {
    EventKind.OOM: (A,),
    EventKind.MIGRATION: (A, B),
    EventKind.MIGRATION_BLOCKED: (B,),
    EventKind.POOL_SAMPLE: (SUBJECT,),
    EventKind.CACHE_SAMPLE: (SUBJECT,),
}
"""Where rows name pools: in the log of all, pools are numbered through."""

SUMMED = (
    EventKind.QUEUE_SAMPLE,
    EventKind.WASTE_SAMPLE,
    EventKind.EVICTIONS,
    EventKind.END,
)
"""Rows about a replica as a whole: its number is their subject. They come from all at once."""


def log_of_replica(log: EventLog, number: int) -> LogWriter:
    """Where a replica writes; where there is only one, that is the log itself."""
    return log if log.header.num_replicas == 1 else ReplicaLog(log, number)


class ReplicaLog:
    """Lets a replica write as if the log were its own.

    Attributes:
        header: As it would be were the replica alone.
    """

    def __init__(self, log: EventLog, number: int) -> None:
        self.header = header_of_replica(log.header, number)
        self._log = log
        self._number = number
        self._first_pool = number * len(self.header.pools)

    def append(  # noqa: PLR0913, PLR0917 - a row has six columns
        self, time_ns: int, kind: EventKind, subject: int, a: int = 0, b: int = 0, c: int = 0
    ) -> None:
        """See `LogWriter.append`."""
        row = [time_ns, kind, subject, a, b, c]
        if kind in SUMMED:
            row[2] = self._number
        for column in POOL_COLUMNS.get(kind, ()):
            row[column] += self._first_pool
        _, _, *rest = row
        self._log.append(time_ns, kind, *rest)

    @property
    def num_rows(self) -> int:
        """See `LogWriter.num_rows`."""
        return self._log.num_rows


def header_of_replica(header: LogHeader, number: int) -> LogHeader:
    """The header of one of several replicas, which all have equal budgets and as many pools."""
    num_pools = len(header.pools) // header.num_replicas
    first = number * num_pools
    return replace(
        header,
        budget_bytes=header.budget_bytes // header.num_replicas,
        pools=header.pools[first : first + num_pools],
        num_replicas=1,
    )


def logs_by_replica(log: EventLog) -> list[EventLog]:
    """The log that each replica would have written were it alone with the requests it got.

    Requests keep their numbers in the trace, and headers its length; routing is left out.
    """
    table = log.table()
    owner = _owners(log, table)
    logs = []
    for number in range(log.header.num_replicas):
        header = header_of_replica(log.header, number)
        rows = table[owner == number].copy()
        for kind, columns in POOL_COLUMNS.items():
            of_kind = rows[:, 1] == kind
            for column in columns:
                rows[of_kind, column] -= number * len(header.pools)
        rows[np.isin(rows[:, 1], SUMMED), SUBJECT] = NO_SUBJECT
        logs.append(EventLog.from_table(header, rows))
    return logs


def as_one(log: EventLog) -> EventLog:
    """The log of all replicas as if they were one large one, which is what totals are read from.

    Samples and ends are summed over the replicas, so the peak is the sum of their peaks, whenever
    each had it; pools of one name count as one; routing is left out.
    """
    header = log.header
    if header.num_replicas == 1:
        return log
    table = log.table().copy()
    num_pools = len(header.pools) // header.num_replicas
    for kind, columns in POOL_COLUMNS.items():
        of_kind = table[:, 1] == kind
        for column in columns:
            table[of_kind, column] %= num_pools
    keep = table[:, 1] != EventKind.ROUTED
    by_pool = ((kind, num_pools) for kind in (EventKind.POOL_SAMPLE, EventKind.CACHE_SAMPLE))
    for kind, width in (*by_pool, *((kind, 1) for kind in SUMMED)):
        rows = np.flatnonzero(table[:, 1] == kind).reshape(-1, header.num_replicas, width)
        table[rows[:, 0], A:] = table[rows, A:].sum(axis=1)
        keep[rows[:, 1:]] = False
    table[np.isin(table[:, 1], SUMMED), SUBJECT] = NO_SUBJECT
    _sum_host_bytes(table, _owners(log, log.table()))
    whole = replace(header, pools=header.pools[:num_pools], num_replicas=1)
    return EventLog.from_table(whole, table[keep])


def _sum_host_bytes(table: NDArray[np.int64], owner: NDArray[np.int64]) -> None:
    """Let rows about swaps say what the hosts of all replicas hold, instead of one's host."""
    swaps = np.isin(table[:, 1], (EventKind.SWAP_OUT, EventKind.SWAP_IN))
    held = table[swaps, B]
    change = np.zeros_like(held)
    for number in np.unique(owner[swaps]):
        mine = owner[swaps] == number
        change[mine] = np.diff(held[mine], prepend=0)
    table[swaps, B] = np.cumsum(change)


def _owners(log: EventLog, table: NDArray[np.int64]) -> NDArray[np.int64]:
    """The replica of each row, int64, shape (rows,); -1 for rows of none."""
    header = log.header
    if header.num_replicas == 1:
        return np.zeros(len(table), dtype=np.int64)
    num_pools = len(header.pools) // header.num_replicas
    kinds, subjects = table[:, 1], table[:, SUBJECT]
    routed = table[kinds == EventKind.ROUTED]
    replica_of_request = np.full(header.num_requests, NO_SUBJECT, dtype=np.int64)
    replica_of_request[routed[:, SUBJECT]] = routed[:, A]
    owner: NDArray[np.int64] = replica_of_request[np.maximum(subjects, 0) % header.num_requests]
    about_itself = np.isin(kinds, SUMMED)
    owner[about_itself] = subjects[about_itself]
    for kind, columns in POOL_COLUMNS.items():
        if kind is not EventKind.OOM:
            of_kind = kinds == kind
            owner[of_kind] = table[of_kind, columns[-1]] // num_pools
    owner[kinds == EventKind.ROUTED] = NO_SUBJECT
    return owner
