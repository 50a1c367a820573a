"""Folds: the corrected t by hand and by baycomp, the 5x2cv tests by their papers' formulas."""

import numpy as np
import pytest
from baycomp import CorrelatedTTest
from scipy import stats

from hpsearch.comparing.statistics import two_samples as folds

DIFFERENCES = np.array([0.012, 0.034, -0.004, 0.021, 0.017, 0.009, 0.028, -0.011, 0.016, 0.020])


def test_nadeau_bengio_by_hand() -> None:
    """Ten-fold cross-validation: t = mean / (s sqrt(1/10 + 1/9)), 9 df."""
    mean, s = 0.0142, np.sqrt(np.sum((DIFFERENCES - 0.0142) ** 2) / 9)
    found = folds.corrected_t(DIFFERENCES, test_to_train=1 / 9)
    assert found.statistic == pytest.approx(mean / (s * np.sqrt(0.1 + 1 / 9)))
    assert found.df == 9
    naive = stats.ttest_1samp(DIFFERENCES, 0)
    assert found.statistic == pytest.approx(naive.statistic / np.sqrt(1 + 10 / 9))  # what the correction takes away


def test_corrected_t_of_uncorrelated_samples_is_student() -> None:
    naive = stats.ttest_1samp(DIFFERENCES, 0)
    found = folds.corrected_t(DIFFERENCES, test_to_train=0)
    assert (found.statistic, found.p) == (pytest.approx(naive.statistic), pytest.approx(naive.pvalue))


@pytest.mark.parametrize("runs", [1, 2])
def test_baycomp_estimates_the_same(runs: int) -> None:
    """Corani and Benavoli's posterior has the corrected t's mean, error and df: P(worse) is its one-sided p."""
    mean, variance, df = CorrelatedTTest.compute_statistics(np.zeros(10), DIFFERENCES, runs)
    ratio = 1 / (10 / runs - 1)
    found = folds.corrected_t(DIFFERENCES, test_to_train=ratio)
    assert found.error == pytest.approx(variance**0.5)
    worse, within, better = folds.correlated_rope(DIFFERENCES, test_to_train=ratio, rope=0)
    assert (worse, within, worse + better) == (pytest.approx(found.p / 2), 0, pytest.approx(1))
    rope = folds.correlated_rope(DIFFERENCES, test_to_train=ratio, rope=0.01)
    assert rope == pytest.approx(CorrelatedTTest.probs(np.zeros(10), DIFFERENCES, 0.01, runs))
    assert df == found.df
    assert mean == pytest.approx(DIFFERENCES.mean())


def test_five_by_two_by_their_papers() -> None:
    """Dietterich 1998: t = p_11 / sqrt(sum s_i^2 / 5), 5 df. Alpaydin 1999: F = sum p^2 / (2 sum s_i^2), 10 and 5 df.

    By hand: s_i^2 = (p1 - p2)^2 / 2 = .5, .5, 2, 0, 2, in sum 5; the sum of p^2 is 5 + 1 + 10 + 2 + 10 = 28.
    """
    square = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 3.0], [1.0, 1.0], [3.0, 1.0]])
    expected_f = 28 / (2 * 5)
    t, f = folds.five_by_two_t(square), folds.five_by_two_f(square)
    assert (t.statistic, t.df) == (pytest.approx(1.0), 5)
    assert (f.statistic, f.df) == (pytest.approx(expected_f), (10, 5))
    assert f.p == pytest.approx(stats.f.sf(expected_f, 10, 5))
    scaled = folds.five_by_two_f(square * 7)
    assert scaled.p == pytest.approx(f.p)  # the unit of the metric changes nothing


@pytest.mark.parametrize(
    ("right", "t", "t_p", "f", "f_p"),
    [
        ([[-3, -2], [1, -3], [-2, 0], [-1, -2], [2, -2]], -1.539, 0.184, 1.053, 0.509),
        ([[21, 24], [24, 19], [22, 31], [22, 21], [25, 19]], 5.386, 0.003, 34.934, 0.001),
    ],
    ids=["logistic regression and tree", "logistic regression and stump"],
)
def test_five_by_two_as_mlxtend_prints_it(right: list[list[int]], t: float, t_p: float, f: float, f_p: float) -> None:
    """Its guides to paired_ttest_5x2cv and combined_ftest_5x2cv print these four figures for Fisher's irises.

    `right`: how many more of the 75 test flowers logistic regression (one against the rest, liblinear) got right than
    the tree, with the guide's splits, as scikit-learn 1.9 gives them.
    """
    square = np.array(right) / 75
    by_t, by_f = folds.five_by_two_t(square), folds.five_by_two_f(square)
    found = by_t.statistic, by_t.p, by_f.statistic, by_f.p
    assert [round(each, 3) for each in found] == [t, t_p, f, f_p]


def test_the_interval_of_the_f_ends_where_the_f_rejects() -> None:
    square = np.array([[-3, -2], [1, -3], [-2, 0], [-1, -2], [2, -2]]) / 75
    low, high = folds.five_by_two_interval(square) or (0.0, 0.0)
    assert low < square.mean() < high
    assert [folds.five_by_two_f(square - end).p for end in (low, high)] == [pytest.approx(0.05)] * 2
    for difference in np.linspace(low - 0.05, high + 0.05, 23):
        assert (low < difference < high) == (folds.five_by_two_f(square - difference).p > 0.05)


def test_the_f_has_no_interval_where_repeats_differ_more_than_folds() -> None:
    square = np.array([[2.0, 2.1], [-2.0, -2.1], [1.0, 1.1], [-1.0, -1.1], [0.0, 0.1]])
    assert folds.five_by_two_interval(square) is None
    assert all(folds.five_by_two_f(square - d).p < 0.05 for d in np.linspace(-3, 3, 61))
