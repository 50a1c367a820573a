"""Methods over data sets: Demsar's published example, SciPy, scikit-posthocs and baycomp."""

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparing.statistics import datasets

DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],  # printed as equal, but ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ]
)
"""Demsar 2006, table 6: AUC of C4.5, with m, with cf, with both, on 14 data sets."""


def test_demsar_2006() -> None:
    """Ranks 3.143, 2.000, 2.893, 1.964; chi-square 9.28 (ties not corrected), F(3, 39) 3.69; CD 1.25, at 0.10 1.12."""
    ranks = datasets.ranks_of(DEMSAR)
    assert ranks.mean(axis=0).round(3).tolist() == [3.143, 2.0, 2.893, 1.964]
    chi_square = datasets.friedman(ranks, tie_corrected=False)
    assert (round(chi_square.statistic, 2), chi_square.df) == (9.28, 3)
    f = datasets.iman_davenport(chi_square.statistic, 14, 4)
    assert f is not None
    assert (round(f.statistic, 2), f.df) == (3.69, (3, 39))
    assert round(datasets.nemenyi_distance(14, 4, alpha=0.05), 2) == 1.25
    assert round(datasets.nemenyi_distance(14, 4, alpha=0.10), 2) == 1.12


def test_ties_are_corrected_as_in_scipy() -> None:
    found, other = datasets.friedman(datasets.ranks_of(DEMSAR)), stats.friedmanchisquare(*DEMSAR.T)
    assert (found.statistic, found.p) == (pytest.approx(other.statistic), pytest.approx(other.pvalue))
    assert round(found.statistic, 4) == 10.2283  # R and Matlab, as SciPy's own tests quote them


def test_the_critical_difference_is_where_scikit_posthocs_finds_alpha() -> None:
    from scikit_posthocs import posthoc_nemenyi_friedman

    """Two methods whose ranks differ by the CD have p = alpha; here p crosses 0.05 where ranks cross it."""
    p_values = posthoc_nemenyi_friedman(DEMSAR).to_numpy()
    ranks = datasets.ranks_of(DEMSAR).mean(axis=0)
    distance = datasets.nemenyi_distance(14, 4, alpha=float(p_values[0, 3]))
    assert distance == pytest.approx(abs(ranks[0] - ranks[3]), abs=2e-3)


def test_all_alike_and_all_tied() -> None:
    same = datasets.ranks_of(np.tile([3.0, 2.0, 1.0], (5, 1)))
    assert datasets.friedman(same).statistic == pytest.approx(10)
    assert datasets.iman_davenport(10.0, 5, 3) is None
    assert datasets.friedman(datasets.ranks_of(np.ones((5, 3)))).p == 1


def test_cliques_overlap_and_none_lies_in_another() -> None:
    assert datasets.cliques([1.0, 3.2, 2.0, 2.1], 1.25) == [(0, 2, 3), (2, 3, 1)]
    assert datasets.cliques([1.0, 3.0], 1.0) == []


@pytest.mark.parametrize("rope", [0.0, 0.01])
def test_signed_ranks_are_baycomps(rope: float) -> None:
    import baycomp

    a, b = DEMSAR[:, 1], DEMSAR[:, 0]
    expected = baycomp.SignedRankTest.probs(b, a, rope, nsamples=datasets.SAMPLES, random_state=7)
    worse, within, better = datasets.signed_rank_rope(a - b, rope=rope, seed=7)
    assert ((worse, within, better) if rope else (worse, better)) == pytest.approx(expected, abs=2e-3)


def test_interquartile_mean() -> None:
    assert datasets.interquartile_mean(np.array([0.0, 1, 2, 3, 4, 5, 6, 100])) == pytest.approx(3.5)


def test_profile() -> None:
    shares = datasets.profile(np.array([0.1, 0.5, 0.9, 0.5]), np.array([0.0, 0.5, 0.6, 1.0]))
    assert shares.tolist() == [1, 0.75, 0.25, 0]
