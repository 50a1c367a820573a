"""The progress of a search, from the events of its log."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hpsearch.cleaning import one_line
from hpsearch.console.trainings import Tally, Training
from hpsearch.experiment.activity import QUIET_SECONDS
from hpsearch.experiment.events import (
    AskEvent,
    BeginEvent,
    DropEvent,
    Event,
    HealthNotice,
    InterruptNotice,
    LostEvent,
    Notice,
    OutcomeEvent,
    PauseNotice,
    SessionEvent,
    TextNotice,
)
from hpsearch.experiment.layout import OUTPUT, RunKind, baseline_title, trial_run
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.records import Goal, Metrics, Moment, Outcome, Params
from hpsearch.report.wording import short_names

Clock = Callable[[], float]
KEPT_NOTES = 200
"""The most notes that are kept for the last frame; a search of thousands of failing trials must not fill the memory."""


OVERDUE = 0.25
"""What a training of unknown length that has outlasted the mean still needs, as a share of what it has taken."""


def _unknown_length(_: Params) -> int | None:
    return None


def _unknown_sign(_: str) -> float | None:
    return None


@dataclass(frozen=True)
class SearchTarget:
    """What a search wants: the objective, and how much it may spend.

    `budget` counts trials, `replicates` the expected replicates of the confirmation. `unit` is what a step counts, and
    `length` says how many steps the training of a trial has, if that is known. `workers` is how many train at once; by
    default it is found by watching. `time` are the seconds after which the search ends. `last_sign` says at which Unix
    time a run was last seen to work, if that is known. A race over seeds trains a configuration on up to `most_seeds`.
    """

    metric: str
    goal: Goal
    budget: int
    title: str = ""
    unit: str = "epoch"
    length: Callable[[Params], int | None] = _unknown_length
    replicates: int | None = None
    workers: int | None = None
    time: float | None = None
    last_sign: Callable[[str], float | None] = _unknown_sign
    most_seeds: int = 0


class SearchState:
    """The state of a search; `follow` takes one more event. Cheap, and free of input and output."""

    def __init__(self, target: SearchTarget, *, clock: Clock = time.monotonic) -> None:
        self.target = target
        self.clock = clock
        self.trainings: dict[str, Training] = {}
        self._trials, self.replicates = Tally(target.goal, most_seeds=target.most_seeds), Tally(target.goal)
        self.running: dict[str, Training] = {}
        self.moments: dict[str, Moment] = {}
        """How far those of them are that have told it since their last report."""
        self.baselines: dict[str, Metrics] = {}
        self.notes: deque[str] = deque(maxlen=KEPT_NOTES)
        self.alarm = ""
        """The newest finding that is seriously wrong with a training."""
        self._told: dict[str, float] = {}
        """When those of the running ones that have told a moment did so last."""
        self.confirming = False
        self.interrupted = False
        self.most_running = 0
        self.names: Mapping[str, str] = {}
        self._state = ExperimentState()
        self._heard = clock()

    def resume(self, state: ExperimentState) -> None:
        """Begin at the end of the log. The given state does not change: its runs are copied."""
        self._state = state.summary()
        for run in self._state.runs.values():
            if run.kind is RunKind.BASELINE:
                self._end_baseline(run)
            elif run.asked and not run.dropped:
                self._ask(run)
                self.confirming = run.replicate is not None
        self._begin_session()

    def _begin_session(self) -> None:
        """Forget what ran in a session before, and its notes: they were shown there."""
        self.running.clear()
        self.moments.clear()
        self._told.clear()
        self.notes.clear()
        self.alarm = ""
        self.interrupted = False
        self.most_running = 0
        self._heard = self.clock()

    def follow(self, event: Event | Notice) -> Training | None:
        """Take note of an event; return the training that it concerns, if there is one."""
        if isinstance(event, Notice):
            return self._notice(event)
        run, self._heard = self._state.follow(event), self.clock()
        if isinstance(event, SessionEvent):
            self._begin_session()
        if run is None:
            return None
        if run.kind is RunKind.BASELINE:
            self._end_baseline(run)
            return None
        if isinstance(event, AskEvent):
            self._ask(run)
            return None
        return self._continue(self.trainings[run.run], event) if run.run in self.trainings else None

    def _notice(self, notice: Notice) -> Training | None:
        if isinstance(notice, InterruptNotice):
            self.interrupted = True
        elif isinstance(notice, HealthNotice):
            self.alarm = one_line(notice.text)
        elif isinstance(notice, TextNotice):
            self.notes.extend(line for line in map(one_line, notice.text.splitlines()) if line)
        elif isinstance(notice, PauseNotice):
            self.moments.pop(notice.run, None)
            return self._stop(notice.run)
        elif notice.run in self.running:
            self.moments[notice.run] = notice.moment
            self._told[notice.run] = self.clock()
            return self.running[notice.run]
        return None

    def _end_baseline(self, run: RunState) -> None:
        if run.outcome is not None and run.asked:
            self.baselines[baseline_title(run.run)] = run.scores

    def _ask(self, run: RunState) -> None:
        training = self.trainings[run.run] = Training(run, self.clock())
        self._tally(training).take(training)
        if not run.params.keys() <= self.names.keys():
            self.names = short_names([*self.names, *run.params])

    def _continue(self, training: Training, event: Event) -> Training:
        training.heard = self.clock()
        self.moments.pop(training.run, None)
        if isinstance(event, BeginEvent):
            self.confirming = training.replicate is not None
            self.running[training.run] = training
            self.most_running = max(self.most_running, len(self.running))
        elif isinstance(event, LostEvent):
            self._stop(training.run)
            self.notes.append(f"{training.title} was lost ({one_line(event.reason)}); it goes on from its checkpoint")
        elif isinstance(event, DropEvent):
            self._stop(training.run)
            self.trainings.pop(training.run, None)
            self._tally(training).drop(training)
        elif isinstance(event, OutcomeEvent):
            self._end(training, event.outcome)
        return training

    def _stop(self, run: str) -> Training | None:
        self._told.pop(run, None)
        return self.running.pop(run, None)

    def _end(self, training: Training, outcome: Outcome) -> None:
        self._stop(training.run)
        self._tally(training).take(training)
        if training.is_rerun:
            self._trials.rank_again(trial_run(training.number))
        training.told.forget_curve()
        if outcome not in (Outcome.COMPLETE, Outcome.PRUNED):
            word = outcome.replace("_", " ")
            where = f"; traceback: {training.run}/{OUTPUT}" if outcome is Outcome.FAILED else ""
            self.notes.append(f"{training.title} {word}" + (f": {training.reason}" if training.reason else "") + where)

    @property
    def state(self) -> ExperimentState:
        """What the log comes to."""
        return self._state

    @property
    def elapsed(self) -> float:
        """Seconds of running, over all sessions; none of a pause."""
        return self._state.elapsed + (0.0 if self._state.paused else self.clock() - self._heard)

    def _tally(self, training: Training) -> Tally:
        return self._trials if training.replicate is None else self.replicates

    @property
    def _shown(self) -> Tally:
        """The trials, or while confirming the replicates."""
        return self.replicates if self.confirming else self._trials

    @property
    def finished(self) -> int:
        """How many of them have ended."""
        return self._shown.finished

    @property
    def goal_count(self) -> int:
        """How many of them there will be."""
        least = self.target.replicates or 0 if self.confirming else self._state.trials_of(self.target.budget)
        return max(least, len(self._shown))

    @property
    def trials_to_come(self) -> int:
        """How many trials there may be in all; once the winner is being confirmed, how many there have been."""
        known = len(self._trials)
        most = known if self.confirming else max(self._state.trials_of(self.target.budget), known)
        return most - sum(each.is_rerun for each in self._trials)

    @property
    def budget(self) -> int:
        """How many trials there may be without those that people have added: the number that `hpsearch budget` sets."""
        return self._state.trials_of(self.target.budget) - len(self._state.added)

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many of them ended how, the most frequent ending first."""
        return self._shown.counts

    @property
    def trial_counts(self) -> Mapping[Outcome, int]:
        """How many trials ended how, the most frequent ending first, while confirming, too."""
        return self._trials.counts

    @property
    def best(self) -> Training | None:
        """The complete trial with the best value; the earliest of equals."""
        return self._trials.best

    @property
    def leader(self) -> Training | None:
        """The running trial whose last value is better than that of every complete one, if there is one."""
        leader, best = None, self.best.standing if self.best else None
        for each in self.running.values():
            score = each.score
            if each.replicate is not None or each.is_rerun or score is None or not math.isfinite(score):
                continue
            if best is None or self.target.goal.better(score, best):
                leader, best = each, score
        return leader

    @property
    def remaining(self) -> float | None:
        """Seconds until the end of the search and its confirmation, by the workers that there are; None if unknown.

        What has ended and what runs tell how long a new trial takes; a running one is counted on from its own step. A
        replicate takes as long as the best trial.
        """
        if self.confirming:
            return self._work_left(new=self._full_seconds)
        search = self._work_left(new=self._mean_seconds)
        if search is None:
            return None
        limit = self._state.time_of(self.target.time)
        if limit is not None:  # which confirmations do not use up
            search = min(search, max(0.0, limit + self._state.confirm_seconds - self.elapsed))
        count = self.target.replicates or 0
        full = self._full_seconds or self._mean_seconds
        if not count or full is None:
            return search
        return search + math.ceil(count / min(count, self._workers)) * full

    @property
    def _workers(self) -> int:
        return max(self.target.workers or 1, self.most_running)

    @property
    def _mean_seconds(self) -> float | None:
        """Seconds of a trial, by those that have ended and those that are known to take as long or longer.

        Those that end first are the pruned ones: without the running ones a search would always be nearly done.
        """
        mean, count = self._trials.mean_seconds, self._trials.finished
        running = [self._expected(each) for each in self.running.values() if each.replicate is None]
        if mean is None:
            return max((seconds or 0.0 for seconds in running), default=0.0) or None
        longer = [seconds for seconds in running if seconds is not None and seconds > mean]
        return (mean * count + math.fsum(longer)) / (count + len(longer))

    def _expected(self, training: Training) -> float | None:
        """Seconds that a running training takes at least, by its own pace or by what it has taken; None if unknown."""
        spent = self.seconds_of(training)
        whole = self._whole(training)
        if whole is not None:
            return max(whole, spent)
        mean = self._trials.mean_seconds
        return None if mean is None or spent < mean else spent * (1 + OVERDUE)

    @property
    def _full_seconds(self) -> float | None:
        """Seconds of a replicate, by those that have ended; without any, those of the best trial or the longest one."""
        if self.replicates.mean_seconds is not None:
            return self.replicates.mean_seconds
        if self.best is not None:
            return self.best.seconds
        return max((self._whole(each) or 0.0 for each in self.running.values()), default=0.0) or None

    def _whole(self, training: Training) -> float | None:
        """Seconds of a whole running training by its own pace, where its length is known."""
        moment = self.moments.get(training.run)
        if moment is not None and moment.seconds_left is not None:
            return self.seconds_of(training) + moment.seconds_left
        length = self.target.length(training.params)
        if not training.step or not length:
            return None
        return training.seconds * length / training.step

    def _work_left(self, *, new: float | None) -> float | None:
        """Seconds until all have ended, those that are not begun too; a new one takes `new` seconds."""
        count = self.goal_count
        if new is None:
            return 0.0 if count <= self.finished else None
        rests = []
        for each in self._shown.unfinished.values():
            spent = self.seconds_of(each) if each.run in self.running else each.seconds
            rests.append(max((self._expected(each) or new) - spent, 0.0))
        left = max(0, count - len(self._shown))
        if not rests and not left:
            return 0.0
        side_by_side = min(len(rests) + left, self._workers)
        return max((sum(rests) + new * left) / side_by_side, *rests, new if left else 0.0)

    def silence(self, training: Training) -> float | None:
        """Seconds for which a running training has given no sign of life, if that is long and it would give any."""
        told = max(training.heard, self._told.get(training.run, 0.0))
        silent = self.clock() - told
        if silent < QUIET_SECONDS:
            return None
        if (sign := self.target.last_sign(training.run)) is not None:
            silent = min(silent, time.time() - sign)
        elif training.run not in self._told:
            return None
        return silent if silent >= QUIET_SECONDS else None

    def seconds_of(self, training: Training) -> float:
        """Seconds of a running training up to now."""
        return training.seconds + self.clock() - training.heard
