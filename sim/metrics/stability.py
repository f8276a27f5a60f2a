"""Whether the run kept up with its arrivals: said by the trend of the queue, never by latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.event_log import NO_ROWS, EventKind, EventLog
from sim.metric import Metric, Slo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STABLE, BACKLOGGED, OVERLOADED = "stable", "backlogged", "overloaded"

SUFFIXES = (1.0, 0.5, 0.25)
"""Parts of the time between the first and the last arrival, each up to the last."""

NUM_PIECES = 16
"""Pieces of a part; the growth of the queue in each is one observation."""

MIN_ARRIVALS = 4 * NUM_PIECES
"""Fewer arrivals in a part say nothing about it."""

CRITICAL_T = 2.5
"""Standard errors that growth must be above 0: 1.2 % by chance (t, 15 degrees of freedom)."""

UNSERVED_SHARE = 0.01
"""Share of the work arriving that may stay in the queue, however surely it does."""

BACKLOG_SHARE = 0.5
"""Share of the samples at which somebody may wait before a run counts as backlogged."""

MIN_SAMPLES = 8

ENTERS = (EventKind.ARRIVAL, EventKind.PREEMPTION)
KINDS = (*ENTERS, EventKind.ADMISSION, EventKind.REJECTION)


@dataclass(frozen=True, slots=True)
class Growth:
    """How the queue grew in a part of the run, as a share of the work that arrived in it.

    Attributes:
        unserved: The share that stayed in the queue; below 0 if the queue shrank.
        error: Its standard error.
    """

    unserved: float
    error: float

    @property
    def low(self) -> float:
        """The share that stayed at least."""
        return self.unserved - CRITICAL_T * self.error

    @property
    def is_overload(self) -> bool:
        """Whether the queue surely grew, and by enough to matter."""
        return self.low > 0 and self.unserved > UNSERVED_SHARE


class Stability(Metric):
    """Stable, backlogged or overloaded.

    Only the time between the first and the last arrival counts. The queue is measured twice: in
    requests, and in work, the prompt and output tokens of those that wait. Time is cut into 16
    equal pieces; if requests arrive faster than they are served, the queue grows in all of them,
    while a burst that drains, or one that has just come, grows it in a few. So the growth of the
    pieces is put to a t-test, over the whole time, its last half and its last quarter. The run is

    - overloaded, if in one of these parts, by requests or by work, growth is at least 2.5 standard
      errors above 0 and more than 1 % of what arrived stayed in the queue; a part with fewer than
      64 arrivals says nothing;
    - backlogged, if it is not, but somebody waits at more than half of the samples (8 at least);
    - stable otherwise.

    Latencies of an overloaded run grow with the length of its trace: `latency_valid` is false.
    """

    name = "stability"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`; `queue_growth` is of the part that grew most surely."""
        queue = _Queue.of(log)
        growths = list(queue.growths())
        most = max(growths, key=lambda growth: growth.low, default=None)
        if any(growth.is_overload for growth in growths):
            most = max((each for each in growths if each.is_overload), key=lambda each: each.low)
            label = OVERLOADED
        else:
            label = BACKLOGGED if _is_backlogged(log, queue) else STABLE
        return {
            "stability": label,
            "latency_valid": label != OVERLOADED,
            "queue_growth": {
                "unserved_pct": None if most is None else 100 * most.unserved,
                "unserved_low_pct": None if most is None else 100 * most.low,
            },
        }


@dataclass(frozen=True, slots=True)
class _Passage:
    """Who passed one point, and when.

    Attributes:
        time_ns: Times, int64, shape (passages,), never falling.
        work: Requests and tokens that passed before each and in all, shape (2, passages + 1).
    """

    time_ns: NDArray[np.int64]
    work: Floats

    @classmethod
    def of(cls, rows: NDArray[np.int64], tokens: Floats) -> _Passage:
        """The passages that rows of the log stand for; tokens by request."""
        counts = np.arange(len(rows) + 1, dtype=np.float64)
        sums = np.concatenate(([0.0], np.cumsum(tokens[rows[:, 2]])))
        return cls(rows[:, 0], np.vstack((counts, sums)))

    def until(self, edges: Floats) -> Floats:
        """Requests and tokens that passed up to each edge, included; shape (2, edges)."""
        return self.work[:, np.searchsorted(self.time_ns, edges, side="right")]


@dataclass(frozen=True, slots=True)
class _Queue:
    """Who arrived, who entered the queue and who left it; preempted requests enter again."""

    arrivals: _Passage
    entries: _Passage
    exits: _Passage

    @classmethod
    def of(cls, log: EventLog) -> _Queue:
        """Read the queue from the log, block by block."""
        kept = [rows[np.isin(rows[:, 1], KINDS), :5] for rows in log.blocks()]
        rows = np.concatenate([NO_ROWS[:, :5], *kept])
        arrivals = rows[rows[:, 1] == EventKind.ARRIVAL]
        tokens = np.zeros(log.header.num_requests)
        tokens[arrivals[:, 2]] = arrivals[:, 3] + arrivals[:, 4]
        parts = (arrivals, rows[np.isin(rows[:, 1], ENTERS)], _exits(rows, len(tokens)))
        return cls(*(_Passage.of(part, tokens) for part in parts))

    def growths(self) -> Iterator[Growth]:
        """The growth in each part that says something, by requests and by work."""
        start_ns, end_ns = self.arrivals.time_ns[[0, -1]]
        for share in SUFFIXES:
            edges = np.linspace(end_ns - share * (end_ns - start_ns), end_ns, NUM_PIECES + 1)
            arrived = self.arrivals.until(edges)
            if end_ns == start_ns or arrived[0, -1] - arrived[0, 0] < MIN_ARRIVALS:
                return  # shorter parts hold even less
            waiting = self.entries.until(edges) - self.exits.until(edges)
            for queue, offered in zip(waiting, arrived[:, -1] - arrived[:, 0], strict=True):
                yield _growth(np.diff(queue), float(offered))


def _exits(rows: NDArray[np.int64], num_requests: int) -> NDArray[np.int64]:
    """Admissions, and rejections of who waited: a running sequence can be rejected too."""
    entered, admitted = (
        np.bincount(rows[np.isin(rows[:, 1], kinds), 2], minlength=num_requests)
        for kinds in (ENTERS, (EventKind.ADMISSION,))
    )
    waited = entered > admitted  # at the end of the log, and a rejection is the last of a request
    is_rejection = (rows[:, 1] == EventKind.REJECTION) & waited[rows[:, 2]]
    return np.asarray(rows[(rows[:, 1] == EventKind.ADMISSION) | is_rejection])


def _growth(pieces: Floats, offered: float) -> Growth:
    error = pieces.std(ddof=1) * np.sqrt(len(pieces))
    return Growth(float(pieces.sum()) / offered, float(error) / offered)


def _is_backlogged(log: EventLog, queue: _Queue) -> bool:
    samples = log.of(EventKind.QUEUE_SAMPLE)
    start_ns, end_ns = queue.arrivals.time_ns[[0, -1]]
    inside = (samples[:, 0] >= start_ns) & (samples[:, 0] <= end_ns)
    waiting = samples[inside, 4]
    return len(waiting) >= MIN_SAMPLES and float((waiting > 0).mean()) > BACKLOG_SHARE
