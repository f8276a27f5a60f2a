"""Whether the run kept up with its arrivals: said by the trend of the queue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.event_log import EventKind, EventLog
from sim.metric import Metric, Slo

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSERVED_SHARE = 0.02
"""Share of arrivals that may stay in the queue before a run counts as overloaded."""

BACKLOG_SHARE = 0.5
"""Share of the time that somebody may wait before a run counts as backlogged."""

MIN_SAMPLES = 8


class Stability(Metric):
    """Stable, backlogged or overloaded.

    Only the time between the first and the last arrival counts. If sequences arrive faster than
    they are served, the queue grows linearly, and the difference between its mean lengths in the
    fourth and the second quarter, divided by the arrivals of half the time, is the share of
    arrivals that is not served. The run is

    - overloaded, if that share is above 2 % + 2 / sqrt(arrivals of half the time): the second
      term is two standard deviations of a Poisson count, relative;
    - backlogged, if it is not, but somebody waits at more than half of the samples;
    - stable otherwise, or if it is too short for 8 samples.
    """

    name = "stability"

    def measure(self, log: EventLog, slo: Slo) -> dict[str, Any]:  # noqa: ARG002
        """See `Metric.measure`."""
        arrivals = log.of(EventKind.ARRIVAL)[:, 0]
        samples = log.of(EventKind.QUEUE_SAMPLE)
        inside = (samples[:, 0] >= arrivals[0]) & (samples[:, 0] <= arrivals[-1])
        return {"stability": _label(samples[inside, 4], len(arrivals))}


def _label(waiting: NDArray[np.int64], num_arrivals: int) -> str:
    if len(waiting) < MIN_SAMPLES:
        return "stable"
    _, second, _, fourth = np.array_split(waiting, 4)
    half = num_arrivals / 2
    unserved = (fourth.mean() - second.mean()) / half
    if unserved > UNSERVED_SHARE + 2 / math.sqrt(half):
        return "overloaded"
    return "backlogged" if (waiting > 0).mean() > BACKLOG_SHARE else "stable"
