"""Unpaired tests, effects, power, equivalence, adjustment against published examples and other programs."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from hpsearch.comparing.statistics import effects
from hpsearch.comparing.statistics import two_samples as unpaired
from hpsearch.comparing.statistics.adjustment import adjusted
from hpsearch.comparing.statistics.power import (
    paired_power,
    pairs_needed,
    runs_needed,
    unpaired_power,
)

SLEEP = (
    np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]),
    np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]),
)


def test_welch_on_sleep() -> None:
    """R's example t.test(extra ~ group, data = sleep) prints: t = -1.8608, df = 17.776, p-value = 0.07939."""
    found = unpaired.welch(*SLEEP)
    assert isinstance(found.df, float)
    assert (round(found.statistic, 4), round(found.df, 3), round(found.p, 5)) == (-1.8608, 17.776, 0.07939)


def test_hollander_and_wolfe_mann_whitney() -> None:
    """R's example wilcox.test from Hollander and Wolfe 1973, p. 69: W = 35, one-sided exact p = 0.1272."""
    x = np.array([0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46])
    y = np.array([1.15, 0.88, 0.90, 0.74, 1.21])
    found = unpaired.mann_whitney(x, y)
    assert (found.statistic, round(found.p / 2, 4)) == (35, 0.1272)


def test_mann_whitney_with_ties_is_the_count_of_all_deals() -> None:
    a, b = np.array([1.0, 2.0, 2.0, 5.0]), np.array([2.0, 3.0, 6.0, 6.0])
    both = np.concatenate([a, b])
    observed = abs(effects.cliffs_delta(a, b))
    deals = [
        effects.cliffs_delta(both[list(chosen)], np.delete(both, list(chosen)))
        for chosen in itertools.combinations(range(8), 4)
    ]
    expected = np.mean([abs(each) >= observed - 1e-12 for each in deals])
    assert unpaired.mann_whitney(a, b).p == pytest.approx(expected)


def test_the_smallest_p() -> None:
    """statistics: 3 against 3 gives 0.10 at least, 4 against 4 gives 0.029."""
    assert unpaired.smallest_rank_p(3, 3) == pytest.approx(0.1)
    assert round(unpaired.smallest_rank_p(4, 4), 3) == 0.029
    assert unpaired.mann_whitney(np.arange(4.0), np.arange(4.0) + 10).p == pytest.approx(unpaired.smallest_rank_p(4, 4))


def test_hedges_g_on_sleep() -> None:
    """Cohen's d of R's sleep data is -0.8322; Hedges 1981 corrects by about 1 - 3/(4 df - 1)."""
    found = effects.hedges_g(*SLEEP)
    a, b = SLEEP
    d = (a.mean() - b.mean()) / math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    assert round(d, 4) == -0.8322
    assert found.value == pytest.approx(d * (1 - 3 / (4 * 18 - 1)), abs=3e-4)
    low, high = (each / found.value * d * 5**0.5 for each in found.ci95)  # back to noncentralities
    assert stats.nct.sf(d * 5**0.5, 18, low) == pytest.approx(0.025, abs=1e-6)
    assert stats.nct.cdf(d * 5**0.5, 18, high) == pytest.approx(0.025, abs=1e-6)


def test_cliffs_delta_by_counting() -> None:
    a, b = np.array([1.0, 4.0, 4.0, 7.0]), np.array([0.0, 4.0, 5.0])
    count = sum(int(x > y) - int(x < y) for x in a for y in b)
    assert effects.cliffs_delta(a, b) == pytest.approx(count / 12)
    assert effects.cliffs_delta(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("holm", [0.03, 0.06, 0.06, 0.02]),
        ("hommel", [0.03, 0.04, 0.04, 0.02]),
        ("bh", [0.02, 0.04, 0.04, 0.02]),
        ("none", [0.01, 0.04, 0.03, 0.005]),
    ],
)
def test_adjustments_of_four(method: str, expected: list[float]) -> None:
    """R's p.adjust(c(.01, .04, .03, .005)): the order is kept."""
    assert adjusted([0.01, 0.04, 0.03, 0.005], method=method) == pytest.approx(expected)


def test_holm_keeps_values_with_their_tests_and_below_one() -> None:
    """deepsig 1.2.8 un-sorts with the wrong permutation: it gives [.06, .04, .06, .004] here."""
    assert adjusted([0.04, 0.001, 0.03, 0.02], method="holm") == pytest.approx([0.06, 0.004, 0.06, 0.06])
    assert adjusted([0.9, 0.8, 0.7], method="holm") == [1, 1, 1]


def test_toster_output() -> None:
    """R's TOSTER (Lakens 2017), TOSTtwo(38.97, 39.17, sd 8.05, 7.57, n 61, 64, bounds d = 0.3), prints:

    t(121.54) = 1.532, p = 0.064, equivalence bounds -2.344 and 2.344 on the raw scale.
    """
    parts = 8.05**2 / 61, 7.57**2 / 64
    df = sum(parts) ** 2 / (parts[0] ** 2 / 60 + parts[1] ** 2 / 63)
    margin = 0.3 * math.sqrt((8.05**2 + 7.57**2) / 2)
    assert (round(df, 2), round(margin, 3)) == (121.54, 2.344)
    assert round(unpaired.equivalence_p(38.97 - 39.17, sum(parts) ** 0.5, df, margin=margin), 3) == 0.064


def test_equivalence_is_the_90_percent_interval_within_the_margin() -> None:
    error, df, estimate = 0.01, 9.0, 0.004
    end = abs(estimate) + float(stats.t.ppf(0.95, df)) * error
    assert unpaired.equivalence_p(estimate, error, df, margin=end) == pytest.approx(0.05)
    assert unpaired.equivalence_p(-estimate, error, df, margin=end) == pytest.approx(0.05)


def test_cohen_1988_sample_sizes() -> None:
    """Cohen 1988, table 2.4.1: 64 a group for d = 0.5, 26 for 0.8, power 0.80 at 0.05 two-sided; pairs: 34 for 0.5."""
    assert [runs_needed(d, (1.0, 1.0), alpha=0.05, power=0.8) for d in (0.2, 0.5, 0.8)] == [394, 64, 26]
    assert pairs_needed(0.5, alpha=0.05, power=0.8) == 34
    assert pairs_needed(1e-4, alpha=0.05, power=0.8) is None


@pytest.mark.parametrize("effect", [0.3, 0.9, -1.4])
def test_power_agrees_with_statsmodels(effect: float) -> None:
    one, two = TTestPower(), TTestIndPower()
    assert paired_power(effect, 12, alpha=0.05) == pytest.approx(one.power(abs(effect), 12, 0.05), abs=1e-6)
    found = unpaired_power(3 * effect, (3.0, 3.0), (11, 11), alpha=0.01)
    assert found == pytest.approx(two.power(abs(effect), 11, 0.01), abs=1e-6)


@pytest.mark.parametrize(("spreads", "sizes"), [((1.0, 0.1), (3, 20)), ((1.0, 3.0), (12, 5)), ((2.0, 1.0), (4, 4))])
def test_power_with_unequal_variances_and_sizes(spreads: tuple[float, float], sizes: tuple[int, int]) -> None:
    """By simulation of Welch's t. A pooled deviation would promise 0.99 where three runs vary and twenty hardly do."""
    generator, times, difference = np.random.default_rng(0), 4_000, 1.8
    a, b = (generator.normal(0, spread, (times, size)) for spread, size in zip(spreads, sizes, strict=True))
    shown = float(np.mean(stats.ttest_ind(a + difference, b, axis=1, equal_var=False).pvalue <= 0.05))
    assert unpaired_power(difference, spreads, sizes, alpha=0.05) == pytest.approx(shown, abs=0.05)


@pytest.mark.parametrize(("effect", "n"), [(1.3, 50), (1.9, 50), (8.0, 3), (12.0, 20)])
def test_power_of_large_effects_is_that_of_the_near_tail(effect: float, n: int) -> None:
    """SciPy's noncentral t has no number for the far tail there; statsmodels leaves that tail out."""
    found = paired_power(effect, n, alpha=0.05)
    assert found == pytest.approx(TTestPower().power(effect, n, 0.05, alternative="larger"), abs=0.05)
    assert found == pytest.approx(1, abs=0.1)
