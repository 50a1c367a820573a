"""Adjusted p values and the intervals that agree with them, against statsmodels, their papers and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from hpsearch.comparing.statistics.adjustment import Hold, adjusted, interval_rates, strictest_level
from hpsearch.comparing.statistics.power import data_sets_needed, pairs_needed, runs_needed, signed_rank_power

STATSMODELS = {"holm": "holm", "hommel": "hommel", "bh": "fdr_bh"}


@pytest.mark.parametrize("method", STATSMODELS)
@pytest.mark.parametrize("tests", [2, 3, 10, 28])
def test_adjusted_p_is_that_of_statsmodels(method: str, tests: int) -> None:
    p_values = np.random.default_rng(tests).beta(0.5, 2, tests)
    p_values[-1] = p_values[0]  # a tie
    expected = multipletests(p_values, method=STATSMODELS[method])[1]
    assert adjusted(list(p_values), method=method) == pytest.approx(expected)


@pytest.mark.parametrize("method", [*STATSMODELS, "none"])
def test_an_interval_excludes_0_just_where_the_adjusted_test_rejects(method: str) -> None:
    """Normal intervals of 800 families: |z| beyond the quantile of the rate, and p_adjusted at most alpha."""
    generator = np.random.default_rng(0)
    for _ in range(800):
        z = generator.normal(0, 2, generator.integers(1, 9))
        p = list(2 * stats.norm.sf(np.abs(z)))
        found = adjusted(p, method=method)
        rates = interval_rates(p, found, method=method, alpha=0.05)
        excludes = [abs(each) > stats.norm.isf(rate / 2) for each, (rate, _) in zip(z, rates, strict=True)]
        assert excludes == [each <= 0.05 for each in found]


def test_where_intervals_hold_together_and_where_only_their_step_decides() -> None:
    p = [0.001, 0.02, 0.9]
    rates = interval_rates(p, adjusted(p, method="holm"), method="holm", alpha=0.05)
    assert rates == [
        (pytest.approx(0.05 / 3), Hold.TOGETHER),
        (pytest.approx(0.05 / 2), Hold.STEP),  # Holm's second step
        (pytest.approx(0.05 / 3), Hold.TOGETHER),
    ]
    declared = interval_rates(p, adjusted(p, method="bh"), method="bh", alpha=0.05)
    assert declared == [(pytest.approx(2 * 0.05 / 3), Hold.DECLARED)] * 3  # two of three rejected
    assert interval_rates([0.02], [0.02], method="holm", alpha=0.01) == [(0.01, Hold.ALONE)]
    assert interval_rates(p, p, method="none", alpha=0.1) == [(0.1, Hold.ALONE)] * 3


def test_intervals_that_hold_together_miss_in_5_percent_of_families() -> None:
    """Five pairs of arms with large, small and no differences: simultaneous intervals that are marked as such."""
    generator, truth, times = np.random.default_rng(1), np.array([0.0, 0.0, 1.0, 3.0, 6.0]), 2_000
    missed = 0
    for _ in range(times):
        z = truth + generator.normal(size=5)
        p = list(2 * stats.norm.sf(np.abs(z)))
        rates = interval_rates(p, adjusted(p, method="holm"), method="holm", alpha=0.05)
        missed += any(
            abs(each - true) > stats.norm.isf(rate / 2)
            for each, true, (rate, holds) in zip(z, truth, rates, strict=True)
            if holds is Hold.TOGETHER
        )
    assert missed <= stats.binom.ppf(0.999, times, 0.05)


def test_intervals_after_bh_rarely_miss_among_those_declared() -> None:
    """Benjamini and Yekutieli 2005: the expected share of the intervals that exclude 0 and miss is at most alpha."""
    generator, truth, shares = np.random.default_rng(2), np.array([0.0] * 4 + [1.0, 2.0, 3.0, 4.0]), []
    for _ in range(1_500):
        z = truth + generator.normal(size=8)
        p = list(2 * stats.norm.sf(np.abs(z)))
        found = adjusted(p, method="bh")
        half = stats.norm.isf(interval_rates(p, found, method="bh", alpha=0.05)[0][0] / 2)
        declared = np.array(found) <= 0.05
        shares.append(np.mean(np.abs(z - truth)[declared] > half) if declared.any() else 0.0)
    assert np.mean(shares) <= 0.05 + 4 * np.std(shares) / len(shares) ** 0.5


@pytest.mark.parametrize("adjust", ["holm", "hommel", "bh", "none"])
@pytest.mark.parametrize(("tests", "effect"), [(6, 1.0), (15, 0.8)])
def test_the_pairs_needed_show_the_one_true_difference(adjust: str, tests: int, effect: float) -> None:
    """The seeds that a report asks for, simulated: one of the tests has the effect, the others none."""
    pairs = pairs_needed(effect, alpha=strictest_level(0.05, adjust, tests), power=0.8)
    assert pairs is not None
    times = 1_500
    values = np.random.default_rng(tests).normal(size=(times, tests, pairs))
    values[:, 0] += effect
    shown = sum(adjusted(row, method=adjust)[0] <= 0.05 for row in stats.ttest_1samp(values, 0, axis=2).pvalue.tolist())
    low, high = 0.8 - 4 * (0.16 / times) ** 0.5, 0.93  # a pair more than needed, and other tests that succeed
    assert low <= shown / times <= high


@pytest.mark.parametrize("spreads", [(1.0, 1.0), (1.0, 0.1), (1e-9, 2e-9)])
def test_the_runs_needed_of_two_unpaired_methods_show_the_difference(spreads: tuple[float, float]) -> None:
    level = strictest_level(0.05, "bh", 6)
    runs, times = runs_needed(1.2 * max(spreads), spreads, alpha=level, power=0.8), 3_000
    assert runs is not None
    values = np.random.default_rng(0).normal(size=(2, times, runs)) * np.reshape(spreads, (2, 1, 1))
    p = stats.ttest_ind(values[0] + 1.2 * max(spreads), values[1], axis=1, equal_var=False).pvalue
    assert np.mean(p <= level) == pytest.approx(0.82, abs=0.05)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3, 0.05 / 28])
@pytest.mark.parametrize("effect", [0.5, 1.2, 2.0, 3.0])
def test_the_data_sets_needed_are_enough_for_the_signed_ranks(alpha: float, effect: float) -> None:
    """Counted exactly: the critical sum of ranks from the distribution of all signs."""
    n, times = data_sets_needed(effect, alpha=alpha, power=0.8), 2_000
    assert n is not None
    power = signed_rank_power(effect, n, alpha=alpha)
    differences = np.random.default_rng(n).normal(effect, 1, (times, n))
    if n <= 50:
        found = stats.wilcoxon(differences, axis=1, method="exact").pvalue
    else:
        found = stats.wilcoxon(differences, axis=1, method="approx").pvalue
    simulated = np.mean(found <= alpha)
    assert simulated >= 0.8 - 4 * (0.16 / times) ** 0.5
    assert simulated == pytest.approx(power, abs=0.07)  # an approximation by the t's power
    pairs = pairs_needed(effect, alpha=alpha, power=0.8)
    assert pairs is not None
    assert n <= max(pairs * np.pi / 3, 1 - np.log2(alpha)) + 2


def test_too_few_data_sets_have_no_power_at_all() -> None:
    assert signed_rank_power(9.0, 5, alpha=0.05) == 0
    assert signed_rank_power(9.0, 6, alpha=0.05) > 0.99
    assert data_sets_needed(9.0, alpha=0.05, power=0.8) == 6
    assert data_sets_needed(1e-4, alpha=0.05, power=0.8) is None
