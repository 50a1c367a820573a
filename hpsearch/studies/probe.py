"""A probe: a few configurations of an arm, trained for a moment by a worker like the study's, to see what they cost."""

import json
import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.experiment.files import json_line
from hpsearch.experiment.layout import BEST, CHECKPOINT, trial_run
from hpsearch.jobs import Completed, Ending, Job, JobResult, Obstacle, Report, Workers
from hpsearch.records import Decision, Moment
from hpsearch.running.runner import objective_spec
from hpsearch.seeds import Seeds, derive_seed
from hpsearch.space import Space
from hpsearch.workers.local.in_process import InProcessWorkers
from hpsearch.workers.local.workers import ProcessWorkers
from hpsearch.workers.machine import Share

CONFIGURATIONS = 2
"""How many random configurations of an arm are probed: one would not show that they cost differently."""
SECONDS, PATIENCE = 2.0, 30.0
"""Training time after which a probe ends at its next evaluation; and after which it is the arm's last."""
STEPS = 3
"""Optimizer steps from one evaluation of a probe to the next: nobody waits for a whole epoch."""
LOG_LINE, LOG_RUN = 200, 900
"""Bytes of an evaluation in the log, and of a run's beginning and end."""


@dataclass(frozen=True)
class Probe:
    """What a short training of one configuration measured.

    `epoch_seconds` counts its share of the `evaluations`, of which there may be less or more than one in an epoch of
    `epoch_steps` optimizer steps.
    `weights` and `checkpoint` are bytes of the run's two files, `row` those of an evaluation in its metrics; `config`
    is the whole configuration.
    """

    epoch_seconds: float
    evaluations: float
    epoch_steps: float
    weights: int
    checkpoint: int
    row: int
    config: Mapping[str, Any]

    def epochs_of(self, epochs: tuple[float, float] | None, steps: tuple[int, int] | None) -> tuple[float, float]:
        """Return the fewest and the most epochs of a training whose length is set in one of the two units."""
        if epochs is not None:
            return epochs
        assert steps is not None  # noqa: S101 -- ours: one of them is set
        return steps[0] / self.epoch_steps, steps[1] / self.epoch_steps

    def run_bytes(self, epochs: float) -> int:
        """Return the bytes that a training of `epochs` leaves at most; a pruned one may have no checkpoint."""
        evaluations, keep = math.ceil(self.evaluations * epochs), self.config["train"]["keep"]
        numbered = evaluations // keep["every"] if keep else 0
        if keep and keep["last"]:
            numbered = min(numbered, keep["last"] + 1)  # and that of the best step
        written = len(json.dumps(self.config, indent=2)) + LOG_RUN + evaluations * (self.row + LOG_LINE)
        return self.weights + (1 + numbered) * self.checkpoint + written


@dataclass(frozen=True)
class Probed:
    """The probes of an arm, the seconds until its data were there, and what went wrong."""

    probes: tuple[Probe, ...] = ()
    load_seconds: float = 0.0
    trouble: tuple[str, ...] = ()


def probe_arm(
    space: Space,
    share: Share,
    *,
    in_process: bool = False,
    enough: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Probed:
    """Train some configurations of a space for a moment, in a folder that is gone afterwards.

    The test split stays sealed.

    Args:
        space: The arm's space.
        share: What a worker of the study gets of the machine.
        in_process: Train in this process.
        enough: Seconds of training after which a configuration has been seen long enough.
        clock: Seconds.

    Raises:
        HpsearchError: The space has no configuration that keeps its requirements.
        KeyboardInterrupt: It was asked to end.

    """
    probes, trouble, load_seconds = [], [], 0.0
    with (
        _terminable(),
        TemporaryDirectory(prefix="hpsearch-plan-") as place,
        _workers(space, Path(place), share, in_process) as workers,
    ):
        for job in _jobs(space):
            listener = _Listener(clock, enough)
            result = listener.train(job, workers)
            load_seconds = max(load_seconds, listener.load_seconds)
            if isinstance(result, Obstacle):
                trouble.append(f"stopped: {result.reason}")
            elif isinstance(result, Ending) and not isinstance(result, Completed):
                trouble.append(f"{result.outcome}: {result.reason}")
            if listener.reports:
                config = space.config(job.params).model_dump(mode="json")
                probes.append(_measured(listener.reports, config, Path(place, job.run)))
                if listener.reports[-1].seconds > PATIENCE:
                    break
    return Probed(tuple(probes), load_seconds, tuple(dict.fromkeys(trouble)))


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that it leaves nothing. Only a main thread can hear signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, kept)


@contextmanager
def _workers(space: Space, folder: Path, share: Share, in_process: bool) -> Iterator[Workers]:
    """Yield a worker that trains configurations of a space below a folder; it is ended whatever happens."""
    spec, processes = objective_spec(space, folder), space.search.resources.processes
    workers = InProcessWorkers(spec) if in_process else ProcessWorkers(folder, spec, [share], processes=processes)
    try:
        yield workers
    finally:
        workers.close()


def _jobs(space: Space) -> Iterator[Job]:
    """Yield a training for each of some random configurations; it is evaluated often, so that it can be ended early."""
    seen: list[Mapping[str, Any]] = []
    for number in range(CONFIGURATIONS):
        generator = random.Random(derive_seed(space.search.seed, "plan", number))  # noqa: S311 -- not a secret
        params = space.sample_feasible(generator)
        if params is None:
            raise HpsearchError(f"{space.path} has no configuration that keeps its requirements")
        if params in seen:
            continue
        seen.append(params)
        config = space.config(params).model_dump(mode="json")
        config["train"] = {**config["train"], "evaluate": {"epochs": None, "steps": STEPS}}
        seeds = Seeds.for_trial(space.search.seed, number, split_seed=space.search.split_seed).model_dump()
        yield Job(run=trial_run(number), number=number, params=params, config=config, seeds=seeds)


class _Listener:
    """Hears what a worker says of one job, and ends it when enough was seen (the JobListener contract)."""

    def __init__(self, clock: Callable[[], float], enough: float) -> None:
        self._clock = clock
        self._enough = enough
        self._begun = clock()
        self.load_seconds = 0.0
        self.reports: list[Report] = []
        self._end: JobResult | None = None

    def train(self, job: Job, workers: Workers) -> JobResult:
        """Run a job until it has ended, and return how."""
        workers.start(job)
        while self._end is None:
            workers.serve(self, timeout=1.0)
        return self._end

    def started(self, job: Job) -> None:  # noqa: ARG002 -- the contract's; there is one job
        """Note that the data are loaded."""
        self.load_seconds = self._clock() - self._begun

    def reported(self, job: Job, report: Report) -> Decision:  # noqa: ARG002
        """Keep a report; pause the training, which then writes all its files, when it has lasted long enough."""
        self.reports.append(report)
        return Decision.PAUSE if report.seconds >= self._enough else Decision.CONTINUE

    def moment(self, job: Job, moment: Moment) -> Decision:  # noqa: ARG002
        """Let it go on: reports come soon."""
        return Decision.CONTINUE

    def ended(self, job: Job, result: JobResult) -> None:  # noqa: ARG002
        """Keep how it ended."""
        self._end = result


def _measured(reports: Sequence[Report], config: Mapping[str, Any], run: Path) -> Probe:
    """Estimate the cost of a training from its reports; the first lap is ignored if there are more.

    The lap's own time is that of its examples; what else passed between two reports was spent on scores and files.
    """
    train, last = config["train"], reports[-1]
    before = reports[0] if len(reports) > 1 else Report(0, {"epoch": 0.0}, 0.0)
    laps = list(pairwise(reports)) or [(before, last)]
    steps = last.step - before.step
    epochs = last.metrics["epoch"] - before.metrics["epoch"]
    spent = last.seconds - before.seconds
    examples = train["batch_size"] * train["accumulate"]
    stepping = sum((end.step - start.step) * examples / end.metrics["examples_per_second"] for start, end in laps)
    stepping = min(spent, stepping)  # a short last batch makes the laps seem longer
    every = train["evaluate"]
    evaluations = 1 / every["epochs"] if every["epochs"] else steps / epochs / every["steps"]
    return Probe(
        epoch_seconds=stepping / epochs + (spent - stepping) / len(laps) * evaluations,
        evaluations=evaluations,
        epoch_steps=steps / epochs,
        weights=_size(run / BEST),
        checkpoint=_size(run / CHECKPOINT),
        row=len(json_line({"step": last.step, "seconds": last.seconds, **last.metrics})),
        config=config,
    )


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
