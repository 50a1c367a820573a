"""Paired tests against published examples, other programs and counting by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hpsearch.comparing.statistics import two_samples as paired
from hpsearch.comparing.statistics.arrays import is_constant, snapped

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


def test_hollander_and_wolfe_depression_scores() -> None:
    """R: wilcox.test(x, y, paired = TRUE, conf.int = TRUE), Hollander and Wolfe 1973, p. 29: V = 40, p = 0.03906.

    Its estimate is 0.46, the one at 0.95 of the 45 means; the 95% interval runs from the 6th to the 40th of them.
    """
    x = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    y = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    means = np.sort([(a + b) / 2 for a, b in itertools.combinations_with_replacement(x - y, 2)])
    assert paired.wilcoxon(x - y).p == pytest.approx(0.0390625)
    assert paired.hodges_lehmann(x - y) == pytest.approx(0.46)
    found = paired.signed_rank_interval(x - y, scale=3.14, level=0.95)
    assert found == pytest.approx((means[5], means[-6]))


@pytest.mark.parametrize("n", [6, 9, 13, 17, 25])
@pytest.mark.parametrize("digits", [1, 2, 9])
def test_the_interval_of_signed_ranks_holds_what_the_test_does_not_reject(n: int, digits: int) -> None:
    """By trying: a fine grid of differences is tested one by one, with ties and zeros and without."""
    differences = np.random.default_rng(n + digits).normal(0.3, 0.6, n).round(digits)
    low, high = paired.signed_rank_interval(differences, scale=1.0, level=0.95) or (math.nan, math.nan)
    assert low <= paired.hodges_lehmann(differences) <= high
    for place in np.linspace(-2, 2.7, 471) + 0.00123:  # beside the means of two differences, where all is plain
        kept = paired.wilcoxon(snapped(differences - place, scale=1.0)).p > 0.05
        assert kept == (low <= place <= high)


def test_five_pairs_have_no_interval_of_signed_ranks_and_six_have() -> None:
    assert paired.signed_rank_interval(np.arange(1.0, 6), scale=5.0, level=0.95) is None
    assert paired.signed_rank_interval(np.arange(1.0, 7), scale=6.0, level=0.95) == (1.0, 6.0)
    assert paired.signed_rank_interval(np.arange(1.0, 7), scale=6.0, level=0.97) is None


TIED = st.lists(st.integers(-3, 4), min_size=2, max_size=22).filter(lambda found: len(set(found)) > 1)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(TIED, st.sampled_from([0.95, 0.9, 0.99]), st.sampled_from([1.0, 1e-12, 1e12, 0.1]))
def test_the_interval_of_signed_ranks_excludes_0_where_the_test_rejects_it(
    tied: list[int], level: float, unit: float
) -> None:
    differences = np.array(tied) * unit
    found = paired.signed_rank_interval(differences, scale=8 * unit, level=level)
    rejected = paired.wilcoxon(np.array(tied, dtype=float)).p <= 1 - level
    if found is None:
        few = paired.smallest_sign_p(len(tied)) > 1 - level
        assert few != rejected
        return
    assert found[0] <= found[1]
    assert rejected == (not found[0] <= 0 <= found[1])
    mirrored = paired.signed_rank_interval(-differences, scale=8 * unit, level=level)
    assert mirrored == (-found[1], -found[0])


def test_an_end_at_0_is_0_whatever_rounding_has_left_of_it() -> None:
    """The mean of 0.4 - 0.3 and 0.4 - 0.5 is 3e-17: an interval from there on excludes a 0 that is not rejected."""
    differences = np.array([0.4, 0.8, 0.8, 0.8, 0.4, 0.4]) - np.array([0.3, *[0.5] * 5])
    assert paired.signed_rank_interval(differences, scale=0.8, level=0.8) == (0.0, pytest.approx(0.3))
    assert paired.signed_rank_interval(-differences, scale=0.8, level=0.8) == (pytest.approx(-0.3), 0.0)


def test_ranks_are_balanced_with_ties_averaged() -> None:
    """18 gains and 8 losses of one size: (18 - 8) times the average rank 13.5, in whatever order they come."""
    gains = np.array([0.01] * 18 + [-0.01] * 8)
    assert paired.rank_balance(gains) == paired.rank_balance(gains[::-1]) == 135
    assert paired.rank_balance(np.array([0.0, 0.0, 1.0])) == 3


def test_flips_do_not_depend_on_the_order_and_see_a_sum_of_0() -> None:
    values = np.random.default_rng(3).normal(0.3, 1, 24)
    assert (
        paired.sign_flip(values, seed=0) == paired.sign_flip(values[::-1], seed=0) == paired.sign_flip(-values, seed=0)
    )
    assert paired.sign_flip(np.array([0.1, 0.2, -0.3]), seed=0) == 1.0  # in doubles the sum is not 0
