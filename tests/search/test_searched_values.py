"""What the search proposes: exact values, each configuration once, first the lines of `start`; and what it is told."""

import itertools
import json
import math
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.events import UNTOLD, AskEvent, Event, OutcomeEvent, ReportEvent
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.samplers import SAMPLERS
from hpsearch.space import Space

SLOW = {"gp": pytest.mark.slow}
EVERY = [pytest.param(name, marks=SLOW.get(name, ())) for name in sorted(SAMPLERS)]
STEPPED = {
    "a": ("0.1", "0.9", "0.1"),
    "b": ("-0.3", "0.3", "0.1"),
    "c": ("0.05", "0.65", "0.15"),
    "d": ("0", "3e-3", "1e-4"),
}


def program_space(
    folder: Path, model: str, *, sampler: str = "random", goal: str = "minimize", pruner: str = "none", more: str = ""
) -> Space:
    path = folder / "space.yaml"
    path.write_text(
        f"""\
family: command
objective: {{metric: loss, goal: {goal}}}
search: {{sampler: {sampler}, pruner: {pruner}, trials: 100}}
command: python3 train.py {{config}}
model: {model}
{more}
""",
        encoding="utf-8",
    )
    return load_space(path)


def stepped_space(folder: Path, names: str = "abcd", **more: Any) -> Space:
    ranges = [f"{name}: {{float: [{low}, {high}], step: {step}}}" for name, (low, high, step) in STEPPED.items()]
    return program_space(folder, "{" + ", ".join(each for each in ranges if each[0] in names) + "}", **more)


def tried(search: OptunaSearch, numbers: range, log: list[Event] | None = None) -> list[dict[str, Any]]:
    """Ask and tell trials as the coordinator would; the log gets their events."""
    found = []
    for number in numbers:
        params = search.ask(number)
        if params is None:
            break
        found.append(params)
        value = sum(value for value in params.values() if isinstance(value, float))
        asked, run = search.last_ask, f"trials/{number:04d}"
        search.report(number, 1, value)
        search.tell(number, Outcome.COMPLETE, value)
        if log is not None:
            log.append(AskEvent(run=run, number=number, params=params, seed=1, **asdict(asked)))
            log.append(ReportEvent(run=run, step=1, metric=value, value=value, at=1, seconds=1.0))
            log.append(OutcomeEvent(run=run, outcome=Outcome.COMPLETE, seconds=1.0, value=value))
    return found


def resumed(space: Space, log: list[Event]) -> OptunaSearch:
    search = OptunaSearch(space)
    search.replay(log, runs={event.run: event.number for event in log if isinstance(event, AskEvent)})
    return search


# Numbers on steps


@pytest.mark.parametrize("sampler", EVERY)
def test_every_number_on_a_step_is_a_decimal(sampler: str, tmp_path: Path) -> None:
    names = "ab" if sampler in ("grid", "gp") else "abcd"
    space = stepped_space(tmp_path, names, sampler=sampler)
    for params in tried(OptunaSearch(space), range(14 if sampler == "gp" else 25)):
        for path, value in params.items():
            low, _, step = map(Decimal, STEPPED[path[-1]])
            index = (Decimal(repr(value)) - low) / step
            assert index == int(index), f"{path} is {value!r}"
            assert json.loads(json.dumps(space.config(params).model_dump(mode="json")))["model"][path[-1]] == value


@pytest.mark.parametrize("sampler", [each for each in EVERY if each.values[0] != "gp"])
def test_a_finite_space_is_tried_wholly_and_once(sampler: str, tmp_path: Path) -> None:
    start = "start: [{model.a: 0.3}, {model.a: 0.30000000000000004}, {model.a: 0.7}]"
    space = stepped_space(tmp_path, "a", sampler=sampler, more=start)
    values = [params["model.a"] for params in tried(OptunaSearch(space), range(20))]
    assert values[:2] == [0.3, 0.7]
    assert sorted(values) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_a_requirement_sees_the_decimal(tmp_path: Path) -> None:
    space = stepped_space(tmp_path, "a", sampler="tpe", more='require: ["model.a != 0.3", "model.a != 0.7"]')
    values = [params["model.a"] for params in tried(OptunaSearch(space), range(20))]
    assert sorted(values) == [0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9]


def test_an_older_log_with_a_rounding_error_is_the_same_configuration(tmp_path: Path) -> None:
    space = stepped_space(tmp_path, "a", sampler="random")
    old: list[Event] = [
        AskEvent(run="trials/0000", number=0, params={"model.a": 0.30000000000000004}, seed=1),
        OutcomeEvent(run="trials/0000", outcome=Outcome.COMPLETE, seconds=1.0, value=1.0),
    ]
    values = [params["model.a"] for params in tried(resumed(space, old), range(1, 20))]
    assert sorted(values) == [0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_what_is_left_of_a_large_space_is_found(tmp_path: Path) -> None:
    space = program_space(tmp_path, "{a: {int: [1, 40]}, b: {int: [1, 40]}}", more='require: ["model.a <= 2"]')
    search = OptunaSearch(space)
    every = {(a, b) for a in (1, 2) for b in range(1, 41)}
    assert {tuple(params.values()) for params in tried(search, range(200))} == every


# Infeasible trials


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.parametrize("offset", [-1000.0, 0.0, 1000.0])
@pytest.mark.parametrize("sampler", EVERY)
def test_nothing_good_is_told_of_an_infeasible_trial(sampler: str, offset: float, goal: str, tmp_path: Path) -> None:
    space = stepped_space(tmp_path, "ab", sampler=sampler, goal=goal)
    search = OptunaSearch(space)
    ends = [
        Outcome.DIVERGED,
        Outcome.OUT_OF_MEMORY,
        Outcome.TIMED_OUT,
        Outcome.COMPLETE,
        Outcome.DIVERGED,
        Outcome.COMPLETE,
    ]
    for number, outcome in enumerate(ends):
        search.ask(number)
        search.tell(number, outcome, offset + number if outcome is Outcome.COMPLETE else None)
    told = [trial.value for trial in search._study.trials if trial.value is not None]
    good = [value for value in told if math.isfinite(value)]
    assert sorted(good) == [offset + 3, offset + 5]
    assert all(space.objective.goal.better(value, than=bad) for value in good for bad in set(told) - set(good))
    assert len(told) in (2, 6)


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
def test_a_search_that_begins_badly_leaves_the_bad_part(goal: str, sign: int, tmp_path: Path) -> None:
    """Half of the space diverges, the first trials do so for certain, and every value is worse than 0."""
    late = 0
    for seed in range(4):
        model = "{a: {float: [0, 1]}, b: {float: [0, 1]}}"
        more = "start: [{model.a: 0.9, model.b: 0.5}, {model.a: 0.8, model.b: 0.4}, {model.a: 0.95, model.b: 0.6}]"
        space = program_space(tmp_path, model, sampler="cmaes", goal=goal, more=more)
        search = OptunaSearch(replace(space, search=space.search.model_copy(update={"seed": seed})))
        for number in range(40):
            params = search.ask(number)
            assert params is not None
            bad = params["model.a"] > 0.5
            value = sign * (1 + (params["model.a"] - 0.2) ** 2 + (params["model.b"] - 0.2) ** 2)
            search.tell(number, Outcome.DIVERGED if bad else Outcome.COMPLETE, None if bad else value)
            late += bad and number >= 20
    assert late <= 8  # of 80


def test_tpe_does_not_take_the_least_bad_for_good(tmp_path: Path) -> None:
    """As long as no trial has come to a value it draws as the random sampler does."""
    found = {}
    for sampler in ("{tpe: {startup: 5}}", "random"):
        search = OptunaSearch(program_space(tmp_path, "{a: {float: [0, 1]}, b: {choice: [x, y]}}", sampler=sampler))
        found[sampler] = []
        for number in range(20):
            found[sampler].append(search.ask(number))
            search.tell(number, Outcome.OUT_OF_MEMORY, None)
    assert found["{tpe: {startup: 5}}"] == found["random"]


# The lines of `start`

MODEL = "{x: {float: [0, 10]}, width: {int: [1, 4]}, kind: {choice: [a, b]}}"
FULL = "{model.x: 3.0, model.width: 2, model.kind: a}"


@pytest.mark.parametrize("sampler", [each for each in EVERY if each.values[0] not in ("gp", "grid")])
def test_lines_that_are_added_later_are_tried_next_and_once(sampler: str, tmp_path: Path) -> None:
    log: list[Event] = []
    before = program_space(tmp_path, MODEL, sampler=sampler, more="start: [{model.x: 1.5}]")
    assert tried(OptunaSearch(before), range(4), log)[0]["model.x"] == 1.5
    after = program_space(
        tmp_path, MODEL, sampler=sampler, more=f"start: [{FULL}, {{model.x: 1.5}}, {{model.width: 3}}]"
    )
    search = resumed(after, log)
    found = tried(search, range(4, 6), log)
    assert found[0] == {"model.x": 3.0, "model.width": 2, "model.kind": "a"}
    assert found[1]["model.width"] == 3
    unbroken = tried(search, range(6, 9))
    again = tried(resumed(after, log), range(6, 9))
    assert again == unbroken
    assert 1.5 not in [params["model.x"] for params in (*found[1:], *again)]


def test_a_part_of_a_configuration_is_tried_although_it_came_by_chance(tmp_path: Path) -> None:
    log: list[Event] = []
    tried(OptunaSearch(program_space(tmp_path, "{width: {int: [1, 2]}, x: {float: [0, 1]}}")), range(8), log)
    after = program_space(tmp_path, "{width: {int: [1, 2]}, x: {float: [0, 1]}}", more="start: [{model.width: 2}] ")
    search = resumed(after, log)
    assert tried(search, range(8, 9))[0]["model.width"] == 2
    assert search.last_ask.start == {"model.width": 2}


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "qmc", "nsga2"])
def test_a_whole_configuration_is_not_tried_twice(sampler: str, tmp_path: Path) -> None:
    log: list[Event] = []
    space = program_space(tmp_path, MODEL, sampler=sampler, more=f"start: [{FULL}, {FULL}]")
    first = tried(OptunaSearch(space), range(3), log)
    assert [params["model.x"] == 3.0 for params in first] == [True, False, False]
    found = json.loads(json.dumps(first[1]))
    more = f"start: [{FULL}, {json.dumps(found)}, {{model.x: 7.25}}]"
    second = tried(resumed(program_space(tmp_path, MODEL, sampler=sampler, more=more), log), range(3, 5))
    assert second[0]["model.x"] == 7.25
    assert found not in second


def test_the_grid_begins_with_the_lines_and_leaves_nothing_out(tmp_path: Path) -> None:
    model = "{a: {choice: [1, 2, 3]}, b: {choice: [x, y]}}"
    space = program_space(
        tmp_path, model, sampler="grid", more="start: [{model.a: 3}, {model.a: 3}, {model.b: y, model.a: 1}]"
    )
    found = [tuple(params.values()) for params in tried(OptunaSearch(space), range(10))]
    assert [each[0] for each in found[:2]] == [3, 3]
    assert found[2] == (1, "y")
    assert sorted(found) == sorted(itertools.product((1, 2, 3), "xy"))


def test_an_older_log_does_not_say_which_trials_were_begun_by_a_line(tmp_path: Path) -> None:
    log: list[Event] = []
    space = program_space(tmp_path, MODEL, more="start: [{model.x: 1.5}, {model.width: 3}]")
    tried(OptunaSearch(space), range(3), log)
    old = [replace(event, start=UNTOLD) if isinstance(event, AskEvent) else event for event in log]
    after = program_space(tmp_path, MODEL, more="start: [{model.x: 1.5}, {model.width: 3}, {model.x: 9.5}]")
    found = tried(resumed(after, old), range(3, 5))
    assert found[0]["model.x"] == 9.5
    assert found[1]["model.x"] not in (1.5, 9.5)


def test_a_line_that_nothing_completes_is_passed_over(tmp_path: Path) -> None:
    more = "require: ['model.width * model.x >= 30']\nstart: [{model.x: 1.0}, {model.x: 8.0}]"
    found = tried(OptunaSearch(program_space(tmp_path, MODEL, more=more)), range(2))
    assert found[0]["model.x"] == 8.0
    assert found[0]["model.width"] == 4  # one of four completions


def test_nothing_is_tried_twice_where_a_sampler_would_repeat_itself(tmp_path: Path) -> None:
    """Optuna's genetic algorithm has children that equal a parent, with continuous ranges, too."""
    space = program_space(tmp_path, "{x: {float: [0, 10]}, y: {float: [0, 10]}}", sampler="{nsga2: {population: 4}}")
    search = OptunaSearch(space)
    keys = [json.dumps(params) for params in tried(search, range(60))]
    assert len(set(keys)) == 60
