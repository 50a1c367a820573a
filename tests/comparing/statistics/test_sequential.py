"""The paired test that is looked at after each seed: its decisions, their order, their power."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from hpsearch.comparing.statistics.evidence import Assumption
from hpsearch.comparing.statistics.sequential import (
    Decision,
    Noise,
    Plan,
    ends,
    fewest_pairs,
    hopeless,
    judge,
    pooled_noise,
    power,
    smallest_found,
)
from hpsearch.records import Goal


def _plan(**changes: Any) -> Plan:
    return Plan(**{"level": 0.05, "goal": Goal.MAXIMIZE, "most": 10, **changes})


def _scores(effect: float, n: int = 10, *, seed: int = 0) -> tuple[list[float], list[float]]:
    champion, challenger = np.random.default_rng(seed).normal(0, 1, (2, n))
    return champion.tolist(), (challenger + effect).tolist()


def test_a_clear_winner_is_accepted_and_a_clear_loser_given_up_early() -> None:
    champion, challenger = _scores(6)
    won = judge(_plan(), champion, challenger)
    assert won.decision is Decision.ACCEPT
    assert won.decided_at is not None and won.decided_at <= 5  # noqa: PT018 - one claim
    assert won.evidence >= won.needed == pytest.approx(20)
    lost = judge(_plan(noise=Noise(1.0, 8.0)), champion, [each - 12 for each in challenger])
    assert (lost.decision, lost.decided_at) == (Decision.REJECT, 1)
    unknown = judge(_plan(), champion, [each - 12 for each in challenger])
    assert (unknown.decision, unknown.decided_at) == (Decision.REJECT, 2)  # one pair shows no spread


@pytest.mark.parametrize("noise", [None, Noise(1.0, 6.0)])
@pytest.mark.parametrize("assumes", Assumption)
def test_the_first_pairs_that_decide_stand_in_whatever_batches_they_come(
    noise: Noise | None, assumes: Assumption
) -> None:
    plan, decisions = _plan(noise=noise, assumes=assumes, give_up=0.02), set[Decision]()
    for seed, effect in itertools.product(range(4), (0.0, 1.5, 3.0, 6.0)):
        champion, challenger = _scores(effect, seed=seed)
        one_by_one = next(
            found
            for n in range(1, 11)
            if (found := judge(plan, champion, challenger[:n])).decision is not Decision.GO_ON
        )
        at_once = judge(plan, champion, challenger)
        decided = ("decision", "decided_at", "evidence", "reason")
        assert [getattr(at_once, each) for each in decided] == [getattr(one_by_one, each) for each in decided]
        decisions.add(at_once.decision)
    assert {Decision.ACCEPT, Decision.REJECT} <= decisions


def test_direction_unit_and_margin() -> None:
    champion, challenger = _scores(3, seed=2)
    found = judge(_plan(margin=0.5), champion, challenger)
    mirrored = judge(
        _plan(margin=0.5, goal=Goal.MINIMIZE), [-each for each in champion], [-each for each in challenger]
    )
    assert mirrored == found
    thousand = judge(_plan(margin=500.0), [1000 * each for each in champion], [1000 * each for each in challenger])
    assert thousand.evidence == pytest.approx(found.evidence)
    shifted = judge(_plan(), champion, [each - 0.5 for each in challenger])
    assert (shifted.decision, shifted.evidence) == (found.decision, pytest.approx(found.evidence))
    assert found.estimate == pytest.approx(np.mean(challenger) - np.mean(champion))


@pytest.mark.parametrize("assumes", Assumption)
def test_giving_up_accepts_nothing_that_would_not_be_accepted(assumes: Assumption) -> None:
    rows = np.random.default_rng(0).normal(1.5, 1.4, (400, 10))
    known = np.full((400, 1), 1.4)
    patient = ends(_plan(give_up=0.0, assumes=assumes, noise=Noise(1.0, 5.0)), rows, known=known)
    hasty = ends(_plan(give_up=0.3, assumes=assumes, noise=Noise(1.0, 5.0)), rows, known=known)
    assert not np.any(hasty.accepted & ~patient.accepted)
    assert hasty.pairs.mean() < patient.pairs.mean()
    assert hasty.given_up.any()


@pytest.mark.parametrize("changes", [{}, {"noise": Noise(1.0, 6.0)}, {"worth": 2.0}, {"assumes": Assumption.SYMMETRIC}])
def test_many_at_once_end_as_each_alone(changes: dict[str, Any]) -> None:
    plan, rows = _plan(margin=0.2, **changes), np.random.default_rng(5).normal(1.5, 1.4, (30, 10))
    found, repeated = ends(plan, rows), ends(plan, np.tile(rows, (20, 1)))  # by evidence, and by what it must reach
    assert repeated.accepted.tolist() == 20 * found.accepted.tolist()
    assert repeated.pairs.tolist() == 20 * found.pairs.tolist()
    for row, accepted, given_up, pairs in zip(rows, found.accepted, found.given_up, found.pairs, strict=True):
        alone = judge(plan, np.zeros(10).tolist(), row.tolist())
        assert (alone.decision is Decision.ACCEPT, alone.decision is Decision.REJECT) == (accepted, given_up)
        assert alone.decided_at == pairs


@pytest.mark.parametrize("measured", [1, 5])
def test_what_is_worth_finding_is_given_up_at_the_first_score_in_one_case_of_ten(measured: int) -> None:
    """Whatever the champion's noise turned out to be, and with how many scores it was measured."""
    generator, many, df = np.random.default_rng(3), 40_000, 6
    plan = _plan(noise=Noise(1.0, df), worth=2.0, measured=measured)
    champion, challenger = generator.normal(0, 1, (many, 10)), generator.normal(2, 1, (many, 10))
    known = np.sqrt(2 * generator.chisquare(df, (many, 1)) / df)
    lead = challenger[:, 0] - champion[:, :measured].mean(axis=1)
    flags = hopeless(plan, challenger - champion, known=known, lead=lead)
    assert flags[:, 0].mean() == pytest.approx(0.1, abs=0.005)


def test_a_champion_of_several_scores_shows_earlier_who_is_no_better() -> None:
    alone, several = (_plan(noise=Noise(1.0, 6.0), worth=3.0, measured=count) for count in (1, 5))
    assert power(several, 0.0).pairs < power(alone, 0.0).pairs - 0.05
    assert power(several, 3.0).accepted > power(alone, 3.0).accepted - 0.02
    champion = [0.0, 2.0, 2.1, 1.9, 2.0]
    assert judge(alone, champion, [1.5]).decision is Decision.GO_ON
    found = judge(several, champion, [1.5], measured=champion)
    assert (found.decision, found.decided_at) == (Decision.REJECT, 1)
    accepted = [judge(several, champion, [4.0, 6.0, 6.2, 5.9, 6.0], measured=own) for own in (champion, ())]
    assert accepted[0] == accepted[1]  # what is accepted follows from the pairs


def test_power_is_what_many_challenges_show_and_rises_with_the_effect() -> None:
    plan = _plan(noise=Noise(2.0, 20.0), most=12)
    target = smallest_found(plan)
    assert target is not None
    assert power(plan, target).accepted == pytest.approx(0.8, abs=0.02)
    patient = power(_plan(noise=Noise(2.0, 20.0), most=12, give_up=0.0), target)
    assert patient.accepted > 0.85  # who never gives up finds more
    found = [power(plan, effect) for effect in (-4.0, 0.0, target, 2 * target)]
    assert [each.accepted for each in found] == sorted(each.accepted for each in found)
    assert found[0].pairs < 1.2
    assert found[1].accepted <= 0.05
    assert found[3].accepted > 0.95
    assert all(each.accepted + each.rejected + each.undecided == pytest.approx(1) for each in found)
    with pytest.raises(ValueError, match="noise"):
        power(_plan(), 1.0)


def test_a_plan_that_can_never_accept_says_so_before_the_first_training() -> None:
    plan = _plan(level=1e-4, most=4)
    assert fewest_pairs(plan) is None
    found = judge(plan, [], [])
    assert (found.decision, found.decided_at, found.pairs) == (Decision.UNDECIDED, 0, 0)
    assert "4 pairs can never" in found.reason
    assert fewest_pairs(_plan(level=1e-4, most=20)) in range(5, 12)
    assert fewest_pairs(_plan(level=0.005, most=20, assumes=Assumption.SYMMETRIC)) in range(8, 11)


def test_odd_scores_get_a_sentence() -> None:
    constant = judge(_plan(), [1.0] * 6, [1.5] * 6)
    assert (constant.decision, constant.decided_at) == (Decision.UNDECIDED, 3)
    assert "use its seed" in constant.reason
    same = judge(_plan(), [1.0] * 6, [1.0] * 6)
    assert same.decision is Decision.REJECT
    diverged = judge(_plan(), [1.0, 1.2, 1.1], [1.5, math.nan])
    assert (diverged.decision, diverged.decided_at, diverged.pairs) == (Decision.REJECT, 2, 1)
    nothing = judge(_plan(), [1.0], [])
    assert (nothing.decision, nothing.estimate, nothing.pairs) == (Decision.GO_ON, None, 0)
    with pytest.raises(ValueError, match="champion"):
        judge(_plan(), [1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="champion"):
        judge(_plan(), [math.inf], [1.0])
    huge = judge(_plan(), [1e-12, 2e-12, 1.5e-12], [1e12, 1.1e12, 1.05e12])
    assert math.isfinite(huge.evidence)


@pytest.mark.parametrize("wrong", [{"level": 0.0}, {"margin": -1.0}, {"most": 0}, {"margin": 1.0, "worth": 1.0}])
def test_plans_that_no_test_keeps_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"level|margin"):
        _plan(**wrong)


def test_noise_is_pooled_within_configurations() -> None:
    found = pooled_noise([[1.0, 3.0], [10.0, 10.0, 13.0], [5.0], [math.nan, 2.0]])
    assert found == Noise((8 / 3) ** 0.5, 3.0)
    assert pooled_noise([[1.0], [2.0, 2.0], []]) is None
