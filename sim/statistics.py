"""Uncertainty of what several seeds show."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Draws = NDArray[np.intp]
    Statistic = Callable[[Draws], NDArray[np.float64]]

MOST_FLIPPED = 20


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
    statistic: Statistic, num_clusters: int, resampling: Resampling | None = None
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
    return stratified_bootstrap(statistic, (num_clusters,), resampling)


def stratified_bootstrap(
    statistic: Statistic, clusters_by_stratum: Sequence[int], resampling: Resampling | None = None
) -> Interval:
    """Percentile bootstrap over clusters of a fixed design: each stratum keeps its size.

    Strata (the workloads of an evaluation, say) are not drawn, since nobody chose them at random.

    Args:
        statistic: As in `bootstrap`; clusters are numbered through, stratum by stratum.
        clusters_by_stratum: How many clusters each stratum has.
        resampling: How to draw; None takes the defaults.

    Raises:
        ValueError: If there is no stratum, or one without a cluster.
    """
    if not clusters_by_stratum or min(clusters_by_stratum) < 1:
        raise ValueError("a bootstrap needs at least one cluster")
    how = resampling or Resampling()
    rng = np.random.default_rng(how.seed)
    firsts = np.cumsum((0, *clusters_by_stratum[:-1]))
    draws = np.hstack(
        [
            first + rng.integers(0, count, (how.resamples, count), dtype=np.intp)
            for first, count in zip(firsts, clusters_by_stratum, strict=True)
        ]
    )
    return _interval(statistic, draws, how.confidence)


def paired_bootstrap(
    statistic: Statistic, num_pairs: int, rng: np.random.Generator, resampling: Resampling
) -> Interval:
    """Percentile bootstrap over pairs with a generator that several comparisons share.

    So drew arXiv 2605.22416: every pair (workload, model, pool, seed) counts as one of a sample,
    although pairs of one seed depend on each other. It stands here to show its intervals again;
    `stratified_bootstrap` is for conclusions.

    Args:
        statistic: Takes numbers of pairs, shape (draws, num_pairs); returns shape (draws,).
        num_pairs: How many there are.
        rng: Goes on from where the last comparison left it; the seed of `resampling` is not used.
        resampling: How often, and which percentiles.
    """
    draws = rng.integers(0, num_pairs, (resampling.resamples, num_pairs), dtype=np.intp)
    return _interval(statistic, draws, resampling.confidence)


def _interval(statistic: Statistic, draws: Draws, confidence: float) -> Interval:
    """The statistic of the data as they are, and percentiles of that of the draws."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(draws), (tail, 1 - tail))
    (estimate,) = statistic(np.arange(draws.shape[1])[np.newaxis])
    return Interval(float(estimate), float(low), float(high))


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of a mean difference of 0, exact over all sign patterns (Fisher, 1935).

    It needs no distribution, only that a difference is as likely to be of either sign if there is
    no effect; with n differences it cannot fall below 2 / 2**n.

    Raises:
        ValueError: If there is no difference, or more than 20 (a million patterns).
    """
    if not 0 < len(differences) <= MOST_FLIPPED:
        raise ValueError(f"{len(differences)} differences: 1 to {MOST_FLIPPED} can be flipped")
    values = np.asarray(differences, dtype=np.float64)
    patterns = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
    totals = np.abs(patterns @ values)
    observed = abs(values.sum())
    # Sums of the same numbers in another order may differ in the last digit.
    return float(np.mean(totals >= observed * (1 - 1e-12)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false rejection stays as stated (Holm, 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
