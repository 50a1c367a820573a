"""The trials of a search as Optuna keeps them in memory, of which a sampler is shown a bounded part.

What a sampler models costs time in proportion to the trials that it sees, or to a power of them. It sees the first
trial, the best, the latest and those that run: so the cost of an ask stays the same however long the search is.
"""

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from hpsearch.records import Goal, Params
from hpsearch.search.outlook import outlook
from hpsearch.space import Space, suggest, suggested

BEST = 60
"""How many of the best trials a sampler is shown: more than the 25 that TPE takes for good ones."""
LATEST = 240
"""How many of the latest. Up to 300 trials in all it sees every one, as Optuna's samplers would."""

VARIANCE = "hpsearch:variance"
"""The user attribute of a forecast that holds its variance."""

_Rank = tuple[bool, bool, float, float]


@dataclass(frozen=True)
class Ask:
    """What is asked: trial `number`, with the values of `entry`, and nothing that is `refused`."""

    number: int
    seed: int
    entry: Params
    refused: Callable[[Params], bool]


class Proposer(Protocol):
    """What proposes configurations and knows the whole space, where Optuna's samplers see one value at a time."""

    def propose(self, ask: Ask, trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
        """Return a configuration, by these trials in the order of their numbers; None leaves it to the sampler."""
        ...


class History(InMemoryStorage):
    """Optuna's storage in memory. Within `bounded` it holds only what is worth a sampler's time.

    `forecasts`: pruned trials are shown there as outlook.py has it; `at_best`: a trial's best value is the one that
    counts.
    """

    def __init__(self, goal: Goal, *, forecasts: bool = False, at_best: bool = False) -> None:
        super().__init__()
        self._sign = goal.sign
        self._forecasts = forecasts
        self._at_best = at_best
        self._curves: dict[int, array[float]] = {}
        """The costs of each trial at its evaluations, the best so far if that counts."""
        self._shown_as: dict[int, FrozenTrial] | None = None
        """The forecasts, while nothing changes."""
        self._running: set[int] = set()
        self._ranked: list[tuple[_Rank, int]] = []
        """Rank and id of the trials that came to something, the best first."""
        self._ended: list[int] = []
        """Their ids, in the order in which they ended."""
        self._is_bounded = False

    @contextmanager
    def bounded(self, best: int = BEST, latest: int = LATEST) -> Iterator[None]:
        """Limit what is shown to the first trial, the `best` best, the `latest` latest and those that run."""
        self._best, self._latest, self._is_bounded = max(best, BEST), max(latest, LATEST), True
        try:
            yield
        finally:
            self._is_bounded = False

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials by their numbers, as Optuna's storages do."""
        if not self._is_bounded or states == (TrialState.WAITING,):
            return super().get_all_trials(study_id, deepcopy, states)
        if len(self._ended) <= self._best + self._latest:
            trials = super().get_all_trials(study_id, deepcopy)
        else:
            shown = {self._ended[0], *self._ended[-self._latest :], *self._running}
            shown.update(trial_id for _, trial_id in self._ranked[: self._best])
            trials = [self.get_trial(trial_id) for trial_id in sorted(shown)]
        if self._forecasts:
            trials = self._with_forecasts(trials)
        return [trial for trial in trials if states is None or trial.state in states]

    def note(self, trial_id: int, metric: float) -> None:
        """Enter the metric at a trial's next evaluation."""
        if not self._forecasts:
            return
        self._shown_as = None
        curve = self._curves.setdefault(trial_id, array("d"))
        cost = _last_if_nan(-self._sign * metric)
        curve.append(min(cost, curve[-1]) if self._at_best and curve else cost)

    def _with_forecasts(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials with the pruned ones as complete ones of the forecast value, or else as running."""
        if self._shown_as is None:
            self._shown_as = self._forecast(trials)
        return [self._shown_as.get(trial._trial_id, trial) for trial in trials]

    def _forecast(self, trials: Sequence[FrozenTrial]) -> dict[int, FrozenTrial]:
        if all(trial.state is not TrialState.PRUNED for trial in trials):
            return {}
        known = [each for each in trials if each.state is TrialState.PRUNED or _has_come_to_its_end(each)]
        finals = [math.nan if each.state is TrialState.PRUNED else -self._sign * each.values[0] for each in known]
        curves = [np.frombuffer(self._curves.get(each._trial_id) or array("d")) for each in known]
        shown_as: dict[int, FrozenTrial] = {}
        for trial, mean, variance in zip(known, *outlook(curves, np.array(finals)), strict=True):
            if trial.state is not TrialState.PRUNED:
                continue
            shown = shown_as[trial._trial_id] = copy(trial)
            shown.state, shown.value = TrialState.RUNNING, None
            if math.isfinite(variance):
                shown.state, shown.value = TrialState.COMPLETE, -self._sign * float(mean)
                shown.user_attrs = {**trial.user_attrs, VARIANCE: float(variance)}
        return shown_as

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a trial; one that runs is shown from now on."""
        trial_id: int = super().create_new_trial(study_id, template_trial)
        if self.get_trial(trial_id).state is TrialState.RUNNING:
            self._running.add(trial_id)
        return trial_id

    def enter(self, study_id: int, space: Space, params: Mapping[str, Any]) -> int:
        """Make a running trial with these parameters, without asking a sampler; return its id."""
        given = _Given(suggested(space, params))
        suggest(space, given)
        trial_id = self.create_new_trial(study_id)
        trial = self.get_trial(trial_id)  # nobody else has seen it: it need not be copied to be changed
        trial.params, trial.distributions = given.params, given.distributions
        return trial_id

    def end(self, trial_id: int, value: float | None, *, state: TrialState | None) -> None:
        """End a trial as Optuna's tell does: a pruned one has its last value, one without a value has failed."""
        if state is TrialState.PRUNED:
            reported = self.get_trial(trial_id).intermediate_values
            value = reported[max(reported)] if reported else None
        told = None if value is None or math.isnan(value) else [float(value)]
        state = state or (TrialState.FAIL if told is None else TrialState.COMPLETE)
        self.set_trial_state_values(trial_id, state, told)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Change a trial's state; one that came to something gets its rank."""
        changed: bool = super().set_trial_state_values(trial_id, state, values)
        if changed and state is TrialState.RUNNING:
            self._running.add(trial_id)
        elif state.is_finished():
            self._running.discard(trial_id)
            self._note_end(trial_id, state)
        return changed

    def retell(
        self,
        trial_id: int,
        state: TrialState,
        value: float | None,
        *,
        reported: Mapping[int, float] = MappingProxyType({}),
    ) -> None:
        """Change how a trial has ended: one that was paused, so that the sampler knew it as pruned, went on."""
        trial = self.get_trial(trial_id)
        if trial.state is not TrialState.FAIL:
            del self._ranked[bisect_left(self._ranked, (self._rank(trial), trial_id))]
            self._ended.remove(trial_id)
        trial.state, trial.value = state, None if value is None or math.isnan(value) else value
        trial.intermediate_values = {**trial.intermediate_values, **reported}
        self._note_end(trial_id, state)

    def _note_end(self, trial_id: int, state: TrialState) -> None:
        self._shown_as = None
        if state is not TrialState.FAIL:
            self._ended.append(trial_id)
            insort(self._ranked, (self._rank(self.get_trial(trial_id)), trial_id))

    def _rank(self, trial: FrozenTrial) -> _Rank:
        """Order as TPE does: complete trials by value, pruned ones by how far they came, infeasible ones last."""
        infeasible = any(value > 0 for value in trial.constraints.values())
        if trial.state is TrialState.COMPLETE:
            return infeasible, False, 0.0, _last_if_nan(-self._sign * (trial.values or [math.nan])[0])
        step, metric = max(trial.intermediate_values.items(), default=(0, math.nan))
        return infeasible, True, -float(step), _last_if_nan(-self._sign * metric)


def _has_come_to_its_end(trial: FrozenTrial) -> bool:
    return trial.state is TrialState.COMPLETE and math.isfinite(trial.values[0])


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


class _Given:
    """A trial whose values are known; it takes note of their ranges."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.distributions[name] = FloatDistribution(low, high, step=step, log=log)
        return float(self.params[name])

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.distributions[name] = IntDistribution(low, high, step=step, log=log)
        return int(self.params[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.distributions[name] = CategoricalDistribution(choices)
        return self.params[name]
