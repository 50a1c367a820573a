"""The history that a sampler sees: all of a short search, of a long one what decides; entered as Optuna would."""

import math
import random
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from hpsearch.records import Goal, Outcome
from hpsearch.search.history import BEST, LATEST, History
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.space import Space, suggest, suggested
from hpsearch.testing.searching import made_up_space

ENDS = [Outcome.COMPLETE, Outcome.PRUNED, Outcome.DIVERGED, Outcome.COMPLETE, Outcome.FAILED]


def searched(space: Space, trials: int, *, running: int = 0) -> OptunaSearch:
    """Bring a search of random trials to an end, but for some of the first."""
    search, rng = OptunaSearch(space), random.Random(0)
    for number in range(trials):
        search._fixed(number, space.sample_feasible(rng) or {})
        search.report(number, 1, rng.random())
        if number >= running:
            search.tell(number, ENDS[number % len(ENDS)], math.nan if number % 7 == 0 else rng.random())
    return search


def seen(search: OptunaSearch) -> list[FrozenTrial]:
    with search._history.bounded():
        return search._study.get_trials(deepcopy=False)


@pytest.mark.parametrize("goal", [Goal.MINIMIZE, Goal.MAXIMIZE])
def test_the_best_the_latest_the_first_and_those_that_run_are_seen(goal: Goal, tmp_path: Path) -> None:
    space = made_up_space(tmp_path, sampler="random", pruner="none")
    object.__setattr__(space.objective, "goal", goal)
    search = searched(space, 1000, running=3)
    every = search._study.get_trials(deepcopy=False)
    shown = {trial.number for trial in seen(search)}
    of_use = [trial for trial in every if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    feasible = [each for each in of_use if each.state is TrialState.COMPLETE and math.isfinite(each.values[0])]
    best = sorted(feasible, key=lambda trial: -goal.sign * trial.values[0])[:BEST]
    assert {0, 1, 2} | {trial.number for trial in [of_use[0], *of_use[-LATEST:], *best]} == shown
    assert len(shown) <= 1 + BEST + LATEST + 3


def test_of_a_short_search_everything_is_seen(tmp_path: Path) -> None:
    search = searched(made_up_space(tmp_path, sampler="random", pruner="none"), 300)
    assert seen(search) == search._study.get_trials(deepcopy=False)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_an_ask_looks_at_a_bounded_number_of_trials(sampler: str, tmp_path: Path) -> None:
    """What a sampler reads is counted: that it is quick cannot be tested where other programs run."""
    search = searched(made_up_space(tmp_path, sampler=sampler, pruner="none"), 600)
    looked: list[int] = []
    whole = search._history.get_all_trials

    def counting(*args: Any, **named: Any) -> list[FrozenTrial]:
        found = whole(*args, **named)
        looked.append(len(found))
        return found

    search._history.get_all_trials = counting  # type: ignore[method-assign]
    search.ask(600)
    assert 250 < max(looked) <= 1 + 100 + LATEST + 1


def test_the_good_trials_of_tpe_are_those_of_the_whole_search(tmp_path: Path) -> None:
    from optuna.samplers._tpe.sampler import _split_trials, default_gamma

    search = searched(made_up_space(tmp_path, sampler="tpe", pruner="none"), 700)
    whole = search._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    part = [trial for trial in seen(search) if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    good, some = (_split_trials(search._study, each, default_gamma(len(each)))[0] for each in (whole, part))
    assert [trial.number for trial in good] == [trial.number for trial in some]


def test_a_trial_is_entered_as_optuna_would_have_begun_it(tmp_path: Path) -> None:
    space, rng = made_up_space(tmp_path, sampler="random", pruner="none"), random.Random(1)
    history = History(Goal.MINIMIZE)
    study = optuna.create_study(storage=history)
    for _ in range(20):
        params = space.sample(rng)
        study.enqueue_trial(suggested(space, params))
        asked = study.ask()
        assert suggest(space, asked) == params
        entered = history.get_trial(history.enter(study._study_id, space, params))
        begun = history.get_trial(asked._trial_id)
        assert (entered.params, entered.distributions, entered.state) == (
            begun.params,
            begun.distributions,
            begun.state,
        )
        assert list(entered.params) == list(begun.params)


@pytest.mark.parametrize("reports", [[], [0.5, 0.25], [0.5, math.nan]])
@pytest.mark.parametrize(
    ("value", "state"),
    [(1.5, None), (math.inf, None), (math.nan, None), (None, TrialState.PRUNED), (None, TrialState.FAIL)],
)
def test_a_trial_ends_as_optuna_would_have_ended_it(
    value: float | None, state: TrialState | None, reports: list[float]
) -> None:
    ended = []
    for ours in (False, True):
        history = History(Goal.MINIMIZE)
        study = optuna.create_study(storage=history)
        trial = study.ask()
        for step, metric in enumerate(reports, start=1):
            trial.report(metric, step)
        if ours:
            history.end(trial._trial_id, value, state=state)
        else:
            study.tell(trial, value, state=state)
        found = history.get_trial(trial._trial_id)
        ended.append((found.state, found.values))
    assert ended[0] == ended[1]
