"""All methods on all data sets at once: ranks, Friedman, Nemenyi's distance, profiles. Display only (rule 6)."""

from collections.abc import Sequence

import numpy as np

from hpsearch.comparing.arms import Arm
from hpsearch.comparing.comparison import AcrossDatasets, Omnibus, WinsTiesLosses
from hpsearch.comparing.question import SettledQuestion
from hpsearch.comparing.statistics.arrays import Array, size_of, snapped
from hpsearch.comparing.statistics.datasets import (
    cliques,
    friedman,
    iman_davenport,
    nemenyi_distance,
    profile,
    ranks_of,
)
from hpsearch.comparing.units import label, mean

MOST_THRESHOLDS = 200


def across_datasets(arms: Sequence[Arm], question: SettledQuestion) -> tuple[AcrossDatasets | None, list[str]]:
    """Return the ranks over the data sets that all methods have, and a warning for those that were left out."""
    tables = {arm.name: arm.cells for arm in arms if arm.observations}
    every = dict.fromkeys(key for table in tables.values() for key in table)
    shared = [key for key in every if all(key in table for table in tables.values())]
    if len(tables) < 2 or len(shared) < 2:
        return None, []
    left_out = [label(key) for key in every if key not in shared]
    warnings = [f"ranks are over the data sets of all methods; left out: {', '.join(left_out)}"] if left_out else []
    names = list(tables)
    values = np.array([[mean(tables[name][key].values()) for name in names] for key in shared])
    scores = question.sign * snapped(values, scale=size_of(values.ravel()))
    ranks = ranks_of(scores)
    n, k = ranks.shape
    chi_square = friedman(ranks)
    f = iman_davenport(chi_square.statistic, n, k)
    degrees = (float(k - 1), float((k - 1) * (n - 1)))
    averages = [float(each) for each in ranks.mean(axis=0)]
    distance = nemenyi_distance(n, k, alpha=question.alpha)
    if f is None:
        warnings.append("Iman and Davenport's F is infinite, because all data sets rank the methods alike")
    thresholds = np.quantile(np.unique(scores), np.linspace(0, 1, min(MOST_THRESHOLDS, scores.size)))
    found = AcrossDatasets(
        average_ranks=dict(zip(names, averages, strict=True)),
        friedman=Omnibus(chi_square.statistic, k - 1, chi_square.p),
        iman_davenport=Omnibus(None, degrees, None) if f is None else Omnibus(f.statistic, degrees, f.p),
        nemenyi_cd=distance,
        wins_ties_losses={name: _wins(scores, index) for index, name in enumerate(names)},
        datasets=tuple(label(key) for key in shared),
        values={name: tuple(values[:, index].tolist()) for index, name in enumerate(names)},
        cliques=tuple(tuple(names[index] for index in group) for group in cliques(averages, distance)),
        thresholds=tuple((question.sign * thresholds).tolist()),
        profiles={name: tuple(profile(scores[:, index], thresholds).tolist()) for index, name in enumerate(names)},
    )
    return found, warnings


def _wins(scores: Array, method: int) -> WinsTiesLosses:
    others = np.delete(scores, method, axis=1)
    own = scores[:, [method]]
    return WinsTiesLosses(int(np.sum(own > others)), int(np.sum(own == others)), int(np.sum(own < others)))
