"""The expected best, by counting every draw; intervals by SciPy; the almost stochastic order."""

import itertools

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparing.statistics import expected_best as best
from hpsearch.comparing.statistics.effects import almost_stochastic_order, violation_ratio
from hpsearch.comparing.statistics.intervals import bca_interval, mean_interval, t_interval

SCORES = np.array([0.3, 0.9, 0.5, 0.5, 0.7])


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_dodge_2019_is_the_mean_over_all_draws_with_replacement(n: int) -> None:
    every = np.mean([max(draw) for draw in itertools.product(SCORES, repeat=n)])
    assert best.expected_best(SCORES, [n], estimator=best.WITH_REPLACEMENT)[0] == pytest.approx(every)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_tang_2020_is_the_mean_over_all_draws_without_replacement(n: int) -> None:
    every = np.mean([max(draw) for draw in itertools.combinations(SCORES, n)])
    assert best.expected_best(SCORES, [n], estimator=best.UNBIASED)[0] == pytest.approx(every)


def test_the_ends_of_the_curve() -> None:
    for estimator in best.ESTIMATORS:
        assert best.expected_best(SCORES, [1], estimator=estimator)[0] == pytest.approx(SCORES.mean())
    assert best.expected_best(SCORES, [5], estimator=best.UNBIASED)[0] == pytest.approx(0.9)
    many = np.random.default_rng(0).normal(size=3000)
    assert best.expected_best(many, [3000], estimator=best.UNBIASED)[0] == pytest.approx(many.max())


def test_never_past_the_trials_that_were_run() -> None:
    assert best.budgets(5) == [1, 2, 3, 4, 5]
    assert best.budgets(1) == [1]
    assert best.budgets(777)[-1] == 777
    assert best.budgets(777) == sorted(set(best.budgets(777)))
    with pytest.raises(ValueError, match="the best of 6 cannot be told from 5 trials"):
        best.best_weights(5, 6, estimator=best.UNBIASED)


def test_the_band_is_seeded_and_holds_the_curve() -> None:
    low, high = best.expected_best_band(SCORES, [1, 3], estimator=best.WITH_REPLACEMENT, seed=3)
    again, _ = best.expected_best_band(SCORES, [1, 3], estimator=best.WITH_REPLACEMENT, seed=3)
    curve = best.expected_best(SCORES, [1, 3], estimator=best.WITH_REPLACEMENT)
    assert np.all((low < curve) & (curve < high))
    assert np.array_equal(low, again)


def test_the_optimism_of_the_best() -> None:
    """Expected largest of n standard normals (Harter 1961): 0.56419 for 2, 1.53875 for 10, 1.96531 for 25."""
    assert [round(best.expected_maximum(n), 5) for n in (2, 10, 25)] == [0.56419, 1.53875, 1.96531]


@pytest.mark.parametrize("n", [10, 40])
def test_bca_is_scipys(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n)
    other = stats.bootstrap((values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(1))
    found = bca_interval(values, seed=0)
    width = found[1] - found[0]
    assert found == pytest.approx(tuple(other.confidence_interval), abs=0.03 * width)
    assert found == bca_interval(values, seed=0) != bca_interval(values, seed=1)
    assert found[1] - values.mean() > values.mean() - found[0]  # skewed to the right, as the values are


def test_few_values_have_a_t_interval() -> None:
    values = np.array([0.1, 0.2, 0.4])
    (low, high), how = mean_interval(values, seed=0)
    other = stats.ttest_1samp(values, 0).confidence_interval()
    assert ((low, high), how) == (pytest.approx((other.low, other.high)), "t")
    assert [mean_interval(np.arange(float(n)), seed=0)[1] for n in (10, 99, 100, 501)] == ["t", "t", "bca", "t"]
    assert t_interval(1.0, 0.5, 1e9) == pytest.approx((1 - 0.98, 1 + 0.98), abs=1e-4)


def test_violation_ratio() -> None:
    """N(0, 1) against N(m, s): counted on a fine grid of quantiles; 0 and 1 when one dominates."""
    assert violation_ratio(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0
    assert violation_ratio(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1
    assert violation_ratio(np.array([0.0, 4.0]), np.array([1.0, 3.0, 1.0, 3.0])) == pytest.approx(0.5)
    a, b = np.array([0.0, 3.0, 5.0]), np.array([1.0, 2.0, 2.5, 7.0, 0.5])
    grid = (np.arange(150_000) + 0.5) / 150_000
    at_a, at_b = (np.sort(each)[(grid * len(each)).astype(int)] for each in (a, b))
    expected = np.sum((at_a - at_b)[at_a < at_b] ** 2) / np.sum((at_a - at_b) ** 2)
    assert violation_ratio(a, b) == pytest.approx(expected, abs=1e-4)


def test_almost_stochastic_order_is_seeded_and_one_sided() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(2, 1, 20), generator.normal(0, 1, 20)
    assert almost_stochastic_order(a, b, level=0.95, seed=0) < 0.2
    assert almost_stochastic_order(b, a, level=0.95, seed=0) > 0.8
    assert almost_stochastic_order(a, b, level=0.95, seed=0) == almost_stochastic_order(a, b, level=0.95, seed=0)
