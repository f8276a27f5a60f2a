from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from sim.statistics import Resampling, bootstrap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Draws = NDArray[np.intp]

MANY = Resampling(resamples=20_000)


def test_a_mean_has_the_interval_that_scipy_finds() -> None:
    data = np.random.default_rng(1).lognormal(0, 1, 25)
    found = bootstrap(lambda draws: data[draws].mean(axis=-1), len(data), MANY)
    known = stats.bootstrap(
        (data,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    # both ends are quantiles of 20,000 draws: their standard error is about 0.004
    assert found.estimate == pytest.approx(data.mean())
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.02)


def test_a_ratio_of_pairs_has_the_interval_that_scipy_finds() -> None:
    rng = np.random.default_rng(3)
    above, below = rng.uniform(1, 2, 12), rng.uniform(2, 4, 12)

    def ratio(draws: Draws) -> NDArray[np.float64]:
        return np.asarray(above[draws].sum(axis=-1) / below[draws].sum(axis=-1))

    found = bootstrap(ratio, 12, Resampling(20_000, 0.9))
    known = stats.bootstrap(
        (above, below),
        lambda x, y, axis: x.sum(axis=axis) / y.sum(axis=axis),
        paired=True,
        confidence_level=0.9,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(4),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.002)


def test_values_of_one_cluster_count_as_one() -> None:
    """Copies of a value within a cluster must not narrow the interval."""
    data = np.random.default_rng(5).normal(size=10)
    copied = np.repeat(data[:, np.newaxis], 50, axis=1)
    alone = bootstrap(lambda draws: data[draws].mean(axis=-1), 10, MANY)
    clustered = bootstrap(lambda draws: copied[draws].mean(axis=(-2, -1)), 10, MANY)
    assert (clustered.low, clustered.high) == pytest.approx((alone.low, alone.high))


def test_the_same_seed_gives_the_same_interval_and_one_cluster_has_no_width() -> None:
    data = np.array([1.0, 4.0, 2.0])

    def mean(draws: Draws) -> NDArray[np.float64]:
        return np.asarray(data[draws].mean(axis=-1))

    assert bootstrap(mean, 3) == bootstrap(mean, 3)
    assert bootstrap(mean, 3) != bootstrap(mean, 3, Resampling(seed=1, resamples=50))
    single = bootstrap(mean, 1)
    assert single.low == single.estimate == single.high == 1.0
    with pytest.raises(ValueError, match="at least one"):
        bootstrap(mean, 0)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 300 nominal 90 % intervals of 30 values, 82 to 95 % hold the mean (percentile: narrow)."""
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(300):
        data = rng.normal(size=30)

        def mean(draws: Draws, data: NDArray[np.float64] = data) -> NDArray[np.float64]:
            return np.asarray(data[draws].mean(axis=-1))

        found = bootstrap(mean, 30, Resampling(400, 0.9))
        held += found.low <= 0 <= found.high
    assert 0.82 < held / 300 < 0.95
