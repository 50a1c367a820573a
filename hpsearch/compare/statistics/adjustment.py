"""p values of a family of tests, adjusted for their number."""

from collections.abc import Sequence

import numpy as np

_STATSMODELS = {"holm": "holm", "hommel": "hommel", "bh": "fdr_bh"}
ADJUSTMENTS = (*_STATSMODELS, "none")


def adjusted(p_values: Sequence[float], *, method: str) -> list[float]:
    """Return the adjusted p of each test in the given order, none above 1: `holm`, `hommel`, `bh` or `none`."""
    if method == "none" or len(p_values) < 2:
        return list(p_values)
    from statsmodels.stats.multitest import multipletests

    found = multipletests(np.asarray(p_values), method=_STATSMODELS[method])[1]
    return [min(1.0, float(p)) for p in found]
