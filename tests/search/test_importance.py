import random
from dataclasses import replace

import optuna
import pytest

from hpsearch.experiment.reading import read_resolved
from hpsearch.records import ExperimentRecord, Goal, Monitor, Outcome, RunRecord, label
from hpsearch.search.importance import Numbers, Options, importance, range_of
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
    space, base = read_resolved(experiment.folder)["space"], "model.position.rope.base"
    values = [trial.params[base] for trial in experiment.record.ranked if base in trial.params]
    assert range_of(base, values, space) == Numbers(1e3, 1e5, log=True)
    assert range_of("model.layers", [2, 3], space) == Numbers(1, 8, whole=True)
    guessed = range_of(base, values, None)
    assert isinstance(guessed, Numbers)
    assert 1e3 < guessed.low < guessed.high < 1e5


SPACE = {"units": {"int": [1, 900], "log": True}}


def of_optuna(record: ExperimentRecord) -> dict[str, float]:
    """Shares by Optuna's own evaluator, of the same ranges."""
    trials = [trial for trial in record.trials if trial.value is not None]
    paths = dict.fromkeys(path for trial in trials for path in trial.params)
    tried = {path: [each.params[path] for each in trials if path in each.params] for path in paths}
    known = {path: range_of(path, values, SPACE) for path, values in tried.items()}
    distributions = {path: _distribution(each) for path, each in known.items()}
    study = optuna.create_study(direction=record.objective.goal.value)
    for trial in trials:
        params = {
            path: value if isinstance(known[path], Numbers) else label(value) for path, value in trial.params.items()
        }
        existing = {path: distributions[path] for path in params}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=existing, value=trial.value))
    quantile = min(0.5, max(0.1, 5 / len(trials)))
    found = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
    return {path: share / sum(found.values()) for path, share in found.items()}


def _distribution(known: Numbers | Options) -> optuna.distributions.BaseDistribution:
    if isinstance(known, Options):
        return optuna.distributions.CategoricalDistribution(known.labels)
    if known.whole:
        return optuna.distributions.IntDistribution(int(known.low), int(known.high), log=known.log)
    return optuna.distributions.FloatDistribution(known.low, known.high, log=known.log)


@pytest.mark.parametrize("goal", Goal)
@pytest.mark.parametrize("trials", [10, 11, 60, 400])
def test_optuna_says_the_same(trials: int, goal: Goal) -> None:
    generator = random.Random(trials)
    values: list[tuple[dict[str, object], float]] = []
    for _ in range(trials):
        kind = generator.choice(["a", "b", "c"])
        rate, width, layers = 10 ** generator.uniform(-5, 0), generator.uniform(1, 9), generator.randint(1, 4)
        params = {"kind": kind, "rate": rate, "width": width, "layers": layers, "units": generator.randint(1, 900)}
        params |= {"base": generator.random(), "list": [layers]} if kind == "a" else {}
        values.append((params, round(abs(rate - 0.01) + layers * (kind == "a") + width / 20, 1)))  # with ties
    found, expected = importance(made(values, goal=goal), SPACE), of_optuna(made(values, goal=goal))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


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
