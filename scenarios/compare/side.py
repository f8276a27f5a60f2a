"""One side of a comparison: what became of each request, simulated or measured."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from sim.event_log import EventKind
from sim.timeline import NS_PER_S, timeline_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.event_log import EventLog

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

UNKNOWN = -1
"""Stands for a time or a count that a side does not know."""


@dataclass(frozen=True, slots=True)
class Side:
    """One entry a request; times count from the first arrival of the side.

    Attributes:
        request: Request numbers, int64, shape (n,), each once.
        arrival_ns: Times of arrival, same shape.
        first_token_ns: Times of the first token; UNKNOWN where there was none.
        last_token_ns: Times of the last token; the same.
        prompt_tokens: Tokens of the prompt; UNKNOWN where the side does not say.
        output_tokens: Tokens made; 0 where none were.
        preemptions: Times each lost its pages; UNKNOWN where the side does not say.
    """

    request: Ints
    arrival_ns: Ints
    first_token_ns: Ints
    last_token_ns: Ints
    prompt_tokens: Ints
    output_tokens: Ints
    preemptions: Ints

    def __len__(self) -> int:
        return len(self.request)

    @property
    def is_served(self) -> Mask:
        """Who got all its tokens, shape (n,)."""
        return np.asarray(self.last_token_ns != UNKNOWN)

    @property
    def arrival_span_s(self) -> float:
        """Seconds between the first arrival and the last."""
        return float(self.arrival_ns.max() - self.arrival_ns.min()) / NS_PER_S

    def only(self, chosen: Ints | Mask) -> Side:
        """Some of the requests; times go on counting from the side's own first arrival."""
        return Side(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def ttft_s(self) -> Floats:
        """Time to first token, seconds; all must be served."""
        return np.asarray((self.first_token_ns - self.arrival_ns) / NS_PER_S)

    def e2e_s(self) -> Floats:
        """Time from arrival to last token, seconds; all must be served."""
        return np.asarray((self.last_token_ns - self.arrival_ns) / NS_PER_S)

    def tpot_s(self) -> Floats:
        """Time per output token after the first, seconds; NaN with one token."""
        gaps = np.where(self.output_tokens > 1, self.output_tokens - 1, np.nan)
        return np.asarray((self.last_token_ns - self.first_token_ns) / gaps / NS_PER_S)

    def seconds(self) -> float:
        """From the first arrival to the last token; all must be served."""
        return float(self.last_token_ns.max() - self.arrival_ns.min()) / NS_PER_S


def simulated_side(log: EventLog) -> Side:
    """What a run did with each request of its trace."""
    arrivals = log.of(EventKind.ARRIVAL)
    arrivals = arrivals[np.argsort(arrivals[:, 2])]
    timeline = timeline_of(log)
    columns = [np.full(log.header.num_requests, unknown) for unknown in (UNKNOWN, UNKNOWN, 0, 0)]
    known = (
        timeline.first_token_ns - arrivals[:, 0].min(),
        timeline.completion_ns - arrivals[:, 0].min(),
        timeline.output_tokens,
        timeline.preemptions,
    )
    for column, values in zip(columns, known, strict=True):
        column[timeline.request] = values
    first, last, output, preemptions = (column[arrivals[:, 2]] for column in columns)
    since_first = arrivals[:, 0] - arrivals[:, 0].min()
    return Side(arrivals[:, 2], since_first, first, last, arrivals[:, 3], output, preemptions)
