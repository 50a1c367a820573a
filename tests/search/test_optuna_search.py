"""The brain of the search: replaying the log brings it to the very state it had, for every sampler and pruner."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from hpsearch.experiment.events import AskEvent, Event, OutcomeEvent, ReportEvent
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.space import Space
from hpsearch.testing.searching import made_up_space
from tests.toy_spaces import toy_space

GRID_DATA = "{choice: [1, 2, 3]}"


def space_for(folder: Path, sampler: str, pruner: str = "none", **more: Any) -> Space:
    if sampler != "grid":
        return toy_space(folder, sampler=sampler, pruner=pruner, **more)
    path = folder / "grid.yaml"
    text = f"""\
family: {Path(__file__).parents[1] / "toy_family.py"}:Toy
objective: {{metric: val/loss}}
search: {{sampler: grid, pruner: {pruner}}}
model: {{width: {{choice: [1, 2, 3]}}, start: {{float: [0, 1], step: 0.25}}}}
train: {{optimizer: {{choice: {{sgd: {{momentum: {{choice: [0.1, 0.2]}}}}, adamw: {{}}}}}}}}
"""
    path.write_text(text, encoding="utf-8")
    return load_space(path)


def loss(params: dict[str, Any], step: int) -> float:
    """A made-up learning curve that depends on every parameter."""
    rate = params.get("train.learning_rate", 0.1)
    return abs(rate - 0.05) + abs(params["model.start"]) + 1 / step + 0.01 * params["model.width"]


def drive(search: OptunaSearch, first: int, last: int) -> tuple[list[Event], list[Any]]:
    """Run trials first..last-1 one after another as the coordinator would; return the log and what was decided."""
    events: list[Event] = []
    decisions: list[Any] = []
    for number in range(first, last):
        params = search.ask(number)
        decisions.append(params)
        if params is None:
            break
        run = f"trials/{number:04d}"
        events.append(AskEvent(run=run, number=number, params=params, seed=1, **asdict(search.last_ask)))
        outcome, value = Outcome.COMPLETE, 0.0
        for step in range(1, 10):
            value = loss(params, step)
            events.append(ReportEvent(run=run, step=step, metric=value, value=value, at=step, seconds=float(step)))
            pruned = search.report(number, step, value)
            decisions.append(pruned)
            if pruned:
                outcome = Outcome.PRUNED
                break
        if number % 5 == 4:
            outcome = Outcome.DIVERGED
        if number % 7 == 6:
            outcome = Outcome.FAILED
        search.tell(number, outcome, value)
        events.append(OutcomeEvent(run=run, outcome=outcome, seconds=9.0, value=value))
    return events, decisions


def test_a_resumed_walk_through_the_grid_goes_on(tmp_path: Path) -> None:
    space = space_for(tmp_path, "grid", "asha")
    unbroken = drive(OptunaSearch(space), 0, 24)[1]
    events, first_half = drive(OptunaSearch(space), 0, 14)
    resumed = OptunaSearch(space)
    resumed.replay(events, runs={f"trials/{number:04d}": number for number in range(14)})
    assert first_half + drive(resumed, 14, 24)[1] == unbroken


@pytest.mark.parametrize("pruner", ["median", "percentile", "{asha: {minimum: 1}}", "hyperband"])
def test_pruners_prune(pruner: str, tmp_path: Path) -> None:
    space = space_for(tmp_path, "random", pruner)
    decisions = drive(OptunaSearch(space, longest=9), 0, 40)[1]
    assert any(decision is True for decision in decisions)


def test_the_median_rule_compares_values_of_the_same_step(tmp_path: Path) -> None:
    space = toy_space(tmp_path, pruner="{median: {startup: 3}}")
    search = OptunaSearch(space)
    for number, curve in enumerate([(0.1, 1.0), (0.2, 2.0), (0.3, 3.0)]):
        search.ask(number)
        for step, value in enumerate(curve, start=1):
            search.report(number, step, value)
        search.tell(number, Outcome.COMPLETE, curve[-1])
    search.ask(3)
    assert not search.report(3, 1, 0.2)  # the median at step 1 is 0.2
    assert not search.report(3, 2, 1.9)  # below the median of 2.0 at step 2, though far above every value of step 1
    search.ask(4)
    assert not search.report(4, 1, 0.05)  # good once ...
    assert search.report(4, 2, 2.5)  # ... does not save it: Optuna's rule would look at its best, 0.05


def test_a_threshold_prunes_on_leaving_the_bounds(tmp_path: Path) -> None:
    search = OptunaSearch(toy_space(tmp_path, pruner="{threshold: {upper: 5}}"))
    search.ask(0)
    assert not search.report(0, 1, 4.9)
    assert search.report(0, 2, 5.1)


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_infeasible_outcomes_keep_the_sampler_away(sampler: str, tmp_path: Path) -> None:
    space = toy_space(tmp_path, sampler=f"{{{sampler}: {{startup: 8}}}}", width="2")
    search = OptunaSearch(space)
    late: list[float] = []
    for number in range(24):
        params = search.ask(number)
        assert params is not None
        start = params["model.start"]
        search.tell(number, Outcome.COMPLETE if start < 0 else Outcome.OUT_OF_MEMORY, abs(start + 0.5))
        if number >= 12:
            late.append(start)
    assert sum(value < 0 for value in late) > 0.7 * len(late)


def test_the_grid_tries_each_allowed_configuration_once(tmp_path: Path) -> None:
    space = space_for(tmp_path, "grid")
    search = OptunaSearch(space)
    tried = []
    while (params := search.ask(len(tried))) is not None:
        tried.append(tuple(sorted(params.items())))
    assert len(tried) == len(set(tried)) == space.size == 3 * 5 * (2 + 1)


def test_a_finite_space_is_never_tried_twice(tmp_path: Path) -> None:
    space = space_for(tmp_path, "grid")
    path = tmp_path / "grid.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("sampler: grid", "sampler: random"), encoding="utf-8")
    search = OptunaSearch(load_space(path))
    asked = [search.ask(number) for number in range(46)]
    keys = {str(sorted(params.items())) for params in asked if params}
    assert len(keys) == space.size == 45
    assert asked[45] is None


def test_forbidden_configurations_are_replaced_before_they_cost_a_trial(tmp_path: Path) -> None:
    search = OptunaSearch(toy_space(tmp_path, sampler="tpe", more='require: ["model.start > 0.9"]'))
    starts = [search.ask(number)["model.start"] for number in range(12)]  # type: ignore[index]
    assert all(start > 0.9 for start in starts)


def test_start_configurations_come_first_and_are_completed(tmp_path: Path) -> None:
    search = OptunaSearch(toy_space(tmp_path, more="start: [{train.learning_rate: 1e-2}, {model.width: 3}]"))
    first, second = search.ask(0), search.ask(1)
    assert first is not None
    assert second is not None
    assert first["train.learning_rate"] == 0.01
    assert second["model.width"] == 3
    assert set(first) >= {"model.start", "model.width", "train.optimizer"}


def test_another_seed_is_another_search(tmp_path: Path) -> None:
    one = drive(OptunaSearch(toy_space(tmp_path, seed=0)), 0, 3)[1]
    other = drive(OptunaSearch(toy_space(tmp_path, seed=1)), 0, 3)[1]
    assert one != other


def test_trials_of_one_search_differ(tmp_path: Path) -> None:
    search = OptunaSearch(toy_space(tmp_path))
    starts = {search.ask(number)["model.start"] for number in range(10)}  # type: ignore[index]
    assert len(starts) == 10


@pytest.mark.parametrize("sampler", ["tpe", "auto", "nsga2", "random"])
@pytest.mark.parametrize("reports", [0, 3])
def test_a_stopped_trial_is_to_the_sampler_what_a_pruned_one_is(sampler: str, reports: int, tmp_path: Path) -> None:
    seen = []
    for outcome in (Outcome.STOPPED, Outcome.PRUNED):
        search = OptunaSearch(made_up_space(tmp_path, sampler=sampler, pruner="none"))
        search.ask(0)
        for step in range(1, reports + 1):
            search.report(0, step, 1 / step)
        search.tell(0, outcome, 1 / reports if reports else None)
        (trial,) = search._study.get_trials()
        seen.append((trial.state, trial.value, trial.intermediate_values))
    if reports:
        assert seen[0] == seen[1]
        assert seen[0][0] is TrialState.PRUNED
    else:
        assert seen[0][0] is TrialState.FAIL  # nothing was measured: nothing is to be learnt


def test_added_configurations_come_behind_the_starts_that_are_left(tmp_path: Path) -> None:
    rates = [{"train.rate": rate} for rate in (0.5, 0.25, 0.125)]
    search = OptunaSearch(replace(made_up_space(tmp_path, sampler="random", pruner="none"), start=tuple(rates[:2])))
    first = search.ask(0)
    search.add(rates[2])
    asked = [first, search.ask(1), search.ask(2), search.ask(3)]
    assert [params and params["train.rate"] for params in asked][:3] == [0.5, 0.25, 0.125]
    assert search.last_ask.start is None
