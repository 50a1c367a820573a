"""Intervals over examples, against another implementation and a closed form."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from hpsearch.comparing.statistics.intervals import resampled_intervals, wilson_interval


@pytest.mark.parametrize(("count", "n"), [(0, 5), (5, 5), (1, 7), (450, 500), (3, 1000)])
def test_wilson_is_that_of_statsmodels(count: int, n: int) -> None:
    low, high = proportion_confint(count, n, method="wilson")
    assert wilson_interval(count / n, n) == pytest.approx((low, high), abs=1e-12)


def test_the_bootstrap_of_a_mean_has_the_width_of_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = resampled_intervals(lambda weights: {"mean": float(weights @ values / weights.sum())}, 400, seed=0)
    low, high = found["mean"]
    error = values.std() / 20  # the bootstrap's own: without Bessel's correction
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.1 * error)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.06)
    assert found == resampled_intervals(lambda weights: {"mean": float(weights @ values / weights.sum())}, 400, seed=0)


def test_resamples_without_a_value_are_left_out() -> None:
    def scores(weights: np.ndarray) -> dict[str, float]:
        return {"share": float(weights[1] / weights[0]) if weights[0] else float("nan"), "never": float("nan")}

    found = resampled_intervals(scores, 2, seed=0)
    assert found.keys() == {"share"}
    assert found["share"] == (0.0, 1.0)
