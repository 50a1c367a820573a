"""What a design will be able to see, against statsmodels, PowerTOST's published examples and simulated studies."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from hpsearch.comparing.statistics.power import (
    equivalence_power,
    paired_power,
    pairs_needed,
    smallest_effect,
    smallest_margin,
)
from hpsearch.comparing.statistics.two_samples import corrected_t, equivalence_p

DRAWS = 4_000


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
@pytest.mark.parametrize("n", [3, 5, 10, 40])
def test_the_smallest_effect_has_its_power_by_statsmodels(n: int, alpha: float) -> None:
    effect = smallest_effect(n, alpha=alpha, power=0.8)
    assert TTestPower().power(effect, n, alpha) == pytest.approx(0.8, abs=1e-6)


def test_cohen_1988_backwards() -> None:
    """34 pairs are needed for 0.5 (test_unpaired): with 34 the smallest effect is just below it, with 33 above."""
    assert smallest_effect(34, alpha=0.05, power=0.8) < 0.5 < smallest_effect(33, alpha=0.05, power=0.8)


@pytest.mark.parametrize(("cv", "n", "expected"), [(0.3, 40, 0.8158453), (0.2, 20, 0.834680)])
def test_powertost_examples(cv: float, n: int, expected: float) -> None:
    """sampleN.TOST(CV, theta0=0.95, theta1=0.8, design="2x2") of the R package PowerTOST: n - 2 df, error s sqrt(2/n).

    With n - 1 pairs there are as many degrees of freedom; `test_to_train` makes up for the other error.
    """
    s = np.log(1 + cv**2) ** 0.5
    pairs = n - 1
    found = equivalence_power(
        np.log(1.25) / s, pairs, alpha=0.05, true=np.log(0.95) / s, test_to_train=2 / n - 1 / pairs
    )
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("n", "margin", "true"), [(3, 3.0, 0.0), (10, 1.0, 0.0), (10, 1.0, 0.4)])
def test_equivalence_of_simulated_studies(n: int, margin: float, true: float) -> None:
    values = np.random.default_rng(0).normal(true, 1.0, size=(DRAWS, n))
    means, errors = values.mean(axis=1), values.std(axis=1, ddof=1) / n**0.5
    shown = [
        equivalence_p(mean, error, n - 1, margin=margin) <= 0.05 for mean, error in zip(means, errors, strict=True)
    ]
    found = equivalence_power(margin, n, alpha=0.05, true=true)
    assert np.mean(shown) == pytest.approx(found, abs=4 * (found * (1 - found) / DRAWS) ** 0.5)


def test_with_many_pairs_equivalence_is_that_of_a_known_standard_deviation() -> None:
    reach = 0.06 * 10_000**0.5 - stats.norm.ppf(0.95)
    assert equivalence_power(0.06, 10_000, alpha=0.05) == pytest.approx(2 * stats.norm.cdf(reach) - 1, abs=1e-3)
    assert equivalence_power(1e-4, 5, alpha=0.05) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_smallest_margin_has_its_power(n: int) -> None:
    margin = smallest_margin(n, alpha=0.01, power=0.8)
    assert equivalence_power(margin, n, alpha=0.01) == pytest.approx(0.8)


def test_folds_are_seen_as_the_corrected_t_sees_them() -> None:
    """Differences with the correlation that Nadeau and Bengio assume: n_test / (n_test + n_train) = 1/k."""
    k, effect = 5, 1.5
    ratio = 1 / (k - 1)
    generator = np.random.default_rng(1)
    shared, own = generator.normal(size=(DRAWS, 1)), generator.normal(size=(DRAWS, k))
    differences = effect + (1 / k) ** 0.5 * shared + (1 - 1 / k) ** 0.5 * own
    seen = np.mean([corrected_t(row, test_to_train=ratio).p <= 0.05 for row in differences])
    # s estimates the spread without the shared part: that is what an effect is a multiple of
    found = paired_power(effect / (1 - 1 / k) ** 0.5, k, alpha=0.05, test_to_train=ratio)
    assert seen == pytest.approx(found, abs=4 * (found * (1 - found) / DRAWS) ** 0.5)
    assert found < paired_power(effect / (1 - 1 / k) ** 0.5, k, alpha=0.05)


def test_a_quarter_of_the_margin_needs_few_pairs() -> None:
    assert [pairs_needed(1 / sd, alpha=0.05, power=0.8) for sd in (0.5, 1, 2)] == [
        next(n for n in range(2, 99) if TTestPower().power(1 / sd, n, 0.05) >= 0.8) for sd in (0.5, 1, 2)
    ]
