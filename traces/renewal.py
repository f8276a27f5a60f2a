"""Arrivals in a window whose gaps follow a distribution, as if they had gone on for ever."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SPREAD = 6.0
"""Standard deviations of the count that are drawn beyond its mean, so that one draw will do."""


class Gaps(Protocol):
    """Gaps between arrivals with mean 1."""

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Independent gaps, shape (count,)."""

    def longer(self, rng: np.random.Generator) -> float:
        """A gap drawn in proportion to its length: the one that an instant falls into."""


@dataclass(frozen=True, slots=True)
class GammaGaps:
    """Gamma gaps of a shape: coefficient of variation 1 / sqrt(shape)."""

    shape: float

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """See `Gaps.draw`."""
        return rng.gamma(self.shape, 1 / self.shape, count)

    def longer(self, rng: np.random.Generator) -> float:
        """X times the density is again a gamma, of a shape one larger."""
        return float(rng.gamma(self.shape + 1, 1 / self.shape))


@dataclass(frozen=True, slots=True)
class WeibullGaps:
    """Weibull gaps of a shape."""

    shape: float

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """See `Gaps.draw`."""
        return rng.weibull(self.shape, count) / math.gamma(1 + 1 / self.shape)

    def longer(self, rng: np.random.Generator) -> float:
        """With G gamma of shape 1 + 1/k, G ** (1/k) has x times the density of a Weibull."""
        drawn = rng.gamma(1 + 1 / self.shape) ** (1 / self.shape)
        return float(drawn / math.gamma(1 + 1 / self.shape))


def arrivals_s(gaps: Gaps, rate: float, duration_s: float, rng: np.random.Generator) -> Floats:
    """Arrivals of the stationary renewal process in a window, in seconds from its start.

    The first gap is a random part of one drawn by length, as for anybody who starts to look at a
    process that has long been going on; so rate x duration arrivals are expected exactly (Cox,
    Renewal Theory, 1962, section 5.1).
    """
    mean = rate * duration_s
    times = np.array([gaps.longer(rng) * rng.random()])
    while times[-1] < mean:
        left = mean - times[-1]
        count = math.ceil(left + SPREAD * math.sqrt(left) + SPREAD)
        times = np.concatenate((times, times[-1] + np.cumsum(gaps.draw(count, rng))))
    return times[times < mean] / rate
