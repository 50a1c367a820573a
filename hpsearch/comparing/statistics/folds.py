"""Tests of cross-validation folds. Their training sets overlap, so the differences are not independent."""

import numpy as np
from scipy import stats

from hpsearch.comparing.statistics.arrays import LEVEL, Array, Tested, two_sided_p


def corrected_t(differences: Array, *, test_to_train: float) -> Tested:
    """Return the corrected resampled t (Nadeau and Bengio 2003) of k folds times r repeats, with kr - 1 df.

    `test_to_train` is the number of test examples divided by that of training examples: 1/(k - 1) in k-fold
    cross-validation. The variance of the mean is s^2 (1/(kr) + test_to_train) instead of s^2/(kr).
    """
    n = len(differences)
    error = float(np.var(differences, ddof=1) * (1 / n + test_to_train)) ** 0.5
    statistic = float(np.mean(differences)) / error
    return Tested(statistic, float(n - 1), two_sided_p(statistic, n - 1), error)


def five_by_two_t(differences: Array) -> Tested:
    """Return Dietterich's (1998) 5x2cv t of an array (5 repeats, 2 folds): the first difference leads, 5 df."""
    error = float(np.mean(_variances(differences))) ** 0.5
    statistic = float(differences[0, 0]) / error
    return Tested(statistic, 5.0, two_sided_p(statistic, 5), error)


def five_by_two_f(differences: Array) -> Tested:
    """Return Alpaydin's (1999) combined 5x2cv F of an array (5 repeats, 2 folds), with 10 and 5 df."""
    statistic = float(np.sum(differences**2) / (2 * np.sum(_variances(differences))))
    return Tested(statistic, (10.0, 5.0), float(stats.f.sf(statistic, 10, 5)))


def five_by_two_interval(differences: Array, *, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the interval of the mean difference by Alpaydin's F, of an array (5 repeats, 2 folds).

    It holds every difference d that the F of `differences - d` does not reject, so that it excludes 0 exactly if p is
    below 1 - `level`. With S the sum of squares about the mean and V that about the repeats' means, F(d) is
    (S + 10 (mean - d)^2) / (2 V). None if the F rejects every d: the repeats differ by more than their folds do.
    """
    mean = float(np.mean(differences))
    limit = 2 * float(np.sum(_variances(differences))) * float(stats.f.isf(1 - level, 10, 5))
    square = (limit - float(np.sum((differences - mean) ** 2))) / differences.size
    return (mean - square**0.5, mean + square**0.5) if square >= 0 else None


def _variances(differences: Array) -> Array:
    centred = differences - differences.mean(axis=1, keepdims=True)
    variances: Array = np.sum(centred**2, axis=1)
    return variances


def correlated_rope(differences: Array, *, test_to_train: float, rope: float) -> tuple[float, float, float]:
    """Return P(difference < -rope), P(within), P(> rope) by the Bayesian correlated t (Corani and Benavoli 2015).

    `rope` is in the unit of the differences. With a rope of 0 nothing lies within.
    """
    from baycomp.single import Posterior

    n = len(differences)
    variance = float(np.var(differences, ddof=1)) * (1 / n + test_to_train)
    found = [float(each) for each in Posterior(float(np.mean(differences)), variance, n - 1, rope).probs()]
    return (found[0], 0.0, found[1]) if len(found) == 2 else (found[0], found[1], found[2])
