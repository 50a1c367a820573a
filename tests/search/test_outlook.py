"""Forecasts of what stopped trials would have come to, against least squares, theory, and the curves as they go on."""

import math
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState
from scipy.stats import norm, spearmanr

from hpsearch.experiment.events import AskEvent, OutcomeEvent, ReportEvent
from hpsearch.experiment.layout import trial_run
from hpsearch.records import Outcome
from hpsearch.search.history import VARIANCE
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.outlook import DOUBT, KEPT, PRIOR, Chances, outlook
from hpsearch.testing.searching import made_up_space
from tests.benchmarks.curves.problems import Problem, recorded, simulated
from tests.search.test_searched_values import program_space

PROBLEMS = {problem.name: problem for problem in [*recorded(), *simulated()]}


def test_one_step_is_least_squares_with_the_prior_as_an_observation() -> None:
    x, finals = np.array([1.0, 2.0, 4.0, 5.0, 2.5, 6.0]), np.array([0.9, 1.2, 1.4, 2.2, np.nan, np.nan])
    means, variances = outlook([np.array([each, 0.0][: 1 + (row < 4)]) for row, each in enumerate(x)], finals)
    spread = (np.median(x) - np.quantile(x, 0.1)) ** 2
    off = x[:4] - x[:4].mean()
    rows = np.array([*([1.0, each] for each in off), [0.0, math.sqrt(PRIOR * spread)]])
    seen = np.array([*finals[:4], math.sqrt(PRIOR * spread)])  # a slope of 1
    found, *_ = np.linalg.lstsq(rows, seen, rcond=None)
    noise = (((seen - rows @ found)[:4] ** 2).sum() + DOUBT * spread) / 5
    for place in (4, 5):
        row = np.array([1.0, x[place] - x[:4].mean()])
        assert means[place] == pytest.approx(row @ found)
        variance = noise * (1 + row @ np.linalg.inv(rows.T @ rows) @ row)
        assert variances[place] == pytest.approx(variance) or math.isinf(variances[place])
    assert list(means[:4]) == list(finals[:4])
    assert list(variances[:4]) == [0] * 4


def test_selection_at_a_rung_does_not_bias_the_forecast_and_variances_add_up() -> None:
    """y2 = y1 / 2 + 1 + e, sd .1; the end = 2 y2 + e, sd .05. Only the better half ever goes on from evaluation 1."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=20_000)
    second = first / 2 + 1 + rng.normal(0, 0.1, 20_000)
    finals = 2 * second + rng.normal(0, 0.05, 20_000)
    better = first < np.median(first)
    curves = [
        np.array([a, b, c]) if goes else np.array([a])
        for a, b, c, goes in zip(first, second, finals, better, strict=True)
    ]
    means, variances = outlook(curves, np.where(better, finals, np.nan))
    assert means[~better] == pytest.approx(first[~better] + 2, abs=0.05)
    assert np.sqrt(variances[~better]) == pytest.approx(math.sqrt(4 * 0.1**2 + 0.05**2), rel=0.05)


def stopped_at(problem: Problem, rung: int, *, trials: int = 60, go_on: int = 12) -> tuple[np.ndarray, ...]:
    """Stop all but the best at a rung; return the forecasts, their variances and the truth of the others."""
    costs = np.minimum.accumulate(problem.curves[0, :trials], axis=1)
    finals = np.where(np.argsort(np.argsort(costs[:, rung - 1])) < go_on, costs[:, -1], np.nan)
    curves = [each if np.isfinite(end) else each[:rung] for each, end in zip(costs, finals, strict=True)]
    means, variances = outlook(curves, finals)
    left = np.isnan(finals)
    return means[left], variances[left], costs[left, -1]


@pytest.mark.parametrize("name", ["parallel", "teacher/loss", "digits/loss"])
def test_where_early_values_tell_the_order_of_the_end_the_forecasts_do(name: str) -> None:
    means, variances, truth = stopped_at(PROBLEMS[name], 6)
    shown = np.isfinite(variances)
    assert shown.mean() > 0.8
    assert spearmanr(means[shown], truth[shown]).statistic > 0.7


def test_where_curves_cross_late_the_forecasts_hardly_differ_beside_their_errors() -> None:
    doubts = {}
    for name in ("teacher/loss", "crossing late"):
        means, variances, _ = stopped_at(PROBLEMS[name], 6)
        doubts[name] = np.median(variances) / (np.median(means) - np.quantile(means, 0.1)) ** 2
    assert doubts["teacher/loss"] < 0.5
    assert doubts["crossing late"] > 2


def test_forecasts_that_say_nothing_are_hidden() -> None:
    rng = np.random.default_rng(1)
    curves = [np.array([each, 0.0][: 1 + (row < 8)]) for row, each in enumerate(rng.normal(0, 100, 30))]
    _, variances = outlook(curves, np.array([*rng.normal(size=8), *[np.nan] * 22]))
    assert np.isinf(variances[8:]).all()


def test_nothing_is_said_before_three_have_come_to_the_end() -> None:
    curves = [np.array([1.0, 0.5]), np.array([2.0, 1.5]), np.array([3.0]), np.array([])]
    _, variances = outlook(curves, np.array([0.5, 1.5, np.nan, np.nan]))
    assert list(variances) == [0, 0, np.inf, np.inf]
    _, variances = outlook([*curves, curves[0]], np.array([0.5, 1.5, np.nan, np.nan, 0.5]))
    assert math.isfinite(variances[2])
    assert math.isinf(variances[3])


def test_a_value_that_is_no_number_is_no_forecast() -> None:
    curves = [np.array([each, each - 1]) for each in (1.0, 2.0, 3.0)]
    means, variances = outlook([*curves, np.array([np.inf])], np.array([0.0, 1.0, 2.0, np.nan]))
    assert math.isinf(variances[3])
    assert list(means[:3]) == [0, 1, 2]


@pytest.mark.parametrize("sampler", ["tpe", "auto"])
def test_what_a_sampler_sees_of_stopped_trials_is_no_early_value(sampler: str, tmp_path: Path) -> None:
    space = made_up_space(tmp_path, sampler=sampler, pruner={"asha": {"minimum": 2}})
    object.__setattr__(space.objective, "at", "best")
    search, last = OptunaSearch(space), {}
    for number in range(40):
        assert search.ask(number) is not None
        level, length = (number * 7 % 40) / 40, 8 if number % 5 == 0 else 2
        for step in range(1, length + 1):
            search.report(number, step, 10 + level - step, final=step == 8)
            last[number] = 10 + level - step
        search.tell(number, Outcome.COMPLETE if length == 8 else Outcome.PRUNED, last[number])
    with search._history.bounded():
        seen = search._study.get_trials(deepcopy=False)
    assert {trial.state for trial in seen} == {TrialState.COMPLETE}
    forecasts = [trial for trial in seen if VARIANCE in trial.user_attrs]
    assert len(seen) == 40
    assert len(forecasts) == 32
    for trial in forecasts:
        assert trial.value == pytest.approx(last[trial.number] - 6, abs=0.1)  # it would have had six steps more
    raw = search._study.get_trials(deepcopy=False)
    assert sum(trial.state is TrialState.PRUNED for trial in raw) == 32


def test_of_whom_nothing_is_known_counts_as_running_and_is_not_asked_for_again(tmp_path: Path) -> None:
    """Early costs of random size, so that no forecast is any good, and equal ends: auto can only spread its trials."""
    space = program_space(tmp_path, "{a: {float: [0, 1]}, b: {float: [0, 1]}}", sampler="auto")
    search, rng = OptunaSearch(space), np.random.default_rng(0)
    asked = []
    for number in range(40):
        params = search.ask(number)
        assert params is not None
        asked.append([params["model.a"], params["model.b"]])
        length = 4 if number < 10 else 2
        for step in range(1, length + 1):
            search.report(number, step, rng.normal(0, 100), final=step == 4)
        search.tell(number, Outcome.COMPLETE if length == 4 else Outcome.PRUNED, 1.0)
    with search._history.bounded():
        seen = search._study.get_trials(deepcopy=False)
    assert [trial.state for trial in seen] == [TrialState.COMPLETE] * 10 + [TrialState.RUNNING] * 30
    cells = {(int(10 * a), int(10 * b)) for a, b in asked[10:]}
    assert len(cells) > 7


@pytest.mark.parametrize("sampler", ["tpe", "auto"])
def test_trials_that_are_paused_promoted_and_retired_are_seen_alike_after_a_resume(
    sampler: str, tmp_path: Path
) -> None:
    space = program_space(tmp_path, "{a: {float: [0, 1]}, b: {float: [0, 1]}}", sampler=sampler, pruner="auto")
    search, events = OptunaSearch(space), []
    for number in range(24):
        params = search.ask(number)
        assert params is not None
        events.append(AskEvent(run=trial_run(number), number=number, params=params, seed=0))
        goes_on = number % 2 == 0
        for step in range(1, 9 if goes_on else 4):
            cost = (params["model.a"] - 0.3) ** 2 + params["model.b"] + 1 / step
            told = {"metric": cost, "value": cost, "at": step, "seconds": 1.0, "final": step == 8}
            events.append(ReportEvent(run=trial_run(number), step=step, **told))
            search.report(number, step, cost, final=step == 8)
        if number % 4 != 1:  # the others are still paused
            outcome = Outcome.COMPLETE if goes_on else Outcome.PRUNED
            events.append(OutcomeEvent(run=trial_run(number), outcome=outcome, seconds=1.0, value=cost))
            search.tell(number, outcome, cost)
    again = OptunaSearch(space)
    again.replay(events, runs={trial_run(number): number for number in range(24)})
    with search._history.bounded():
        seen = search._study.get_trials(deepcopy=False)
    assert sum(VARIANCE in trial.user_attrs for trial in seen) == 12
    assert [search.ask(number) for number in range(24, 28)] == [again.ask(number) for number in range(24, 28)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-310, 1.0, 1e160, 1e300, math.inf])
def test_what_diverges_is_no_error_and_no_forecast_without_a_value(size: float) -> None:
    """Squares of such costs have no number."""
    draw = np.random.default_rng(0)
    curves = [draw.normal(size=length) * draw.choice([1.0, size], length) for length in draw.integers(0, 12, 40)]
    finals = np.where(draw.random(40) < 0.5, math.nan, draw.normal(size=40))
    means, variances = outlook(curves, finals)
    assert np.isfinite(means[np.isfinite(variances)]).all()
    assert not np.isnan(variances).any()


def test_a_trial_that_was_stopped_before_its_first_report_has_no_forecast() -> None:
    means, variances = outlook([np.ones(2)] * 3 + [np.ones(0)], np.array([1.0, 2.0, 3.0, math.nan]))
    assert math.isnan(means[3])
    assert list(variances) == [0, 0, 0, math.inf]


def entered(curves: np.ndarray, finals: np.ndarray) -> Chances:
    chances = Chances()
    for trial, (curve, final) in enumerate(zip(curves, finals, strict=True)):
        for cost in curve:
            chances.note(trial, cost)
        if math.isfinite(final):
            chances.ended(trial, float(final))
    return chances


def test_the_chance_to_be_the_best_is_that_of_the_forecast() -> None:
    rng = np.random.default_rng(1)
    curves = [rng.normal(size=8 if trial < 6 else 4) for trial in range(20)]
    finals = np.array([curve[-1] if trial < 6 else math.nan for trial, curve in enumerate(curves)])
    means, variances = outlook(curves, finals)
    chances = entered(curves, finals)
    known = [trial for trial in range(6, 20) if math.isfinite(variances[trial])]
    assert known
    for trial in range(6, 20):
        truth = norm.cdf(finals[:6].min(), means[trial], math.sqrt(variances[trial])) if trial in known else 1.0
        assert chances.of(trial) == pytest.approx(truth)


def test_what_chances_follow_from_is_bounded_and_has_the_best() -> None:
    rng = np.random.default_rng(2)
    curves = rng.normal(size=(2 * KEPT, 4))
    curves[7] = -9.0
    chances = entered(curves, curves[:, -1])
    chances.note(2 * KEPT, -5.0)
    assert set(chances._curves) == {7, *range(KEPT + 1, 2 * KEPT + 1)}
    assert chances.of(2 * KEPT) < 0.01 < entered(np.delete(curves, 7, axis=0), np.delete(curves[:, -1], 7)).of(8 + KEPT)


@pytest.mark.parametrize("name", ["digits/loss", "teacher/error", "crossing", "noisy"])
def test_who_is_given_less_than_a_tenth_seldom_becomes_the_best(name: str) -> None:
    """Trials at rung 6 beside twelve complete ones, at random: the stated chances are held to what happens."""
    problem, rng = PROBLEMS[name], np.random.default_rng(3)
    stated, happened = [], []
    for _ in range(40):
        chosen = rng.choice(len(problem.points), 52, replace=False)
        costs = np.minimum.accumulate(problem.curves[0, chosen], axis=1)
        finals = np.where(np.arange(52) < 12, costs[:, -1], math.nan)
        chances = entered([curve if trial < 12 else curve[:6] for trial, curve in enumerate(costs)], finals)
        best = costs[:12, -1].min()
        stated += [chances.of(trial) for trial in range(12, 52)]
        happened += list(costs[12:, -1] < best)
    small = np.array(stated) < 0.1
    assert small.mean() > 0.2  # many are told apart
    assert np.array(happened)[small].mean() < 0.1
