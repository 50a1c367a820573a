"""One session of an experiment: earlier sessions are taken up, the search goes on, winners are confirmed.

What is tried, pruned, retried and written is the same for every engine: an engine is only a kind of workers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import EndEvent, Event, Notice, SessionEvent, StopEvent, TextNotice
from hpsearch.experiment.files import collector_resting
from hpsearch.experiment.layout import OUTPUT, RunKind, trial_run
from hpsearch.experiment.orders import Inbox
from hpsearch.experiment.provenance import machine, versions
from hpsearch.experiment.reading import experiment_of
from hpsearch.families import Family
from hpsearch.families.function.function import Function
from hpsearch.jobs import Job, JobKind
from hpsearch.records import ExperimentRecord, Outcome
from hpsearch.running.confirmation import distinct_winners, jobs_of
from hpsearch.running.earlier import Earlier, any_training, earlier_trials, require_fit, settled, to_replay
from hpsearch.running.mending import rerun_job, say_lost, say_mended, trial_job
from hpsearch.search.population import Population
from hpsearch.search.promotion import Promotion
from hpsearch.search.race import Race
from hpsearch.search.sources import JobList, TrialSource
from hpsearch.space import Confirm, Search, Space, objective_value
from hpsearch.space.pruner_options import ASHA, PB2, PBT, AutoPruner, Pausing
from hpsearch.workers.ahead import Ahead
from hpsearch.workers.coordinator import Coordinator, StopReason
from hpsearch.workers.engines import EngineContext, open_workers
from hpsearch.workers.ledger import Ledger, stored_job
from hpsearch.workers.limits import LOADING_SECONDS, STOP_SECONDS, Limits
from hpsearch.workers.steering import Steerable, Steering

_ON_A_CLUSTER = 1800.0


@dataclass(frozen=True)
class SessionResult:
    """The experiment after a session, and how the session went.

    `exhausted`: the space has no more configurations to try. `mirrored`: the trackers have all of it. `worked`: there
    was something to do.
    """

    record: ExperimentRecord = field(repr=False)
    why: StopReason
    exhausted: bool = False
    mirrored: bool = True
    worked: bool = True


def _can_go_on(space: Space) -> bool:
    """Check whether a paused training goes on where it was.

    A program must be given its checkpoint for that, a function must name it.
    """
    if isinstance(space.interface, Function):
        return space.interface.goes_on
    command = getattr(space.config(space.example), "command", None)
    return command is None or "{checkpoint}" in str(command)


def _with_suitable_pruner(space: Space) -> Space:
    """Return the space with asha for the pruner `auto` where trials cannot be paused."""
    if not isinstance(space.search.pruner, AutoPruner) or _can_go_on(space):
        return space
    return replace(space, search=space.search.model_copy(update={"pruner": ASHA()}))


def longest_training(space: Space) -> int | None:
    """Return the evaluations of the longest training, Hyperband's largest budget, or None if unknown.

    That is where its length has another unit than its evaluations, or a program reports when it likes.
    """
    ranges = {parameter.path: parameter.range for parameter in space.parameters}
    train = any_training(space)
    unit = "epochs" if train is None or train.steps is None else "steps"
    every = None if train is None else getattr(train.evaluate, unit)
    if every is None or "train.evaluate" in ranges:
        return None
    lengths, gaps = (
        ranges[path].grid() if path in ranges else [value]
        for path, value in ((f"train.{unit}", getattr(train, unit)), (f"train.evaluate.{unit}", every))
    )
    return math.ceil(max(lengths or ()) / min(gaps or ()))


def given_budget(search: Search) -> dict[str, float | None]:
    """Return what the space and the command say of the budget, as a session's event has it."""
    return {"trials": search.trials, "seconds": search.time}


def _loading(context: EngineContext) -> float:
    """Return the least seconds that a run may be silent before its training begins.

    On a cluster its process may have to start first.
    """
    return LOADING_SECONDS if context.space.search.engine == "local" else _ON_A_CLUSTER


class Session:
    """One session of an experiment: the search and the confirmation, on workers that are open for both."""

    def __init__(self, context: EngineContext, find_earlier: Callable[[], Earlier] | None = None) -> None:
        self._context = context
        self._find_earlier = find_earlier or (lambda: earlier_trials(context.space, context.folder, context.log.state))
        self._space = _with_suitable_pruner(context.space)
        self._folder = context.folder
        self._log = context.log
        self._why = StopReason.FAILED
        self._exhausted = self._worked = self._stopped = False
        self._ahead: Ahead | None = None
        self._steering = Steering(
            Inbox(self._folder),
            trials=context.space.search.trials,
            time=context.space.search.time,
            space=context.space,
        )
        self.mirrored = True
        """Whether the trackers have caught up; whoever closes them says so."""

    def __enter__(self) -> Self:
        self._workers = open_workers(self._context)
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()
        if self._ahead is not None:
            self._ahead.close()

    def begin(self, notes: Sequence[str]) -> None:
        """Open the session in the log, and say what has changed since the last one."""
        given = given_budget(self._space.search)
        self._log.append(SessionEvent(version=versions().get("hpsearch"), host=machine()["host"], given=given))
        if notes:
            self.note("the space has changed since this experiment was begun:\n  " + "\n  ".join(notes))
        if self._log.torn:
            self.note("the last line of the log was torn by a crash and has been dropped")
        for sentence in self._log.damage:
            self.note(sentence)
        self._obey_waiting()

    def _obey_waiting(self) -> None:
        """Write the orders into the log that nobody was there to obey; what follows from them, the search does."""
        orders = self._steering.obey(self._ledger(), JobList([]), at_once=True)
        self._stopped = self._stopped or any(isinstance(each, StopEvent) and each.run is None for each in orders)

    def note(self, text: str) -> None:
        """Tell the observers of a problem that the log does not hold."""
        self._tell(TextNotice(text, problem=True))

    def _tell(self, event: Event | Notice) -> None:
        for observer in self._context.observers:
            observer.observe(event)

    def search(self, confirm: Confirm | None = None) -> StopReason:
        """Search up to the budget; earlier trials that fit the space are kept, the others are left out from now on.

        Workers that are idle at the end begin with what `confirm` asks for.

        Raises:
            SearchFailedError: The trials fail in a way in which all would.
        """
        settings, packed = self._space.search, "lanes" in self._context.objective.arguments
        with collector_resting():
            taken_up = self._take_up(confirm)
        if taken_up is None:
            return StopReason.FINISHED
        trials, source = taken_up
        limits = Limits(
            time=self._steering.time_limit(self._log.state),
            trial_time=settings.trial_time,
            retries=settings.retries,
            loading=_loading(self._context),
            stopping=None if packed else STOP_SECONDS,
            queues=packed,
        )
        why = self._run(source, limits)
        self._exhausted = trials.exhausted
        return why

    def _take_up(self, confirm: Confirm | None) -> tuple[TrialSource, Steerable] | None:
        """Return the trials, and who says which of them is next, as earlier sessions left them; None if none is left.

        The events of those sessions are gone afterwards: a search of thousands of trials must not hold them to its end.
        """
        earlier = self._earlier()
        self._space = self._as_ordered()
        settings = self._space.search
        asked = sum(run.asked and run.kind in (RunKind.TRIAL, RunKind.RERUN) for run in self._log.state.runs.values())
        unfinished, reruns = self._unfinished(earlier), self._unfinished_reruns(earlier)
        if asked >= settings.trials and not (unfinished or reruns):
            return None
        self._warn_of_idle_pruner()
        from hpsearch.search.optuna_search import OptunaSearch  # while the workers' own imports run

        events = to_replay(self._space, self._log.take_events(), earlier.params)
        brain = OptunaSearch(self._space, longest=longest_training(self._space))
        brain.replay(events, runs=earlier.numbers)
        following = self._log.state.next_number
        make = partial(trial_job, self._space)
        trials = TrialSource(brain, make, budget=settings.trials, asked=asked, following=following)
        source: TrialSource | Population | Promotion = trials
        if isinstance(settings.pruner, PBT | PB2 | Pausing):
            source = self._staged(trials, settings.pruner)
            source.replay(events, runs=earlier.numbers, unfinished=unfinished)
        else:
            trials.resume(unfinished)
            self._ahead = self._replicates_ahead(confirm)
        if settings.seeds is None or isinstance(source, Population):
            return trials, source
        race = Race(
            source,
            trials,
            search=brain,
            space=self._space,
            most=settings.seeds.race.most,
            make_rerun=partial(rerun_job, self._space),
            time_spent=self._time_spent,
        )
        race.replay(events, runs=earlier.numbers, params=earlier.params, unfinished=reruns)
        return trials, race

    def _as_ordered(self) -> Space:
        """Return the space with the budget that people have given the search, and the configurations to try besides."""
        space, state = self._space, self._log.state
        fitting = [params for params in state.added if not space.check_params(params, partial=True)]
        if left_out := len(state.added) - len(fitting):
            self.note(f"{left_out} of the configurations that were added do not fit the changed space: left out")
        total = state.trials_of(self._context.space.search.trials) - left_out
        added = tuple(space.canonical(params) for params in fitting)
        return replace(
            space, search=space.search.model_copy(update={"trials": total}), start=(*self._context.space.start, *added)
        )

    def _staged(self, trials: TrialSource, pruner: PBT | PB2 | Pausing) -> Population | Promotion:
        """Return a source whose trials are paused and go on by turns."""
        if isinstance(pruner, Pausing):
            return Promotion(trials, self._space, pruner)
        return Population(trials, self._space, pruner)

    def _unfinished(self, earlier: Earlier) -> list[Job]:
        """Return the jobs of earlier trials that have not ended, or have not even begun."""
        runs = self._log.state.runs
        return [
            trial_job(self._space, number, earlier.params[run]) if runs[run].mistake else stored_job(self._folder, run)
            for run, number in earlier.numbers.items()
            if not runs[run].ended
        ]

    def _unfinished_reruns(self, earlier: Earlier) -> list[Job]:
        """Return the trainings of earlier trials on further seeds that have not ended."""
        reruns = (run for run in self._log.state.of_kind(RunKind.RERUN) if not run.ended and run.rerun is not None)
        trials = ((trial_run(run.number), run.rerun or 0) for run in reruns)
        return [
            rerun_job(self._space, earlier.numbers[trial], earlier.params[trial], seed)
            for trial, seed in trials
            if trial in earlier.numbers
        ]

    def _time_spent(self) -> float:
        """Return which share of the search's time has passed, if that is limited."""
        limit = self._log.state.time_of(self._context.space.search.time)
        return 0.0 if limit is None else (self._log.elapsed - self._log.state.confirm_seconds) / limit

    def _ledger(self) -> Ledger:
        objective = self._space.objective
        return Ledger(
            self._folder,
            self._log,
            metric=objective.metric,
            value_of=lambda history: objective_value(history, objective),
            observers=self._context.observers,
        )

    def _run(self, source: Steerable, limits: Limits) -> StopReason:
        self._worked = True
        ledger, steering = self._ledger(), self._steering
        coordinator = Coordinator(ledger, self._workers, limits, self._ahead, steering=steering, stopped=self._stopped)
        return coordinator.run(source)

    def _earlier(self) -> Earlier:
        """Return the earlier trials; from now on, in the log, those that do not fit are dropped.

        Those that fit have the parameters that a changed space gives them.
        """
        earlier = self._find_earlier()
        if earlier.mended:
            self.note(say_mended(earlier.mended))
        if earlier.lost:
            self.note(say_lost(earlier.lost))
        for event in settled(earlier, self._log.state):
            self._tell(self._log.append(event, durable=True))
        return earlier

    def _warn_of_idle_pruner(self) -> None:
        """Warn if all trainings end before the pruner can act; its settings may be in the wrong unit."""
        pruner, longest = self._space.search.pruner, longest_training(self._space)
        if pruner.earliest is not None and longest is not None and pruner.earliest >= longest > 1:
            ends = f"a training has {longest} evaluations"
            self.note(f"search.pruner: {pruner.kind} acts at evaluation {pruner.earliest} at the earliest, but {ends}")
        if isinstance(pruner, Pausing) and not _can_go_on(self._space):
            function = isinstance(self._space.interface, Function)
            who = "a function without report.checkpoint" if function else "a program that is not given its {checkpoint}"
            again = f"{who} begins again when it goes on"
            self.note(f"search.pruner: {pruner.kind} pauses trials, and {again}; asha stops them instead")

    def _record(self) -> ExperimentRecord:
        return experiment_of(self._folder, self._log.state)

    def require_result(self) -> None:
        """Raise SearchFailedError, with the reasons, when no trial has come to a result."""
        record = self._record()
        if record.best is None:
            endings = {(trial.outcome, trial.reason) for trial in record.trials if trial.outcome}
            reasons = sorted(f"{outcome}: {reason}" if reason else outcome for outcome, reason in endings)
            failed = next(
                (trial.ended_in or trial.run for trial in record.trials if trial.outcome is Outcome.FAILED), None
            )
            where = [f"the traceback is in {self._folder / failed / OUTPUT}"] if failed else []
            raise SearchFailedError("; ".join(["no trial came to a result", *reasons, *where]))

    def confirm(self, confirm: Confirm, *, otherwise: StopReason) -> StopReason:
        """Train the winners again; return INTERRUPTED if that was cut short, else `otherwise`."""
        jobs, passed_over = self._confirming(confirm)
        for number in {job.number for job in jobs}:
            require_fit(self._space, self._folder, self._log.state.runs[trial_run(number)])
        for sentence in passed_over:
            self.note(sentence)
        if self._ahead is not None:
            self._ahead.decide(jobs, self._log.state.runs)
        return self.train(jobs, otherwise)

    def _confirming(self, confirm: Confirm) -> tuple[list[Job], list[str]]:
        """Return the jobs that confirm those who lead now, and what has to be said of others."""
        replicates = self._log.state.of_kind(RunKind.REPLICATE)
        confirmed = {each.number for each in replicates if each.outcome is Outcome.COMPLETE}
        ranked = self._record().ranked
        winners, passed_over = distinct_winners(ranked, confirm.top, folder=self._folder, confirmed=confirmed)
        jobs = jobs_of(
            confirm,
            winners,
            folder=self._folder,
            experiment_seed=self._space.search.seed,
            split_seed=self._space.search.split_seed,
            state=self._log.state,
        )
        return jobs, passed_over

    def _replicates_ahead(self, confirm: Confirm | None) -> Ahead | None:
        """Return what idle workers may begin with: replicates on seeds, which this machine trains in its own loop."""
        search = self._space.search
        if confirm is None or confirm.folds is not None or search.engine != "local" or self._context.in_process:
            return None
        if not isinstance(self._space.interface, Family):
            return None

        def replicates() -> list[Job]:
            """Return those of the leaders that nobody has begun: what the log knows must not come to nothing."""
            jobs, _ = self._confirming(confirm)
            return [job for job in jobs if job.kind is JobKind.REPLICATE and job.run not in self._log.state.runs]

        return Ahead(self._folder, self._workers, replicates)

    def train(self, jobs: Sequence[Job], otherwise: StopReason, *, trial_time: float | None = None) -> StopReason:
        """Train jobs that were decided on to their ends; no budget of the search applies to them, but `trial_time`."""
        packed = "lanes" in self._context.objective.arguments
        limits = Limits(
            trial_time=trial_time, retries=self._space.search.retries, loading=_loading(self._context), queues=packed
        )
        why = self._run(JobList(jobs), limits) if jobs else StopReason.FINISHED
        return why if why is StopReason.INTERRUPTED else otherwise

    def end(self, why: StopReason) -> None:
        """Close the session in the log."""
        self._obey_waiting()
        self._why = why
        self._log.append(EndEvent(why=why.value), durable=True)

    def result(self) -> SessionResult:
        """Return the experiment now, and how this session went."""
        return SessionResult(self._record(), self._why, self._exhausted, self.mirrored, self._worked)
