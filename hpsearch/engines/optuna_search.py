"""The brain of a search: what to try next and what to prune, by Optuna's samplers and pruners, rebuilt from the log.

The Optuna study lives in memory; the experiment's log is the truth. Replaying the log's events in their order gives the
study the very state it had.
"""

import json
import math
import random
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import optuna

from hpsearch.engines.pruners import make_pruner
from hpsearch.engines.samplers import AskSeeds, sampler_row
from hpsearch.errors import SearchFailedError
from hpsearch.experiment.log import Event
from hpsearch.records import Outcome
from hpsearch.seeds import derive_seed
from hpsearch.space import Space, suggest, suggested

ATTEMPTS = 20
"""How often the sampler may answer with a configuration that is forbidden or was tried, before chance is asked."""


class OptunaSearch:
    """Ask for configurations, report values, tell outcomes. Trials are known by the experiment's own numbers."""

    def __init__(self, space: Space, *, longest: int | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._space = space
        self._seed = space.search.seed
        self._row = sampler_row(space.search.sampler.kind)
        pruner = make_pruner(space.search.pruner.kind, space.search.pruner, longest=longest)
        self._study = optuna.create_study(study_name="hpsearch", direction=space.objective.goal.value, pruner=pruner)
        self._trials: dict[int, optuna.trial.Trial] = {}
        self._answers: dict[int, tuple[int, bool]] = {}
        self._tried: set[str] = set()
        self._worst: float | None = None
        self._grid = self._shuffled_grid() if self._row.enumerates else None
        self.rejected = 0
        """How many of the sampler's answers to the last ask were forbidden or had been tried."""

    def _shuffled_grid(self) -> list[dict[str, Any]]:
        """All configurations of the grid that the space allows, in an order that no budget favours."""
        grid = [params for params in self._space.grid() if self._space.violation(params) is None]
        random.Random(derive_seed(self._seed, "grid")).shuffle(grid)  # noqa: S311 -- an order, not a secret
        return grid

    def ask(self, number: int) -> dict[str, Any] | None:
        """Return the parameters of trial `number`, or None when every configuration of the space has been tried."""
        self.rejected = 0
        if self._grid is not None:
            return self._fixed(number, self._grid[number]) if number < len(self._grid) else None
        first = self._space.start[number] if number < len(self._space.start) else {}
        size = self._space.size
        for attempt in range(ATTEMPTS):
            if size is not None and len(self._tried) >= size:
                return None
            params, trial = self._suggest(number, attempt, first)
            if self._space.violation(params) is None and (size is None or _key(params) not in self._tried):
                return self._accept(number, params, trial)
            self._reject(trial)
        return self._by_chance(number)

    def _reject(self, trial: optuna.trial.Trial) -> None:
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        self.rejected += 1

    def _suggest(
        self, number: int, attempt: int, first: Mapping[str, Any]
    ) -> tuple[dict[str, Any], optuna.trial.Trial]:
        seeds = AskSeeds(derive_seed(self._seed, "ask", number, attempt), derive_seed(self._seed, "sampler"))
        self._study.sampler = self._row.make(self._space.search.sampler, seeds)
        if first:
            self._study.enqueue_trial(suggested(self._space, first))
        trial = self._study.ask()
        return suggest(self._space, trial), trial

    def _by_chance(self, number: int) -> dict[str, Any] | None:
        """Draw an allowed, untried configuration at random when the sampler keeps to others."""
        generator = random.Random(derive_seed(self._seed, "chance", number))  # noqa: S311 -- not a secret
        for _ in range(1000):
            params = self._space.sample_feasible(generator)
            if params is None:
                raise SearchFailedError(f"no configuration of {self._space.path} fulfils its requirements")
            if self._space.size is None or _key(params) not in self._tried:
                return self._fixed(number, params)
        return None

    def _fixed(self, number: int, params: Mapping[str, Any]) -> dict[str, Any]:
        """Enter a configuration that was decided on elsewhere."""
        self._study.sampler = optuna.samplers.RandomSampler(seed=0)
        self._study.enqueue_trial(suggested(self._space, params))
        trial = self._study.ask()
        return self._accept(number, suggest(self._space, trial), trial)

    def _accept(self, number: int, params: dict[str, Any], trial: optuna.trial.Trial) -> dict[str, Any]:
        self._trials[number] = trial
        self._tried.add(_key(params))
        return params

    def report(self, number: int, step: int, value: float) -> bool:
        """Enter the objective at a step; say whether the pruner would stop the trial there.

        A step that is known, as after a resume, is answered as it was: the crash may have come before the outcome.
        """
        if step < 0:  # in the log of an earlier version; there is no such step
            return False
        if number in self._answers and step <= self._answers[number][0]:
            return self._answers[number] == (step, True)
        trial = self._trials[number]
        trial.report(value, step)
        self._answers[number] = step, trial.should_prune()
        return self._answers[number][1]

    def tell(self, number: int, outcome: Outcome, value: float | None) -> None:
        """Enter an ending. Infeasible outcomes count as the worst value seen, marked as violating a constraint."""
        trial = self._trials.pop(number)
        self._answers.pop(number, None)
        if self._row.marks == "all" or (self._row.marks == "infeasible" and outcome.infeasible):
            trial.set_constraint("trainable", 1.0 if outcome.infeasible else 0.0)
        if outcome is Outcome.COMPLETE and value is not None:
            self._note_worst(value)
            self._study.tell(trial, value)
        elif outcome.infeasible:
            self._study.tell(trial, self._worst if self._worst is not None else 0.0)
        elif outcome is Outcome.PRUNED:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _note_worst(self, value: float) -> None:
        goal = self._space.objective.goal
        if math.isfinite(value) and (self._worst is None or goal.better(self._worst, than=value)):
            self._worst = value

    def replay(self, events: Iterable[Event], *, runs: Mapping[str, int]) -> None:
        """Bring the study to the state that these events left it in; `runs` names the trials that fit the space."""
        for event in events:
            number = runs.get(event.get("run", ""))
            if number is None:
                continue
            if event["event"] == "ask":
                self._replay_ask(number, event["params"], rejected=event.get("rejected", 0))
            elif event["event"] == "report" and number in self._trials:
                self.report(number, event["step"], event["value"])
            elif event["event"] == "outcome" and number in self._trials:
                self.tell(number, Outcome(event["outcome"]), event["value"])

    def _replay_ask(self, number: int, params: dict[str, Any], *, rejected: int) -> None:
        """Enter a past configuration; a sampler that keeps notes is asked again, so that it makes them again."""
        if self._row.replayed:
            tried = set(self._tried)
            if self.ask(number) == params:
                return
            self._tried = tried
            trial = self._trials.pop(number, None)
            if trial is not None:
                self._reject(trial)
        else:
            self._study.sampler = optuna.samplers.RandomSampler(seed=0)
            for _ in range(rejected):  # Optuna's own numbering must not depend on whether the search was resumed
                self._reject(self._study.ask())
        self._fixed(number, params)


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
