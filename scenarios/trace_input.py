"""From what the user names to the requests of a run: load, then cut, then set the pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from traces.arrival_process import parse_arrival_process
from traces.load import TraceOptions, load_trace
from traces.record import TraceError
from traces.transform import limit, scale_rate, window, with_arrivals

if TYPE_CHECKING:
    from traces.record import Trace


@dataclass(frozen=True, slots=True)
class TraceInput:
    """A trace and what to make of it.

    Attributes:
        source: A file, or a preset `NAME[:key=value,...]`.
        reading: How to read it.
        arrivals: An arrival process for traces without times (or instead of theirs).
        start_s: Seconds to leave out at the beginning.
        duration_s: Seconds to keep from there on; None keeps all.
        limit: Requests to keep at most; None keeps all.
        rate_scale: How many times faster requests arrive.
    """

    source: str
    reading: TraceOptions
    arrivals: str | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    limit: int | None = None
    rate_scale: float = 1.0

    def load(self) -> Trace:
        """Load the trace, then apply arrivals, window, limit and rate, in this order.

        Raises:
            TraceError: Anything the user can get wrong about it, in one sentence.
        """
        trace = load_trace(self.source, self.reading)
        if self.arrivals is not None:
            rng = np.random.default_rng(self.reading.seed)
            trace = with_arrivals(trace, parse_arrival_process(self.arrivals), rng)
        if not trace.has_arrivals:
            raise TraceError(
                f"{trace.name} holds lengths but no arrival times:"
                " say when requests come with --arrivals, for example poisson:rate=5"
            )
        if self.start_s or self.duration_s is not None:
            trace = window(trace, self.start_s, self.duration_s)
        if self.limit is not None:
            trace = limit(trace, self.limit)
        return trace if self.rate_scale == 1 else scale_rate(trace, self.rate_scale)
