"""Standardised differences at the ends of their ranges."""

import math

import pytest
from scipy import stats

from hpsearch.comparing.statistics.effects import noncentral_bounds


@pytest.mark.parametrize("df", [1, 4, 9, 50])
@pytest.mark.parametrize("statistic", [-2e6, -300.0, -10.0, 3.0, 100.0, 1000.0, 9e3, 1.1e4, 1e7])
def test_the_bounds_of_any_t_are_near_those_of_a_chi_variable(statistic: float, df: int) -> None:
    """t = (z + noncentrality) / sqrt(chi2 / df): for a large t the noncentrality is t sqrt(chi2 / df), but for z."""
    low, high = noncentral_bounds(statistic, df)
    ends = sorted(statistic * math.sqrt(stats.chi2.ppf(p, df) / df) for p in (0.025, 0.975))
    assert low < high
    assert low == pytest.approx(ends[0], abs=2.0, rel=1e-3)
    assert high == pytest.approx(ends[1], abs=2.0, rel=1e-3)
