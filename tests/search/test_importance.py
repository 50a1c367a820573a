import logging
import random
from dataclasses import replace

import optuna
import pytest

from hpsearch.experiment.reading import read_resolved
from hpsearch.records import ExperimentRecord, Goal, Monitor, Outcome, RunRecord
from hpsearch.search.importance import distribution_of, importance
from tests.experiment_factory import GrowingExperiment, grow_search


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> GrowingExperiment:
    growing = GrowingExperiment(tmp_path_factory.mktemp("experiments") / "curves")
    grow_search(growing, trials=40)
    return growing


def made(values: list[tuple[dict[str, object], float]], *, goal: Goal = Goal.MINIMIZE) -> ExperimentRecord:
    trials = tuple(
        RunRecord(f"trials/{number:04d}", number, params, seed=0, outcome=Outcome.COMPLETE, value=value)
        for number, (params, value) in enumerate(values)
    )
    return ExperimentRecord("made", "", "none", Monitor("val/loss", goal), "best", trials)


@pytest.mark.parametrize("known", [True, False])
def test_the_parameter_that_decides_is_found(experiment: GrowingExperiment, known: bool) -> None:
    space = read_resolved(experiment.folder)["space"] if known else None
    found = importance(experiment.record, space)
    assert next(iter(found)) == "train.learning_rate"
    assert found["train.learning_rate"] > 0.5
    assert sum(found.values()) == pytest.approx(1.0)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert found.keys() == {parameter.path for parameter in experiment.space.parameters}


def test_a_category_that_decides_is_found_in_either_direction() -> None:
    generator = random.Random(0)
    values = [
        (
            {"optimizer": name, "lists": [1, 2], "rate": generator.random()},
            float(name == "sgd") + generator.random() / 10,
        )
        for name in ["sgd", "adam"] * 10
    ]
    for goal in Goal:
        found = importance(made(values, goal=goal))
        assert next(iter(found)) == "optimizer"
        assert found["lists"] == 0.0


def test_a_parameter_of_one_option_counts_where_it_exists() -> None:
    generator = random.Random(0)
    values: list[tuple[dict[str, object], float]] = []
    for number in range(40):
        base = generator.random()
        params: dict[str, object] = (
            {"position": "rope", "position.rope.base": base} if number % 2 else {"position": "none"}
        )
        values.append((params, abs(base - 0.2) if number % 2 else 0.4))
    assert importance(made(values))["position.rope.base"] > 0.2


@pytest.mark.parametrize(("goal", "decides"), [(Goal.MINIMIZE, "low"), (Goal.MAXIMIZE, "high")])
def test_good_trials_are_good_by_the_goal(goal: Goal, decides: str) -> None:
    generator = random.Random(0)
    values: list[tuple[dict[str, object], float]] = []
    for _ in range(60):
        low, high = generator.random(), generator.random()
        values.append(({"low": low, "high": high}, (low > 0.2) + (high > 0.8) + generator.random() / 10))
    assert next(iter(importance(made(values, goal=goal)))) == decides


def test_ranges_are_those_of_the_space(experiment: GrowingExperiment) -> None:
    space, trials = read_resolved(experiment.folder)["space"], experiment.record.ranked
    found = {path: distribution_of(path, trials, space) for path in ("model.position.rope.base", "model.layers")}
    assert found["model.position.rope.base"] == optuna.distributions.FloatDistribution(1e3, 1e5, log=True)
    assert found["model.layers"] == optuna.distributions.IntDistribution(1, 8)
    guessed = distribution_of("model.position.rope.base", trials, None)
    assert isinstance(guessed, optuna.distributions.FloatDistribution)
    assert 1e3 < guessed.low < guessed.high < 1e5


def test_too_few_complete_trials_give_nothing(experiment: GrowingExperiment) -> None:
    complete = [trial for trial in experiment.record.trials if trial.outcome is Outcome.COMPLETE]
    others = [trial for trial in experiment.record.trials if trial.outcome is not Outcome.COMPLETE]
    assert importance(replace(experiment.record, trials=(*complete[:9], *others))) == {}
    assert importance(replace(experiment.record, trials=(*complete[:10], *others))) != {}


def test_values_that_are_not_finite_do_not_count() -> None:
    values: list[tuple[dict[str, object], float]] = [({"rate": 0.1 * number}, float("nan")) for number in range(20)]
    assert importance(made(values)) == {}


def test_nothing_is_said_where_no_parameter_varies() -> None:
    assert importance(made([({"rate": 0.1}, float(number)) for number in range(20)])) == {}


def test_optuna_is_left_as_it_was(experiment: GrowingExperiment) -> None:
    optuna.logging.set_verbosity(logging.WARNING)
    importance(experiment.record)
    assert optuna.logging.get_verbosity() == logging.WARNING
