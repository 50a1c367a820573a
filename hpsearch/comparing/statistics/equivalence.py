"""Equality shown instead of assumed: two one-sided tests against a margin."""

from scipy import stats


def equivalence_p(estimate: float, error: float, df: float, *, margin: float) -> float:
    """Return the larger p of the tests that the difference lies above -margin and below margin (Schuirmann 1987)."""
    above = stats.t.sf((estimate + margin) / error, df)
    below = stats.t.cdf((estimate - margin) / error, df)
    return float(max(above, below))
