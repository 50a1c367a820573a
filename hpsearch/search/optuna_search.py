"""The brain of a search: what to try next and what to prune, by Optuna's samplers and pruners, rebuilt from the log.

The Optuna study lives in memory; the experiment's log is the truth. Replaying the log's events in their order gives the
study the very state it had.
"""

import math
import warnings
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any

import optuna
from optuna.trial import TrialState

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import AskEvent, Event, OutcomeEvent, ReportEvent
from hpsearch.experiment.layout import raced_trial
from hpsearch.jobs import AskInfo
from hpsearch.records import Outcome, Params
from hpsearch.search.aside import Aside
from hpsearch.search.history import Ask, History
from hpsearch.search.own import blamed_on, make_own_pruner, make_own_sampler
from hpsearch.search.pruners import NeverStop, Rule, make_pruner
from hpsearch.search.samplers import AskSeeds, SamplerRow, own_row, sampler_row
from hpsearch.search.starts import StartList, agrees, drawn, key_of, shuffled_grid
from hpsearch.seeds import derive_seed
from hpsearch.space import Space, suggest, suggested
from hpsearch.space.pruner_options import Hyperband, OwnPruner
from hpsearch.space.search_settings import OwnSampler

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
ATTEMPTS = 20
"""How often the sampler may answer with a configuration that is forbidden or was tried, before chance is asked."""
NOTHING: Params = MappingProxyType({})


class OptunaSearch:
    """Ask for configurations, report metrics, tell outcomes. Trials are known by the experiment's own numbers.

    The evaluations of a trial are counted here, by its reports: they are what pruners know as steps. `longest` is how
    many the longest training has, if that is known; else it is what the first complete trial had.
    """

    def __init__(self, space: Space, *, longest: int | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Clip non-finite values")  # gp: of the infeasible trials
        self._space = space
        self._seed = space.search.seed
        self._home = space.path.parent
        self._row = self._make_row()
        self._longest = longest
        self._history = History(space.objective.goal, forecasts=self._row.models, at_best=space.objective.at == "best")
        self._study = optuna.create_study(
            study_name="hpsearch", direction=space.objective.goal.value, storage=self._history
        )
        self._rule = self._make_rule()
        option = space.search.pruner
        self._own_pruner = isinstance(option, OwnPruner)
        if isinstance(option, OwnPruner):
            self._study.pruner = make_own_pruner(option, self._home, seed=self._seed)
        self._watched = self._own_pruner or isinstance(space.search.sampler, OwnSampler)
        """Whether code of the user's may look at every metric of a trial; Optuna's looks at a pruned one's last."""
        if self._row.kept:
            self._study.sampler = self._row.make(space.search.sampler, AskSeeds(0, 0))
        self._aside = Aside()
        self._trials: dict[int, optuna.trial.Trial] = {}
        self._evaluations: dict[int, dict[int, bool]] = {}
        """The steps that a trial has reported, and whether it would have been pruned there."""
        self._last: dict[int, tuple[int, float]] = {}
        """The last evaluation that a trial was judged by, and the metric there."""
        self._shown: set[int] = set()
        """Optuna's numbers of trials that are paused or were promoted: pruned to the sampler until they end."""
        self._by_seed: dict[int, tuple[optuna.trial.Trial, list[float]]] = {}
        """Of a race over seeds the complete trials, with what each came to on its seeds."""
        self._tried: set[str] = set()
        self._starts = StartList(space)
        self._proposer = self._row.proposes(space.search.sampler, space) if self._row.proposes else None
        self._valued = False
        self._grid = shuffled_grid(self._space, self._seed) if self._row.enumerates else None
        self._rejected = 0
        self._start: Params | None = None
        self._any_sampler = optuna.samplers.RandomSampler(seed=0)
        """For trials whose parameters are all given, where it draws nothing."""

    def _make_row(self) -> SamplerRow:
        option = self._space.search.sampler
        if isinstance(option, OwnSampler):
            return own_row(make_own_sampler(option, self._home, seed=self._seed))
        return sampler_row(option.kind)

    def _make_rule(self) -> Rule:
        """Return the pruner of the space file; a user's own is the study's."""
        if isinstance(option := self._space.search.pruner, OwnPruner):
            return NeverStop()
        return make_pruner(option.kind, option, goal=self._space.objective.goal, longest=self._longest)

    @property
    def last_ask(self) -> AskInfo:
        """How the last answer came about; rejected are those that were forbidden or had been tried."""
        return AskInfo(self._rejected, self._start)

    # What is tried next

    @property
    def waiting(self) -> int:
        """How many configurations of `start` have not been begun, and whether one is being asked for."""
        return len(self._starts) + self._aside.asks

    def prepare(self, number: int) -> None:
        """Begin to ask for trial `number` in a thread; not of what takes notes or is the user's own."""
        if not (self._row.replayed or self._watched):
            self._aside.begin(lambda: self._ask(number))

    def ask(self, number: int) -> dict[str, Any] | None:
        """Return the parameters of trial `number`, or None when every configuration of the space has been tried.

        Entries of `start` come first, also those that were added since the search began, each once.
        """
        return self._aside.answer(lambda: self._ask(number))

    def _ask(self, number: int) -> dict[str, Any] | None:
        self._rejected, self._start = 0, None
        while (entry := self._starts.pop()) is not None:
            params = self._begin_with(number, entry)
            if params is not None:
                return params
        return self._next(number)

    def _begin_with(self, number: int, entry: Params) -> dict[str, Any] | None:
        """Complete an entry of `start`; None when it has been tried, or nothing that is allowed completes it."""
        self._start = entry
        if self._grid is not None:
            return self._walk(number, entry)
        complete = all(parameter.path in entry for parameter in self._space.active(entry))
        if complete and key_of(entry) in self._tried:
            return None
        for attempt in range(1 if complete else ATTEMPTS):
            params = self._try(number, attempt, entry)
            if params is not None:
                return params
        return None if complete else self._by_chance(number, entry)

    def _next(self, number: int) -> dict[str, Any] | None:
        """Return the configuration that the sampler proposes."""
        self._start = None
        if self._grid is not None:
            return self._walk(number)
        for attempt in range(ATTEMPTS):
            if self._space.size is not None and len(self._tried) >= self._space.size:
                return None
            params = self._try(number, attempt)
            if params is not None:
                return params
        return self._by_chance(number)

    def _try(self, number: int, attempt: int, entry: Params = NOTHING) -> dict[str, Any] | None:
        """Return the sampler's answer, or None when it is forbidden or known."""
        params, trial = self._suggest(number, attempt, entry)
        if not self._refused(params):
            return self._accept(number, params, trial)
        self._reject(trial)
        return None

    def _refused(self, params: Params) -> bool:
        """Whether a configuration is forbidden or was tried; a genetic algorithm proposes its parents again, too."""
        return key_of(params) in self._tried or self._space.violation(params) is not None

    def _reject(self, trial: optuna.trial.Trial) -> None:
        self._tell(trial, state=FAIL)
        self._rejected += 1

    def _suggest(self, number: int, attempt: int, entry: Params) -> tuple[dict[str, Any], optuna.trial.Trial]:
        seeds = AskSeeds(derive_seed(self._seed, "ask", number, attempt), derive_seed(self._seed, "sampler"))
        if self._proposer is not None:
            with self._view():
                trials = self._study.get_trials(deepcopy=False)
            params = self._proposer.propose(Ask(number, seeds.ask, entry, self._refused), trials)
            if params is not None:
                return params, self._entered(params)
        if self._row.models and not self._valued:
            self._study.sampler = optuna.samplers.RandomSampler(seed=seeds.ask)
        else:
            self._study.sampler = self._row.make(self._space.search.sampler, seeds)
        if entry:
            self._study.enqueue_trial(suggested(self._space, entry))
        return self._asked_of_sampler()

    def _asked_of_sampler(self) -> tuple[dict[str, Any], optuna.trial.Trial]:
        """Ask the study.

        Raises:
            SearchFailedError: if a sampler of the user's fails or leaves the space.
        """
        option = self._space.search.sampler
        with blamed_on(option, self._home), self._view():
            trial = self._study.ask()
            params = suggest(self._space, trial)
        if self._row.kept and (wrong := self._space.wrong_params(params)):
            path, message = next(iter(wrong.items()))
            left = f"proposed a value outside the space: {path}: {message}"
            raise SearchFailedError(f"search.sampler: {option.kind} {left}")
        return params, trial

    def _view(self) -> AbstractContextManager[None]:
        """Show a sampler of ours what is worth its time; one of the user's sees everything."""
        return nullcontext() if self._row.kept else self._history.bounded(*self._row.sees(self._space.search.sampler))

    def _by_chance(self, number: int, entry: Params = NOTHING) -> dict[str, Any] | None:
        """Draw an allowed, untried configuration at random when the sampler keeps to others."""
        params = drawn(self._space, derive_seed(self._seed, "chance", number), entry=entry, tried=self._tried)
        return None if params is None else self._fixed(number, params)

    def _walk(self, number: int, entry: Params = NOTHING) -> dict[str, Any] | None:
        """Return the next configuration of the grid that agrees with an entry and has not been tried."""
        grid = self._grid or deque()
        while grid and key_of(grid[0]) in self._tried:
            grid.popleft()
        params = next((params for params in grid if self._is_left(params, entry)), None)
        return None if params is None else self._fixed(number, params)

    def _is_left(self, params: Params, entry: Params) -> bool:
        return agrees(params, entry) and key_of(params) not in self._tried

    def _fixed(self, number: int, params: Params) -> dict[str, Any]:
        """Enter a configuration that was decided on elsewhere."""
        if not self._row.replayed:
            return self._accept(number, dict(params), self._entered(params))
        if not self._row.kept:
            self._study.sampler = self._any_sampler
        self._study.enqueue_trial(suggested(self._space, params))
        return self._accept(number, *self._asked_of_sampler())

    def _entered(self, params: Params) -> optuna.trial.Trial:
        """Enter a running trial without asking the sampler."""
        self._study.sampler = self._any_sampler
        study_id = self._study._study_id
        return optuna.trial.Trial(self._study, self._history.enter(study_id, self._space, params))

    def _accept(self, number: int, params: dict[str, Any], trial: optuna.trial.Trial) -> dict[str, Any]:
        self._trials[number] = trial
        self._evaluations[number] = {}
        self._tried.add(key_of(params))
        return params

    def add(self, entry: Params) -> None:
        """Begin the next trial with these values, behind what is left of `start`."""
        self._aside.tell(partial(self._starts.add, entry))

    # What became of it

    def report(self, number: int, step: int, metric: float, *, final: bool = False) -> bool:
        """Enter the metric at a step, as the trial's next evaluation; say whether the pruner would stop it there.

        A step that is known, as after a resume, is answered as it was: the crash may have come before the outcome. A
        last evaluation that comes before its time, as the training's end lies between two, has seen less training than
        those of the same number, so nobody is compared with it.
        """
        known = self._evaluations[number]
        if step < 0:  # in the log of an earlier version; there is no such step
            return False
        if step in known:
            return known[step]
        evaluation, first = len(known) + 1, next(iter(known), step)
        known[step] = False
        if final and step < evaluation * first:
            return False
        known[step] = self._judge(number, evaluation, metric)
        if known[step] and self._rule.pauses and not final:
            self._aside.tell(partial(self._show_so_far, self._trials[number], evaluation, metric))
        return known[step]

    def _judge(self, number: int, evaluation: int, metric: float) -> bool:
        trial = self._trials[number]
        if self._watched and trial.number not in self._shown:
            trial.report(metric, evaluation)
        self._aside.tell(partial(self._history.note, trial._trial_id, metric))
        if self._own_pruner:
            with blamed_on(self._space.search.pruner, self._home):
                return bool(trial.should_prune())
        self._last[number] = evaluation, metric
        return self._rule.judge(trial.number, evaluation, metric)

    def _show_so_far(self, trial: optuna.trial.Trial, evaluation: int, metric: float) -> None:
        """Enter a trial that is paused as if it were pruned here; it may go on later."""
        if trial.number not in self._shown:
            self._shown.add(trial.number)
            if not self._watched:
                trial.report(metric, evaluation)
            if self._row.marks == "all":
                trial.set_constraint("trainable", 0.0)
            self._tell(trial, state=PRUNED)
        else:
            value = metric if math.isfinite(metric) else None
            self._history.retell(trial._trial_id, PRUNED, value, reported={evaluation: metric})

    def _tell_shown(self, trial: optuna.trial.Trial, outcome: Outcome, value: float | None) -> None:
        """Enter the ending of a trial that the sampler knows as pruned: it was promoted, or is retired."""
        self._shown.discard(trial.number)
        if outcome is Outcome.COMPLETE and value is not None:
            self._history.retell(trial._trial_id, COMPLETE, value)
        elif outcome.infeasible:
            self._history.retell(trial._trial_id, COMPLETE, -self._space.objective.goal.sign * math.inf)
        elif outcome not in (Outcome.PRUNED, Outcome.STOPPED):
            self._history.retell(trial._trial_id, FAIL, None)

    def tell(self, number: int, outcome: Outcome, value: float | None) -> None:
        """Enter an ending. Infeasible outcomes count as infinitely bad, marked as violating a constraint."""
        trial, evaluations = self._trials.pop(number), len(self._evaluations.pop(number))
        self._rule.ended(trial.number)
        if outcome is Outcome.COMPLETE and value is not None:
            self._learn_length(evaluations)
            if self._space.search.seeds is not None:
                self._by_seed[number] = trial, [value]
        self._aside.tell(partial(self._enter_ending, trial, outcome, value, self._last.pop(number, None)))

    def _enter_ending(
        self, trial: optuna.trial.Trial, outcome: Outcome, value: float | None, last: tuple[int, float] | None
    ) -> None:
        self._valued = self._valued or outcome is Outcome.COMPLETE
        if trial.number in self._shown:
            self._tell_shown(trial, outcome, value)
            return
        if self._row.marks == "all" or (self._row.marks == "infeasible" and outcome.infeasible):
            trial.set_constraint("trainable", 1.0 if outcome.infeasible else 0.0)
        if outcome is Outcome.COMPLETE and value is not None:
            self._tell(trial, value)
        elif outcome.infeasible:
            self._tell(trial, -self._space.objective.goal.sign * math.inf)
        elif outcome is Outcome.PRUNED or (outcome is Outcome.STOPPED and value is not None):  # where it was
            if last is not None and not self._watched:
                trial.report(last[1], last[0])
            self._tell(trial, state=PRUNED)
        else:
            self._tell(trial, state=FAIL)

    def further(self, number: int, outcome: Outcome, value: float | None) -> None:
        """Enter what a complete trial came to on a further seed: from now on it has the mean, or has ended as there."""
        if number not in self._by_seed:
            return
        trial, values = self._by_seed[number]
        if outcome is Outcome.COMPLETE and value is not None:
            values.append(value)
            self._aside.tell(partial(self._history.retell, trial._trial_id, COMPLETE, math.fsum(values) / len(values)))
        else:
            del self._by_seed[number]
            self._aside.tell(partial(self._tell_shown, trial, outcome, value))

    def _tell(self, trial: optuna.trial.Trial, value: float | None = None, state: TrialState | None = None) -> None:
        if not self._row.replayed:  # the sampler takes no notes, and the answer of Study.tell is a costly copy
            self._history.end(trial._trial_id, value, state=state)
            return
        with blamed_on(self._space.search.sampler, self._home), self._view():
            self._study.tell(trial, value, state=state)

    def _learn_length(self, evaluations: int) -> None:
        """Let the pruner know how long a training is, if that was not known before."""
        if self._longest is None and evaluations:
            self._longest = evaluations
            if isinstance(self._space.search.pruner, Hyperband):
                self._rule = self._make_rule()

    # What the log tells

    def replay(self, events: Iterable[Event], *, runs: Mapping[str, int]) -> None:
        """Bring the study to the state that these events left it in; `runs` names the trials that fit the space."""
        for event in events:
            if isinstance(event, OutcomeEvent) and (raced := raced_trial(event.run) or "") in runs:
                self.further(runs[raced], event.outcome, event.value)
            if not isinstance(event, AskEvent | ReportEvent | OutcomeEvent) or event.run not in runs:
                continue
            number = runs[event.run]
            if isinstance(event, AskEvent):
                self._replay_ask(number, event)
            elif number not in self._trials:
                continue
            elif isinstance(event, ReportEvent):
                self.report(number, event.step, event.metric, final=event.final)
            else:
                self.tell(number, event.outcome, event.value)

    def _replay_ask(self, number: int, event: AskEvent) -> None:
        """Enter a past configuration; a sampler that keeps notes is asked again, so that it makes them again."""
        params, entry = self._space.canonical(event.params), self._starts.begun(number, event)
        if self._row.replayed:
            tried = set(self._tried)
            again = self._next(number) if entry is None else self._begin_with(number, entry)
            if again == params:
                return
            self._tried = tried
            if (trial := self._trials.pop(number, None)) is not None:
                self._reject(trial)
        else:
            for _ in range(event.rejected):  # Optuna's numbering must not depend on whether it was resumed
                self._study.add_trial(optuna.trial.create_trial(state=FAIL))
        self._fixed(number, params)
