"""Lengths by their quantile function: what can be made of published percentiles alone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from traces import arrival_process
from traces.options import about
from traces.preset import Preset
from traces.record import Trace

if TYPE_CHECKING:
    from traces.record import Int64Array

Quantiles = tuple[tuple[float, int], ...]
"""(probability, tokens), both rising from probability 0 to 1; straight lines between."""


def lengths(rng: np.random.Generator, count: int, quantiles: Quantiles) -> Int64Array:
    """Tokens, int64, shape (count,), stratified and in random order.

    One draw comes from each count-th of the distribution, so that short traces have the published
    percentiles too.
    """
    probability, tokens = np.transpose(quantiles)
    strata = (rng.permutation(count) + rng.random(count)) / count
    return np.asarray(np.rint(np.interp(strata, probability, tokens)), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantilePreset(Preset):
    """Published lengths, drawn independently for prompt and output, at Poisson arrivals.

    Attributes:
        n: Requests.
        rate: Mean requests a second.
        scale: Factor on all lengths, so that long prompts fit a small memory.
    """

    n: int = field(default=3000, metadata=about("requests", low=1, high=10**7))
    rate: float = field(default=5.0, metadata=about("requests a second", above=0))
    scale: float = field(default=1.0, metadata=about("factor on all lengths", above=0, high=100))

    @property
    @abstractmethod
    def quantiles(self) -> tuple[Quantiles, Quantiles]:
        """Of prompt and output tokens, before scaling."""

    def generate(self) -> Trace:
        """Draw prompts, then outputs, then gaps."""
        rng = np.random.default_rng(self.seed)
        prompt, output = (lengths(rng, self.n, each) for each in self.quantiles)
        return Trace(
            name=self.label,
            prompt_tokens=self._scaled(prompt),
            output_tokens=self._scaled(output),
            arrival_ns=arrival_process.Poisson(rate=self.rate).arrival_ns(self.n, rng),
        )

    def _scaled(self, tokens: Int64Array) -> Int64Array:
        return np.asarray(np.maximum(1, np.rint(tokens * self.scale)), dtype=np.int64)
