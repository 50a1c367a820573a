"""Paired tests against published examples, other programs and counting by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats

from hpsearch.compare.statistics import paired
from hpsearch.compare.statistics.arrays import is_constant, snapped

SLEEP = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) - np.array(
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)
"""Extra hours of sleep under two drugs (Student 1908; R's data set `sleep`)."""


def test_student_1908() -> None:
    """R prints for t.test(paired = TRUE): t = -4.0621, df = 9, p-value = 0.002833, interval -2.4598858 -0.7001142."""
    found = paired.paired_t(SLEEP)
    assert (round(found.statistic, 4), found.df, round(found.p, 6)) == (-4.0621, 9, 0.002833)


def test_demsar_2006_wilcoxon() -> None:
    """Demsar 2006, table 2: C4.5 with m against without on 14 data sets; R+ = 93, R- = 12, so T = 12."""
    differences = np.array(
        [0.005, -0.008, 0.017, 0.033, 0.006, -0.005, 0.007, 0.0, 0.063, 0.0, 0.022, 0.047, 0.009, 0.021]
    )
    found = paired.wilcoxon(differences)
    assert found.statistic == 12
    assert found.p < 0.05  # the critical value for alpha = 0.05 and 14 data sets is 21


def test_darwin_fisher_1935() -> None:
    """Fisher 1935, section 21: Darwin's 15 pairs of maize; 863 of 32,768 sums are as large.

    Differences in eighths of an inch; their sum is 314; two-sided p 5.267%.
    """
    darwin = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    assert paired.sign_flip(darwin, seed=0) == pytest.approx(2 * 863 / 32768, abs=1e-12)


def test_wilcoxon_tables() -> None:
    """Critical values of T, two-sided 0.05 (Wilcoxon and Wilcox 1964): 0 at n = 6, 8 at n = 10, 52 at n = 20."""
    for n, critical in ((6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (15, 25), (20, 52), (25, 89)):
        assert paired.wilcoxon(_with_rank_sum(n, critical)).p <= 0.05
        assert paired.wilcoxon(_with_rank_sum(n, critical + 1)).p > 0.05


def _with_rank_sum(n: int, negative: int) -> np.ndarray:
    """Return differences 1..n with signs such that the negative ranks sum to a number."""
    signs = np.ones(n)
    for rank in range(n, 0, -1):
        if rank <= negative:
            signs[rank - 1], negative = -1, negative - rank
    return signs * np.arange(1, n + 1)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_sign_flip_is_the_count_of_all_patterns(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.5, 1, n)
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=n)]
    expected = np.mean([each >= abs(differences.sum()) - 1e-12 for each in sums])
    assert paired.sign_flip(differences, seed=0) == pytest.approx(expected, abs=1e-15)


def test_many_pairs_are_sampled_by_the_seed_and_agree_with_scipy() -> None:
    differences = np.random.default_rng(1).normal(0.4, 1, 25)
    found = paired.sign_flip(differences, seed=0)
    assert found == paired.sign_flip(differences, seed=0) != paired.sign_flip(differences, seed=1)
    other = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=19_999, rng=np.random.default_rng(2)
    )
    assert found == pytest.approx(other.pvalue, abs=0.006)  # 4 standard errors of 20,000 draws
    assert paired.sign_flip(np.ones(40) + np.arange(40), seed=0) > 0


def test_wilcoxon_with_ties_and_zeros_is_exact() -> None:
    differences = np.array([1.0, 1.0, -1.0, 2.0, 0.0, 3.0, 3.0])
    other = stats.wilcoxon(differences, zero_method="zsplit", method=stats.PermutationMethod(n_resamples=100_000))
    found = paired.wilcoxon(differences)
    assert (found.statistic, found.p) == (pytest.approx(other.statistic), pytest.approx(other.pvalue))


@pytest.mark.parametrize("n", [12, 30, 80])
def test_wilcoxon_agrees_with_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    other = stats.wilcoxon(differences)
    found = paired.wilcoxon(differences)
    assert (found.statistic, found.p) == (pytest.approx(other.statistic), pytest.approx(other.pvalue))


def test_the_smallest_p() -> None:
    """statistics: 3 pairs 0.25, 5 pairs 0.0625, 6 pairs 0.03125; and one-sided samples really give it."""
    assert [paired.smallest_sign_p(n) for n in (1, 3, 5, 6)] == [1, 0.25, 0.0625, 0.03125]
    for n in (3, 5, 6, 10):
        assert paired.sign_flip(np.arange(1.0, n + 1), seed=0) == paired.smallest_sign_p(n)
        assert paired.wilcoxon(np.arange(1.0, n + 1)).p == paired.smallest_sign_p(n)


def test_d_z_and_its_interval() -> None:
    """Student's sleep data: d_z = 4.0621 / sqrt(10) = 1.2846. Its ends make the observed t a 2.5% event."""
    found = paired.d_z(-SLEEP)
    assert found.value == pytest.approx(1.28456, abs=5e-6)
    low, high = found.ci95
    assert stats.nct.sf(4.062128, 9, low * 10**0.5) == pytest.approx(0.025, abs=1e-6)
    assert stats.nct.cdf(4.062128, 9, high * 10**0.5) == pytest.approx(0.025, abs=1e-6)


def test_rounding_is_not_variance() -> None:
    differences = np.array([0.93, 0.83, 0.73, 0.63, 0.53]) - np.array([0.90, 0.80, 0.70, 0.60, 0.50])
    assert np.ptp(differences) > 0
    assert is_constant(differences, scale=0.93)
    assert len(set(snapped(differences, scale=0.93))) == 1
    assert not is_constant(np.array([0.03, 0.0301]), scale=0.93)
