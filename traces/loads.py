"""A trace at another load: fewer of its requests, or several copies of it over each other.

Time is not stretched: gaps within a burst, lengths, tenants and texts stay what they were, and so
does the pace at which traffic swings. Below its own rate requests are left out, each with the same
probability, and those that repeat each other's texts together: conversations leave, not turns.
Above it, copies are laid over each other, each shifted around the trace's span, so that at every
instant other requests of the trace meet; no two copies share a text. A load is a set of requests
that holds those of every smaller load of the same seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from traces.arrival_process import NS_PER_SECOND
from traces.families import families_of
from traces.record import Trace, TraceError
from traces.transform import scale_rate, superpose, take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from traces.record import Int64Array


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests that can be had at any load.

    Attributes:
        trace: With arrivals, the first of them at any time.
        window_ns: Length of what is taken of it; at most its period.
        is_stretched: Whether a load stretches time instead.
    """

    trace: Trace
    window_ns: int
    is_stretched: bool = False

    @classmethod
    def of(cls, trace: Trace, *, is_stretched: bool = False) -> Traffic:
        """All of a trace.

        Raises:
            TraceError: Its requests arrive at no rate.
        """
        arrival = trace.arrival_ns
        if arrival is None or len(arrival) < 2 or arrival[0] == arrival[-1]:  # noqa: PLR2004 - a gap
            raise TraceError(f"{trace.name}: its requests arrive at no rate that could be changed")
        return cls(trace, _period_ns(arrival), is_stretched)

    @property
    def period_ns(self) -> int:
        """The span of the arrivals and one mean gap, after which a shifted copy starts again."""
        return _period_ns(self._arrivals)

    @property
    def rate_rps(self) -> float:
        """Requests a second at load 1."""
        return len(self.trace) * NS_PER_SECOND / self.period_ns

    def within(self, seconds: float) -> Traffic:
        """The same traffic, so many seconds of it; all where it lasts no longer."""
        return replace(self, window_ns=min(self.window_ns, round(seconds * NS_PER_SECOND)))

    def busiest(self, seconds: float) -> Traffic:
        """The part of so many seconds in which most requests arrive, the first if several tie.

        All where it lasts no longer, or where nothing follows another within that time.
        """
        arrival = self._arrivals
        length_ns = round(seconds * NS_PER_SECOND)
        if length_ns >= self.period_ns:
            return self
        ends = np.searchsorted(arrival, arrival + length_ns, side="left")
        first = int(np.argmax(ends - np.arange(len(arrival))))
        rows = np.arange(first, int(ends[first]))
        if arrival[rows[0]] == arrival[rows[-1]]:
            return self
        part = replace(take(self.trace, rows), arrival_ns=arrival[rows] - arrival[first])
        return Traffic.of(part, is_stretched=self.is_stretched)

    def duration_ns(self, load: float) -> int:
        """How long requests arrive at a load."""
        return round(self.window_ns / load) if self.is_stretched else self.window_ns

    def at(self, load: float, seed: int) -> Trace:
        """Its requests at a load, a multiple of the trace's own rate.

        Seed 0 starts where the trace does, so load 1 without a window is the trace itself. Other
        seeds start elsewhere and choose other requests and shifts.

        Raises:
            TraceError: A load that is not above 0, or one that leaves no request.
        """
        if not (math.isfinite(load) and load > 0):
            raise TraceError(f"{self.trace.name}: a load must be above 0, not {load}")
        share = 1.0 if self.is_stretched else load
        parts = [part for part in self._copies(share, seed) if len(part)]
        if not parts:
            raise TraceError(f"{self.trace.name}: a load of {load:g} leaves no request of it")
        joined = parts[0] if len(parts) == 1 else superpose(parts)
        named = replace(joined, name=f"{self.trace.name} at load {load:g}")
        return scale_rate(named, load) if self.is_stretched else named

    def _copies(self, load: float, seed: int) -> Iterator[Trace]:
        """Whole copies, then one of which a share of the families of requests is kept."""
        family = families_of(self.trace)
        num_families = int(family.max()) + 1
        for number in range(math.ceil(load)):
            # One generator a copy, so that a copy does not depend on how many there are.
            rng = np.random.default_rng((seed, number))
            offset_ns = int(rng.integers(self.period_ns)) if seed or number else 0
            yield self._copy(offset_ns, rng.random(num_families)[family] < load - number)

    def _copy(self, offset_ns: int, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Trace:
        """The requests to keep of the trace shifted around its period, cut to the window."""
        shifted = (self._arrivals - self._arrivals[0] + offset_ns) % self.period_ns
        rows = np.flatnonzero(kept & (shifted < self.window_ns))
        rows = rows[np.argsort(shifted[rows], kind="stable")]
        return replace(take(self.trace, rows), arrival_ns=shifted[rows])

    @property
    def _arrivals(self) -> Int64Array:
        if self.trace.arrival_ns is None:
            raise TraceError(f"{self.trace.name} has no arrival times")
        return self.trace.arrival_ns


def _period_ns(arrival: Int64Array) -> int:
    span_ns = int(arrival[-1] - arrival[0])
    return span_ns + max(1, span_ns // (len(arrival) - 1))
