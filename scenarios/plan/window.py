"""What a run shows between its warm-up and its drain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.event_log import EventKind
from sim.timeline import NS_PER_S, timeline_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from scenarios.plan.objective import Term
    from sim.event_log import EventLog

    Rows = NDArray[np.int64]

WARM_UP_SHARE = DRAIN_SHARE = 0.1
"""Of the time in which requests arrive; what arrives then runs but is not measured.

At the start the machine is empty, at the end nobody comes any more; both flatter. The shares are
fixed: a cut found in each run's data (MSER-5, White 1997) would measure other requests at every
load and under every allocator, and what is compared would not be the same.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which arrivals are measured.

    Attributes:
        start_ns: Its first nanosecond.
        end_ns: The first one after it.
    """

    start_ns: int
    end_ns: int

    @classmethod
    def inside(cls, duration_ns: int) -> Window:
        """The measured part of so long a run."""
        start_ns = round(WARM_UP_SHARE * duration_ns)
        return cls(start_ns, max(start_ns + 1, duration_ns - round(DRAIN_SHARE * duration_ns)))

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / NS_PER_S

    def holds(self, times_ns: Rows) -> NDArray[np.bool_]:
        """Which times lie in it."""
        return (times_ns >= self.start_ns) & (times_ns < self.end_ns)


def latencies(log: EventLog, window: Window, terms: Iterable[Term]) -> dict[str, Any]:
    """Each statistic of the objective, in seconds, over the requests that arrived in the window.

    Returns:
        Also `measured`, `unserved` (of them), `output_tokens_per_s` (of the measured), and
        `decode_s`, their mean time from first to last token.
    """
    arrivals = log.of(EventKind.ARRIVAL)
    measured = int(window.holds(arrivals[:, 0]).sum())
    timeline = timeline_of(log)
    inside = window.holds(timeline.arrival_ns)
    several = inside[timeline.output_tokens > 1]
    seconds = {
        "ttft": timeline.ttft_s()[inside],
        "tpot": timeline.tpot_s()[several],
        "e2e": timeline.e2e_s()[inside],
    }
    unserved = measured - int(inside.sum())
    tokens = float(timeline.output_tokens[inside].sum())
    decode_s = seconds["e2e"] - seconds["ttft"]
    return {
        "measured": measured,
        "unserved": unserved,
        "arrived_rps": measured / window.seconds,
        "output_tokens_per_s": tokens / window.seconds,
        "decode_s": _mean(decode_s),
        **{term.name: term.value_s(seconds[term.latency], unserved) for term in terms},
    }


def pressure(log: EventLog, window: Window) -> dict[str, Any]:
    """How the machine was used while the window lasted.

    Returns:
        `running_max` and `running_mean` sequences, and their mean while somebody waits;
        `granted_bytes_mean`; `busy_share` and `waiting_share` of the samples (somebody runs,
        somebody waits); `refused_share` of the time after a refusal for want of memory and before
        the next release; `refused_pools`, refusals by pool; `preempted` sequences.
    """
    samples = log.of(EventKind.QUEUE_SAMPLE)
    samples = samples[window.holds(samples[:, 0])]
    running, waiting = samples[:, 3], samples[:, 4]
    failures = log.of(EventKind.OOM)
    failures = failures[window.holds(failures[:, 0])]
    pools = [pool.name for pool in log.header.pools]
    counts = np.bincount(failures[:, 3], minlength=len(pools))
    return {
        "running_max": int(running.max(initial=0)),
        "running_mean": _mean(running),
        "running_mean_while_waiting": _mean(running[waiting > 0]),
        "granted_bytes_mean": _mean(samples[:, 5]),
        "busy_share": _mean(running > 0),
        "waiting_share": _mean(waiting > 0),
        "refused_share": _refused_ns(log, failures, window) / (window.seconds * NS_PER_S),
        "refused_pools": {name: int(n) for name, n in zip(pools, counts, strict=False) if n},
        "preempted": int(window.holds(log.of(EventKind.PREEMPTION)[:, 0]).sum()),
    }


def _mean(values: Rows | NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _refused_ns(log: EventLog, failures: Rows, window: Window) -> float:
    """Time in which the last call for memory had failed and nothing had been released since."""
    if not len(failures):
        return 0.0
    ends = (EventKind.COMPLETION, EventKind.PREEMPTION, EventKind.REJECTION)
    releases = np.sort(np.concatenate([log.of(kind)[:, 0] for kind in ends]))
    places = np.searchsorted(releases, failures[:, 0], side="right")
    until = np.append(releases, window.end_ns)[places]
    until = np.minimum(until, window.end_ns)
    # Failures before the same release overlap; the first of them covers the others.
    _, first = np.unique(until, return_index=True)
    return float((until[first] - failures[first, 0]).sum())
