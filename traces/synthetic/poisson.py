"""Poisson arrivals with fixed or memoryless lengths: what queueing formulas assume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from traces import arrival_process
from traces.options import about
from traces.preset import Preset
from traces.record import Trace

if TYPE_CHECKING:
    from traces.record import Int64Array

MAX_MEAN_TOKENS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonTrace(Preset):
    """Memoryless arrivals; lengths all equal, or geometric (the exponential of whole numbers).

    Attributes:
        n: Requests.
        rate: Mean requests a second.
        prompt: Mean prompt tokens.
        output: Mean output tokens.
        lengths: "fixed" gives every request the means; "exponential" draws geometric lengths, whose
            mean is exact and whose smallest value is 1.
    """

    name: ClassVar[str] = "poisson"
    description: ClassVar[str] = "Poisson arrivals with fixed or exponential lengths"
    source: ClassVar[str] = "the M/D and M/M queues of the textbooks"

    n: int = field(default=1000, metadata=about("requests", low=1, high=10**7))
    rate: float = field(default=5.0, metadata=about("requests a second", above=0))
    prompt: int = field(
        default=512, metadata=about("mean prompt tokens", low=1, high=MAX_MEAN_TOKENS)
    )
    output: int = field(
        default=128, metadata=about("mean output tokens", low=1, high=MAX_MEAN_TOKENS)
    )
    lengths: str = field(
        default="fixed", metadata=about("fixed or exponential", choices=("fixed", "exponential"))
    )

    def generate(self) -> Trace:
        """Draw arrivals, then prompts, then outputs."""
        rng = np.random.default_rng(self.seed)
        return Trace(
            name=self.label,
            arrival_ns=arrival_process.Poisson(rate=self.rate).arrival_ns(self.n, rng),
            prompt_tokens=self._lengths(self.prompt, rng),
            output_tokens=self._lengths(self.output, rng),
        )

    def _lengths(self, mean: int, rng: np.random.Generator) -> Int64Array:
        if self.lengths == "fixed":
            return np.full(self.n, mean, dtype=np.int64)
        return rng.geometric(1 / mean, self.n).astype(np.int64)


PRESET = PoissonTrace
