"""Two kinds of traffic whose shares shift: what makes one split of memory wrong over time."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.bounds import MOST_DRAWN
from traces.options import about
from traces.preset import Preset
from traces.record import Trace, TraceError
from traces.ticks import integers
from traces.transform import superpose

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORT, LONG = "state-heavy", "kv-heavy"
MAX_MEAN_TOKENS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftingPreset(Preset):
    """Many short requests press on state pages, few long ones on KV pages; shares follow the clock.

    At time t short requests arrive as a Poisson process at `short_rate * (1 - share(t))`, long ones
    at `long_rate * share(t)`. A length is uniform between half and one and a half times its mean.
    Tenants are named by their kind, so that a report can part them.

    Attributes:
        duration_s: Seconds of traffic.
        short_rate: Short requests a second while they have all the traffic.
        short_prompt: Mean prompt tokens of a short request.
        short_output: Mean output tokens of a short request.
        long_rate: Long requests a second while they have all the traffic.
        long_prompt: Mean prompt tokens of a long request.
        long_output: Mean output tokens of a long request.
    """

    source: ClassVar[str] = "our own; the figures are choices, not measurements"

    duration_s: float = field(
        default=600.0, metadata=about("seconds of traffic", above=0, high=10**7)
    )
    short_rate: float = field(
        default=20.0, metadata=about("short requests a second", low=0, high=10**6)
    )
    short_prompt: int = field(
        default=128, metadata=about("mean prompt tokens, short", low=2, high=MAX_MEAN_TOKENS)
    )
    short_output: int = field(
        default=256, metadata=about("mean output tokens, short", low=2, high=MAX_MEAN_TOKENS)
    )
    long_rate: float = field(
        default=1.0, metadata=about("long requests a second", low=0, high=10**6)
    )
    long_prompt: int = field(
        default=16384, metadata=about("mean prompt tokens, long", low=2, high=MAX_MEAN_TOKENS)
    )
    long_output: int = field(
        default=256, metadata=about("mean output tokens, long", low=2, high=MAX_MEAN_TOKENS)
    )

    @abstractmethod
    def long_share(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of the traffic that long requests have at times, from 0 to 1."""

    def generate(self) -> Trace:
        """Draw the short requests, then the long ones, and lay them over each other.

        Raises:
            TraceError: The rates are so low that no request arrives, or far too high.
        """
        rng = np.random.default_rng(self.seed)
        short_ns, long_ns = self._arrivals(rng, SHORT), self._arrivals(rng, LONG)
        short = self._requests(rng, short_ns, SHORT)
        long = self._requests(rng, long_ns, LONG)
        trace = superpose([short, long])
        if not len(trace):
            raise TraceError(f"{self.label}: no request arrives; raise a rate or the duration")
        return replace(trace, name=self.label)

    def _arrivals(self, rng: np.random.Generator, kind: str) -> NDArray[np.float64]:
        """Thin a Poisson process at the full rate (Lewis and Shedler, 1979)."""
        expected = self.duration_s * (self.long_rate if kind == LONG else self.short_rate)
        if expected > MOST_DRAWN:
            raise TraceError(f"{self.label}: over {MOST_DRAWN:,} requests; lower rate or duration")
        times = np.sort(rng.uniform(0, self.duration_s, rng.poisson(expected)))
        share = self.long_share(times)
        keep = rng.random(len(times)) < (share if kind == LONG else 1 - share)
        return times[keep]

    def _requests(self, rng: np.random.Generator, times_s: NDArray[np.float64], kind: str) -> Trace:
        is_long = kind == LONG
        prompt = self.long_prompt if is_long else self.short_prompt
        output = self.long_output if is_long else self.short_output
        return Trace(
            name=kind,
            prompt_tokens=_lengths(rng, prompt, len(times_s)),
            output_tokens=_lengths(rng, output, len(times_s)),
            arrival_ns=np.rint(times_s * 1e9).astype(np.int64),
            tenants=(kind,) * len(times_s),
        )


def ramp(time_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
    """0 in the first third of the duration, 1 in the last, a straight line between."""
    return np.clip(3 * time_s / duration_s - 1, 0.0, 1.0)


def _lengths(rng: np.random.Generator, mean: int, count: int) -> NDArray[np.int64]:
    half = mean // 2
    return integers(rng, mean - half, mean + half, count)
