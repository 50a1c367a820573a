import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from hpsearch.families.decode.localisation import AXIAL_GATE, LATERAL_GATE, Tally, efficiency, match


def places(*rows):
    return np.array(rows, dtype=float).reshape(-1, 3)


def scored(found, true):
    tally = Tally()
    tally.add(found, true)
    return tally.scores()


def test_the_nearest_pair_comes_first():
    """0 is nearer to B than 1 is, but 1 has nobody else within reach: greedy leaves 1 alone."""
    found, true = places((0, 0, 0), (200, 0, 0)), places((-240, 0, 0), (60, 0, 0))
    assert [part.tolist() for part in match(found, true)] == [[0], [1]]


def test_both_gates_must_be_kept():
    true = places((0, 0, 0))
    for found, pairs in (((250, 0, 0), 1), ((251, 0, 0), 0), ((180, 180, 0), 0), ((0, 0, 500), 1), ((0, 0, 501), 0)):
        assert len(match(places(found), true)[0]) == pairs, found


def test_nobody_is_matched_twice():
    ours, theirs = match(places((0, 0, 0), (10, 0, 0), (20, 0, 0)), places((12, 0, 0)))
    assert (ours.tolist(), theirs.tolist()) == ([1], [0])


@pytest.mark.parametrize("seed", range(20))
def test_greedy_is_within_the_bounds_of_the_best_assignment(seed):
    """At most as many pairs as the largest assignment within the gates, and at least half of them."""
    generator = np.random.default_rng(seed)
    found, true = (generator.uniform(0, 1200, (count, 3)) for count in (14, 17))
    difference = found[:, None] - true
    within = (np.hypot(*np.moveaxis(difference[..., :2], -1, 0)) <= 250) & (np.abs(difference[..., 2]) <= 500)
    largest = within[linear_sum_assignment(-within.astype(float))].sum()
    ours, theirs = match(found, true)
    assert within[ours, theirs].all()
    assert len(set(ours)) == len(set(theirs)) == len(ours)
    assert largest / 2 <= len(ours) <= largest


def test_an_example_by_hand():
    """Two frames; three of four molecules found, one invention: errors (30, 40, 60), (0, 0, 0), (0, 0, -120) nm."""
    tally = Tally()
    tally.add(places((130, 140, 160), (900, 900, 0)), places((100, 100, 100), (900, 900, 0)))
    tally.add(places((500, 500, 380), (0, 0, 0)), places((500, 500, 500), (0, 900, 0)))
    scores = tally.scores()
    assert scores["precision"] == scores["recall"] == scores["f1"] == 3 / 4
    assert scores["jaccard"] == 3 / 5
    assert scores["rmse_lateral"] == pytest.approx((2500 / 3) ** 0.5)
    assert scores["rmse_axial"] == pytest.approx(((3600 + 14400) / 3) ** 0.5)
    assert scores["rmse_volume"] == pytest.approx((20500 / 3) ** 0.5)
    lateral = 1 - (40**2 + 2500 / 3) ** 0.5 / 100
    axial = 1 - (40**2 + 0.25 * 6000) ** 0.5 / 100
    assert scores["efficiency_lateral"] == pytest.approx(lateral)
    assert scores["efficiency_axial"] == pytest.approx(axial)
    assert scores["efficiency"] == pytest.approx((lateral + axial) / 2)


def test_the_limits():
    true = places((100, 100, 100), (900, 900, 0))
    perfect, silent = scored(true, true), scored(places(), true)
    assert [perfect[name] for name in ("jaccard", "f1", "efficiency", "rmse_volume")] == [1, 1, 1, 0]
    assert [silent[name] for name in ("jaccard", "precision", "recall")] == [0, 0, 0]
    assert (silent["rmse_lateral"], silent["rmse_axial"]) == (LATERAL_GATE, AXIAL_GATE)
    assert scored(places(), places())["jaccard"] == 0
    assert efficiency(1.0, 0.0) == 1
    assert efficiency(0.0, 0.0) == 0
