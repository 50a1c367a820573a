"""The shelf of engines: who decides what is trained next, and where it runs.

    Source       says which job comes next, answers every report, hears every ending: a search, a population, or the
                 replicates of a winner
    Coordinator  hands jobs to workers, decides outcomes, takes up again what was lost
    Ledger       the one writer of the experiment's log
    Workers      processes (or this very process) that run an Objective

An engine knows neither families nor the training loop: the objective is named by an import path that workers resolve.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from hpsearch.records import Decision, Outcome


@dataclass(frozen=True)
class Job:
    """One training for a worker. `run` is its folder relative to the experiment's; everything in it fits into JSON.

    It starts with `params`, their `config` and the `seeds`. Each of its `changes` has a `step`, `params` and `config`:
    from that reported step on the training goes on with them. A replicate on a fold says which by the fields of
    `records.Fold`; its `config` has the same in `data.folds`.
    """

    run: str
    number: int
    params: Mapping[str, Any]
    config: Mapping[str, Any]
    seeds: Mapping[str, int]
    replicate: int | None = None
    fold: Mapping[str, int] | None = None
    baselines: bool = False
    changes: Sequence[Mapping[str, Any]] = ()

    @property
    def stretches(self) -> "list[tuple[Mapping[str, Any], Mapping[str, Any]]]":
        """The params and config that the training has one after another."""
        return [(self.params, self.config), *((change["params"], change["config"]) for change in self.changes)]

    def to_json(self) -> dict[str, Any]:
        """Return the job as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Exploit:
    """A run gives its own training up for a copy of the run `donor`: `job` is what it is then, the change its last."""

    job: Job
    donor: str


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


@dataclass(frozen=True)
class Ended:
    """What a worker says at the end of a job. Without an outcome it can go on from its checkpoint.

    It was paused then; or, if there is a `reason`, there is an obstacle that stops every other job too: a full disk.
    `scores` are a replicate's; `baselines` are the scores of each method of a baselines job. `sizes` are `train_size`
    and `test_size`, the examples behind test scores. `data` is what was noted of the data, see
    `families/data_watch.py`. With `mistake` its data or its program could not be used: the job is tried again later.
    """

    outcome: Outcome | None
    reason: str | None = None
    details: str | None = None
    seconds: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    mistake: bool = False


Reporter = Callable[[Report], Decision]


class Objective(Protocol):
    """What a worker runs; exceptions are the worker's to sort out."""

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> Ended:
        """Train one job to an ending: load its data, call `started`, then train, reporting as it goes."""
        ...


@dataclass(frozen=True)
class ObjectiveSpec:
    """How a worker makes its Objective: `target` is `module:callable`, called once with `arguments` (plain data).

    Workers put in what depends on where they run, when the arguments have it: `threads` to compute with, the
    experiment's `folder` as their machine sees it, and `share`, the import path of a function that loads data once for
    all processes of a machine.
    """

    target: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """How a search came to a configuration.

    So many candidates were `rejected` before it; `start` is the entry of the space's list that it begins with, if any.
    """

    rejected: int = 0
    start: Mapping[str, Any] | None = None


class Source(Protocol):
    """Where the coordinator gets its jobs from."""

    @property
    def asked(self) -> Asked:
        """How the last job came about."""
        ...

    def next_job(self) -> Job | Exploit | None:
        """Return the next job, or None when there is none (for now, if some are running).

        An exploit is to be carried out at once; neither its run nor its donor is with a worker.
        """
        ...

    def report(self, job: Job, step: int, metric: float, *, final: bool) -> Decision:
        """Take note of the metric at a step; say whether the job should go on, be pruned or be paused."""
        ...

    def paused(self, job: Job) -> None:
        """Take note that a job has come back, its checkpoint written, and may be handed out again."""
        ...

    def ended(self, job: Job, outcome: Outcome, value: float | None, reason: str | None) -> None:
        """Take note of an ending. May raise SearchFailedError to end the search."""
        ...


class Handler(Protocol):
    """Who hears what happens to the jobs: the coordinator."""

    def started(self, job: Job) -> None:
        """Hear that the data are loaded: the time limit of the job counts from here."""
        ...

    def reported(self, job: Job, report: Report) -> Decision:
        """Answer one report."""
        ...

    def ended(self, job: Job, ended: Ended) -> None:
        """Hear that the job returned."""
        ...

    def lost(self, job: Job, reason: str) -> None:
        """Hear that the process of the job died."""
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

    def serve(self, handler: Handler, *, timeout: float) -> None:
        """Hand what happened to the handler; return after at most about `timeout` seconds without news."""
        ...

    def kill(self, job: Job) -> None:
        """End the process that runs this job; the handler hears nothing more of the job."""
        ...

    def close(self) -> None:
        """End all processes."""
        ...
