"""A tenant that keeps to its share, and beside it one that sends many times as much."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces.arrival_process import Poisson
from traces.bounds import MOST_DRAWN
from traces.options import about
from traces.preset import Preset
from traces.record import Trace, TraceError
from traces.ticks import integers
from traces.transform import superpose

if TYPE_CHECKING:
    from numpy.typing import NDArray

WELL_BEHAVED, NOISY = "well-behaved", "noisy"
MAX_MEAN_TOKENS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyNeighbour(Preset):
    """Two Poisson processes of like requests; the second is `factor` times as fast.

    The requests of the well-behaved tenant are the same whatever the factor, so that runs with and
    without its neighbour can be compared one by one. A length is uniform between half and one and
    a half times its mean. The two tenants carry their names.

    Attributes:
        n: Requests of the well-behaved tenant.
        rate: Its requests a second.
        factor: How many times as many requests the noisy one sends; 0 leaves it out.
        prompt: Mean prompt tokens.
        output: Mean output tokens.
    """

    name: ClassVar[str] = "noisy-neighbour"
    description: ClassVar[str] = (
        "a well-behaved tenant beside one that sends `factor` times as much"
    )
    source: ClassVar[str] = "our own; the figures are choices, not measurements"

    n: int = field(default=300, metadata=about("requests, well-behaved", low=1, high=10**6))
    rate: float = field(default=2.0, metadata=about("requests a second, well-behaved", above=0))
    factor: int = field(
        default=10,
        metadata=about("requests of the noisy one for each of the other", low=0, high=1000),
    )
    prompt: int = field(
        default=1024, metadata=about("mean prompt tokens", low=2, high=MAX_MEAN_TOKENS)
    )
    output: int = field(
        default=256, metadata=about("mean output tokens", low=2, high=MAX_MEAN_TOKENS)
    )

    def generate(self) -> Trace:
        """Draw the well-behaved tenant's requests, then the other's, and lay them over each other.

        Raises:
            TraceError: The rate is so low that the last arrival lies beyond 146 years, or there
                are far too many requests.
        """
        if self.n * (1 + self.factor) > MOST_DRAWN:
            raise TraceError(f"{self.label}: over {MOST_DRAWN:,} requests; lower n or factor")
        rng = np.random.default_rng(self.seed)
        trace = self._requests(rng, WELL_BEHAVED, 1)
        if self.factor:
            trace = superpose([trace, self._requests(rng, NOISY, self.factor)])
        return replace(trace, name=self.label)

    def _requests(self, rng: np.random.Generator, tenant: str, factor: int) -> Trace:
        count = self.n * factor
        return Trace(
            name=tenant,
            arrival_ns=Poisson(rate=self.rate * factor).arrival_ns(count, rng),
            prompt_tokens=_lengths(rng, self.prompt, count),
            output_tokens=_lengths(rng, self.output, count),
            tenants=(tenant,) * count,
        )


def _lengths(rng: np.random.Generator, mean: int, count: int) -> NDArray[np.int64]:
    half = mean // 2
    return integers(rng, mean - half, mean + half, count)


PRESET = NoisyNeighbour
