"""Uncertainty of what several seeds show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Draws = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and where it may lie.

    Attributes:
        estimate: From the data as they are.
        low: Lower end of the confidence interval.
        high: Its upper end.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Resampling:
    """How to bootstrap.

    Attributes:
        resamples: Draws of a whole data set.
        confidence: Share of the resamples that the interval holds.
        seed: Seed of the draws.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0


def bootstrap(
    statistic: Callable[[Draws], NDArray[np.float64]],
    num_clusters: int,
    resampling: Resampling | None = None,
) -> Interval:
    """Percentile bootstrap over clusters (Efron and Tibshirani, 1993, chapter 13).

    Whole clusters are drawn with replacement, so values of one cluster (the cells of one seed,
    say) may depend on each other as they like; clusters must not.

    Args:
        statistic: Takes numbers of clusters, shape (draws, num_clusters), and returns the statistic
            of each draw, shape (draws,).
        num_clusters: How many there are.
        resampling: How to draw; None takes the defaults.

    Raises:
        ValueError: If there is no cluster.
    """
    if num_clusters < 1:
        raise ValueError("a bootstrap needs at least one cluster")
    how = resampling or Resampling()
    rng = np.random.default_rng(how.seed)
    draws = rng.integers(0, num_clusters, (how.resamples, num_clusters), dtype=np.intp)
    tail = (1 - how.confidence) / 2
    low, high = np.quantile(statistic(draws), (tail, 1 - tail))
    (estimate,) = statistic(np.arange(num_clusters)[np.newaxis])
    return Interval(float(estimate), float(low), float(high))
