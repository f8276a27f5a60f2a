"""When each request arrived, got its first token and completed, read from the event log."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from sim.event_log import EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.event_log import EventLog
    from sim.metric import Slo

NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Timeline:
    """One entry a completed request, in order of request number.

    Attributes:
        request: Request numbers, int64, shape (completed,).
        arrival_ns: Arrival times, int64, same shape.
        first_token_ns: Times of the first token.
        completion_ns: Times of the last token.
        output_tokens: Tokens made.
        preemptions: Times each lost its pages.
        failed_allocations: Allocations for each that failed.
    """

    request: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]
    first_token_ns: NDArray[np.int64]
    completion_ns: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    preemptions: NDArray[np.int64]
    failed_allocations: NDArray[np.int64]

    def ttft_s(self) -> NDArray[np.float64]:
        """Time to first token, seconds from arrival."""
        return (self.first_token_ns - self.arrival_ns) / NS_PER_S

    def e2e_s(self) -> NDArray[np.float64]:
        """Time from arrival to last token, seconds."""
        return (self.completion_ns - self.arrival_ns) / NS_PER_S

    def tpot_s(self) -> NDArray[np.float64]:
        """Time per output token after the first, seconds; requests of one token have none."""
        several = self.output_tokens > 1
        decode_ns = self.completion_ns[several] - self.first_token_ns[several]
        return decode_ns / (self.output_tokens[several] - 1) / NS_PER_S

    def is_clean(self) -> NDArray[np.bool_]:
        """Whether each completed without a failed allocation or a preemption."""
        clean: NDArray[np.bool_] = (self.preemptions == 0) & (self.failed_allocations == 0)
        return clean

    def is_within(self, slo: Slo) -> NDArray[np.bool_]:
        """Whether each kept its limits; a request of one token has no TPOT to miss."""
        within: NDArray[np.bool_] = self.ttft_s() <= slo.ttft_s
        within[self.output_tokens > 1] &= self.tpot_s() <= slo.tpot_s
        return within

    def where(self, chosen: NDArray[np.bool_]) -> Timeline:
        """The entries that are chosen, bool, shape (completed,)."""
        return Timeline(*(getattr(self, field.name)[chosen] for field in fields(self)))


def distribution_of(seconds: NDArray[np.float64]) -> dict[str, float | None]:
    """Mean and percentiles, linearly interpolated; None where there is nothing."""
    if not len(seconds):
        return dict.fromkeys(("mean", "p50", "p90", "p99"))
    p50, p90, p99 = (float(value) for value in np.percentile(seconds, (50, 90, 99)))
    return {"mean": float(seconds.mean()), "p50": p50, "p90": p90, "p99": p99}


def timeline_of(log: EventLog) -> Timeline:
    """Read the timeline of the requests that completed."""
    completions = log.of(EventKind.COMPLETION)
    completions = completions[np.argsort(completions[:, 2])]
    request = completions[:, 2]
    return Timeline(
        request=request,
        arrival_ns=_times_by_request(log, EventKind.ARRIVAL)[request],
        first_token_ns=_times_by_request(log, EventKind.FIRST_TOKEN)[request],
        completion_ns=completions[:, 0],
        output_tokens=completions[:, 3],
        preemptions=completions[:, 4],
        failed_allocations=completions[:, 5],
    )


def _times_by_request(log: EventLog, kind: EventKind) -> NDArray[np.int64]:
    times = np.full(log.header.num_requests, -1, dtype=np.int64)
    rows = log.of(kind)
    times[rows[:, 2]] = rows[:, 0]
    return times
