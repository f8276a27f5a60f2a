from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from sim.statistics import (
    Resampling,
    bootstrap,
    holm,
    paired_bootstrap,
    sign_flip_p,
    stratified_bootstrap,
)

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


def test_strata_keep_their_sizes_as_several_samples_do_in_scipy() -> None:
    rng = np.random.default_rng(7)
    samples = [rng.normal(level, 1, size) for level, size in ((0, 8), (50, 12), (9, 20))]
    together = np.concatenate(samples)
    found = stratified_bootstrap(lambda draws: together[draws].mean(axis=-1), (8, 12, 20), MANY)

    def mean_of_all(*parts: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return np.asarray(np.concatenate(parts, axis=axis).mean(axis=axis))

    known = stats.bootstrap(
        samples, mean_of_all, method="percentile", n_resamples=20_000, rng=np.random.default_rng(8)
    ).confidence_interval
    assert found.estimate == pytest.approx(together.mean())
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.02)
    loose = bootstrap(lambda draws: together[draws].mean(axis=-1), 40, MANY)
    assert loose.high - loose.low > 5 * (found.high - found.low)
    with pytest.raises(ValueError, match="at least one"):
        stratified_bootstrap(lambda draws: draws[:, 0].astype(float), (2, 0))


def test_pairs_have_the_interval_that_scipy_finds_and_share_one_generator() -> None:
    data = np.random.default_rng(9).exponential(2, 30)

    def mean(draws: Draws) -> NDArray[np.float64]:
        return np.asarray(data[draws].mean(axis=-1))

    rng = np.random.default_rng(10)
    first, second = (paired_bootstrap(mean, 30, rng, MANY) for _ in range(2))
    known = stats.bootstrap(
        (data,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(11)
    ).confidence_interval
    assert (first.low, first.high) == pytest.approx((known.low, known.high), abs=0.03)
    assert first != second
    again = np.random.default_rng(10)
    assert [paired_bootstrap(mean, 30, again, MANY) for _ in range(2)] == [first, second]


@pytest.mark.parametrize("seed", range(4))
def test_flipped_signs_give_the_p_value_of_scipy(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.4 * seed, 1, 9)
    known = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=10_000
    ).pvalue
    assert sign_flip_p(values.tolist()) == pytest.approx(known)


def test_three_differences_cannot_be_beyond_chance() -> None:
    assert sign_flip_p([5.0, 6.0, 7.0]) == 0.25
    assert sign_flip_p([0.0, 0.0]) == 1.0
    assert sign_flip_p([4.0]) == 1.0
    for wrong in ([], [1.0] * 21):
        with pytest.raises(ValueError, match="can be flipped"):
            sign_flip_p(wrong)


def test_holm_adjusts_as_in_the_example_of_its_definition() -> None:
    """The smallest of four counts fourfold, the next threefold, and none falls below the last."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
