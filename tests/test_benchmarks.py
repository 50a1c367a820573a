"""The benchmarks that others rely on run, at a size that says nothing."""

import pytest

from tests.benchmarks import race, referee, ten_thousand_trials


@pytest.mark.slow
def test_the_costs_of_a_growing_experiment_are_found() -> None:
    kinds = [("none", "random"), ("median", "random")]
    found = ten_thousand_trials.table([5, 10], kinds)
    names = ("resume, s", "ask, ms", "report, ms", "memory, MB")
    assert found.keys() == {
        *("show, s", "hpsearch.open, s"),
        *(f"{pruner}, {sampler}: {name}" for pruner, sampler in kinds for name in names),
    }
    assert all(len(values) == 2 and min(values) > 0 for values in found.values())


@pytest.mark.slow
def test_the_referee_keeps_its_error_rate_and_greedy_does_not() -> None:
    truth = [referee.world(12, "normal") for _ in range(3)]
    rules = (referee.greedy, referee.fixed_seeds, lambda each: referee.referee(each, referee.Budget(), worth=4.0))
    greedy, fixed, ours = (rule(own) for rule, own in zip(rules, truth, strict=True))
    effects = truth[0].effects
    false = [float((found.won & (effects <= 0)).sum(axis=1).mean()) for found in (greedy, fixed, ours)]
    assert false[0] > 5 > false[1] > 0.2 > false[2]
    assert ours.trainings.mean() < 0.36 * fixed.trainings.mean()
    assert ours.won[effects == referee.LARGE].mean() > 0.8
    assert float((greedy.quoted - greedy.true).mean()) > 1 > abs(float((ours.quoted - ours.true).mean())) * 2
    assert len(list(referee.error_table(50))) == 2 + len(referee.EQUALS) + len(referee.UNEQUAL)


@pytest.mark.slow
def test_a_race_is_played_on_recorded_and_on_simulated_noise() -> None:
    problems = [race.looked_up(race.recorded()[-1]), race.simulated(0.3)]
    found = [race.regrets(each, sampler="random", repetitions=3, trainings=20) for each in problems]
    assert all(arms.keys() == race.ARMS.keys() and min(arms["race to 5"]) >= 0 for arms in found)
    assert race.row("a bowl", found[1]).count("|") == len(race.ARMS) + len(race.RACES) + 2
