"""What passes between the coordinator and a worker: jobs, reports and results; and the contracts of both sides.

    JobSource    says which job comes next, answers every report, hears every outcome: a search, a population, or the
                 replicates of a winner
    Coordinator  hands jobs to workers, decides outcomes, resumes what was lost
    Ledger       the one writer of the experiment's log
    Workers      processes (or this very process) that run an Objective

An engine knows neither families nor the training loop: the objective is named by an import path that workers resolve.
Jobs and results cross processes, and jobs are kept in a run's folder, as the plain data of `to_json` and `from_json`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self, get_args

from hpsearch.records import Decision, Fold, Metrics, Moment, Outcome


class JobKind(StrEnum):
    """What a job is for."""

    TRIAL = "trial"
    """A configuration of the search, which never sees the test split."""
    REPLICATE = "replicate"
    """A winner trained again, on another seed or fold, and scored on the test split."""
    BASELINES = "baselines"
    """The family's classical methods, fitted and scored on the same data."""


@dataclass(frozen=True)
class ConfigChange:
    """From the reported `step` on, a training goes on with these `params` and their `config`."""

    step: int
    params: Mapping[str, Any]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One job for a worker. `run` is its folder relative to the experiment's.

    It starts with `params`, their `config` and the `seeds`; `changes` come later in its training. `replicate` is the
    number of a replicate among those of its configuration, and None for other kinds. A job on a `fold` has the same
    fold in `data.folds` of its `config`. A `rerun` is a trial's configuration on a further seed, by the seed's number.
    """

    run: str
    number: int
    params: Mapping[str, Any]
    config: Mapping[str, Any]
    seeds: Mapping[str, int]
    kind: JobKind = JobKind.TRIAL
    replicate: int | None = None
    fold: Fold | None = None
    changes: Sequence[ConfigChange] = ()
    rerun: int | None = None

    def __post_init__(self) -> None:
        assert (self.replicate is None) == (self.kind is not JobKind.REPLICATE)  # noqa: S101 -- ours: or it is no job

    @property
    def stretches(self) -> "list[tuple[Mapping[str, Any], Mapping[str, Any]]]":
        """The params and config that the training has one after another."""
        return [(self.params, self.config), *((change.params, change.config) for change in self.changes)]

    def to_json(self) -> dict[str, Any]:
        """Return the job as plain data: what `config.json` holds; there `replicate` and `baselines` tell the kind."""
        fields = asdict(self)
        baselines, changes = fields.pop("kind") is JobKind.BASELINES, fields.pop("changes")
        if fields["rerun"] is None:
            del fields["rerun"]
        return {**fields, "baselines": baselines, "changes": changes}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the job that `to_json` wrote, in this version or an earlier one."""
        fields = dict(content)
        kind = JobKind.TRIAL if fields.get("replicate") is None else JobKind.REPLICATE
        if fields.pop("baselines", False):
            kind = JobKind.BASELINES
        fold = Fold(**fields["fold"]) if fields.get("fold") else None
        changes = tuple(ConfigChange(**change) for change in fields.get("changes", ()))
        return cls(**{**fields, "kind": kind, "fold": fold, "changes": changes})


@dataclass(frozen=True)
class Exploit:
    """A run gives its own training up for a copy of the run `donor`: `job` is what it is then, the change its last."""

    job: Job
    donor: str


@dataclass(frozen=True)
class Retire:
    """A paused run will not go on: it ends as pruned, and its checkpoint is not needed any more."""

    job: Job


@dataclass(frozen=True)
class Report:
    """One evaluation: the step, flat metrics, training seconds so far; `final` when none follows.

    `again` says that the same attempt has reported the step before: this evaluation takes the place of that one.
    """

    step: int
    metrics: Mapping[str, float]
    seconds: float
    final: bool = False
    again: bool = False


# How a job can end


@dataclass(frozen=True)
class Ending:
    """A job that came to an `outcome`. `reason` is a sentence, `seconds` the training time over all attempts.

    `data` is what was noted of the data, see `families/data_watch.py`.
    """

    outcome: ClassVar[Outcome]
    reason: str | None = None
    seconds: float | None = field(default=None, kw_only=True)
    data: Mapping[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class Completed(Ending):
    """Trained to its end. `scores` are a replicate's, as `test/metric`.

    `sizes` are `train_size` and `test_size`, the examples behind test scores.
    """

    outcome = Outcome.COMPLETE
    scores: Metrics = field(default_factory=dict, kw_only=True)
    sizes: Mapping[str, int] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class BaselinesScored(Ending):
    """A baselines job: the metrics of each method on each split, as `scores[method][split][metric]`."""

    outcome = Outcome.COMPLETE
    scores: Mapping[str, Mapping[str, Metrics]] = field(default_factory=dict, kw_only=True)
    sizes: Mapping[str, int] = field(default_factory=dict, kw_only=True)


class Pruned(Ending):
    """Stopped since the pruner said so."""

    outcome = Outcome.PRUNED


class TimedOut(Ending):
    """Stopped at the time limit of a trial."""

    outcome = Outcome.TIMED_OUT


@dataclass(frozen=True)
class Diverged(Ending):
    """Stopped by a loss or a metric that is not finite."""

    outcome = Outcome.DIVERGED
    reason: str


@dataclass(frozen=True)
class OutOfMemory(Ending):
    """Ended by an exhausted memory; `details` is the traceback."""

    outcome = Outcome.OUT_OF_MEMORY
    reason: str
    details: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Failed(Ending):
    """Ended by an exception; `details` is its traceback.

    With `mistake` its data or its program could not be used: a run that has not reported yet is tried again by a later
    session.
    """

    outcome = Outcome.FAILED
    reason: str
    details: str | None = field(default=None, kw_only=True)
    mistake: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Lost(Ending):
    """Its process died, or a program or another process that it needs; an outcome only when no attempt is left."""

    outcome = Outcome.LOST
    reason: str


@dataclass(frozen=True)
class Paused:
    """No outcome: stopped with a checkpoint, from which it goes on later."""

    seconds: float | None = None


@dataclass(frozen=True)
class Obstacle:
    """No outcome: something that would stop every other job too, such as a full disk."""

    reason: str


JobResult = Completed | BaselinesScored | Pruned | TimedOut | Diverged | OutOfMemory | Failed | Lost | Paused | Obstacle
"""What a worker says at the end of a job."""
_RESULTS: Mapping[str, type[JobResult]] = {kind.__name__: kind for kind in get_args(JobResult)}


def result_to_json(result: JobResult) -> dict[str, Any]:
    """Return a result as plain data."""
    return {"result": type(result).__name__, **asdict(result)}


def result_from_json(content: Mapping[str, Any]) -> JobResult:
    """Return the result that `result_to_json` wrote."""
    fields = dict(content)
    return _RESULTS[fields.pop("result")](**fields)


def stopped(decision: Decision, *, seconds: float, data: Mapping[str, Any] | None = None) -> JobResult:
    """Return the result of a training that ended because a report was answered with this decision.

    Args:
        decision: Any but CONTINUE.
        seconds: Its training time over all attempts.
        data: What was noted of its data.

    """
    if decision is Decision.PAUSE:
        return Paused(seconds)
    return (Pruned if decision is Decision.PRUNE else TimedOut)(seconds=seconds, data=data or {})


# The contracts

Reporter = Callable[[Report | Moment], Decision]
"""Answers a report; told of a moment between two of them, it says whether the job goes on or is to pause there."""


class ObjectiveFunction(Protocol):
    """What a worker runs; the worker turns its exceptions into results."""

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        """Do one job: load its data, call `started`, then train, reporting as it goes."""
        ...


class PackHost(Protocol):
    """Where an objective that trains several jobs at once gets them from, and whom it tells what becomes of them."""

    def take(self, *, wait: bool) -> Job | None:
        """Return the next job; None if there is none now, or with `wait` none any more."""
        ...

    def started(self, job: Job) -> None:
        """Hear that the data of a job are loaded."""
        ...

    def report(self, job: Job, report: Report | Moment) -> Decision:
        """Answer a report, or what is told between two of them."""
        ...

    def ended(self, job: Job, result: JobResult) -> None:
        """Hear how a job ended."""
        ...

    def lanes(self, count: int) -> None:
        """Hear how many jobs can be taken at once."""
        ...

    def tell(self, text: str) -> None:
        """Tell the user something."""
        ...

    def output(self, job: Job) -> AbstractContextManager[None]:
        """Send what is printed meanwhile to the job's own file."""
        ...


@dataclass(frozen=True)
class ObjectiveSpec:
    """How a worker makes its Objective: `target` is `module:callable`, called once with `arguments` (plain data).

    Workers put in what depends on where they run, when the arguments have it: `threads` to compute with; the
    experiment's `folder` as their machine sees it; `share`, the import path of a function that loads data once for all
    processes of a machine; `pauses_unheard`, whether a job counts as paused before its training has returned, so that
    its checkpoint must be there with each report. `modules` are those that every worker will need, for who can import
    them ahead of time.
    """

    target: str
    arguments: Mapping[str, Any]
    modules: Sequence[str] = ()


@dataclass(frozen=True)
class AskInfo:
    """How a search came to a configuration.

    `rejected` is how many candidates were refused before it; `start` is the entry of the space's list `start` that it
    was made from, if any.
    """

    rejected: int = 0
    start: Mapping[str, Any] | None = None


class JobSource(Protocol):
    """Where the coordinator gets its jobs from."""

    @property
    def last_ask(self) -> AskInfo:
        """How the last job came about."""
        ...

    def prepare(self) -> None:
        """Begin to find out what comes next, beside everything else: all workers are busy."""
        ...

    def next_job(self) -> Job | Exploit | Retire | None:
        """Return the next job, or None when there is none (for now, if some are running).

        An exploit or a retirement is to be carried out at once; none of its runs is with a worker.
        """
        ...

    def report(self, job: Job, step: int, metric: float, *, final: bool) -> Decision:
        """Take note of the metric at a step; say whether the job should go on, be pruned or be paused."""
        ...

    def paused(self, job: Job) -> None:
        """Take note that a job has come back as the source has asked, and may be handed out again."""
        ...

    def ended(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        """Take note of an ending. May raise SearchFailedError to end the search."""
        ...


class JobListener(Protocol):
    """Who hears what happens to the jobs: the coordinator."""

    def started(self, job: Job) -> None:
        """Hear that the data are loaded: the time limit of the job counts from here."""
        ...

    def reported(self, job: Job, report: Report) -> Decision:
        """Answer one report."""
        ...

    def moment(self, job: Job, moment: Moment) -> Decision:
        """Hear how far the job is between two reports; say whether it goes on or is to pause there."""
        ...

    def ended(self, job: Job, result: JobResult) -> None:
        """Hear how the job ended; it is `Lost` if its process died."""
        ...


class Workers(Protocol):
    """Something that runs jobs."""

    @property
    def idle(self) -> int:
        """How many more jobs can be started now."""
        ...

    def start(self, job: Job) -> None:
        """Begin a job; needs an idle worker."""
        ...

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        """Tell the listener what happened; return after at most about `timeout` seconds without news."""
        ...

    def kill(self, job: Job) -> None:
        """End the process that runs this job; the listener hears nothing more of the job."""
        ...

    def close(self) -> None:
        """End all processes."""
        ...
