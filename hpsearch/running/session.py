"""One session of an experiment: earlier sessions are resumed, the search goes on, winners are confirmed."""

import math
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError, SearchFailedError
from hpsearch.experiment.files import copy_atomically, remove_leftovers, write_atomically, write_json
from hpsearch.experiment.layout import (
    BEST,
    CHECKPOINT,
    FORMAT_VERSION,
    LOCK,
    LOG,
    RESOLVED,
    SPACE,
    is_experiment,
    replicate_run,
    trial_run,
)
from hpsearch.experiment.log import Log, read_log
from hpsearch.experiment.provenance import git_state, machine, versions
from hpsearch.experiment.reading import place_of_space, read_experiment, read_resolved
from hpsearch.jobs import Job, JobKind
from hpsearch.running.confirmation import jobs_of
from hpsearch.running.earlier import Earlier, earlier_trials, translated
from hpsearch.running.engine import Engine
from hpsearch.seeds import Seeds
from hpsearch.space import Confirm, Space, differences
from hpsearch.training.settings import TrainSettings
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.ledger import Observer, stored_job
from hpsearch.workers.progress import progress_of

_BUDGET = (
    *("search.trials", "search.time", "search.trial_time", "confirm"),
    *("search.engine", "search.workers", "search.retries", "search.resources", "search.storage"),
)
"""What may change between two sessions of an experiment without making it another search."""


def prepare_experiment(space: Space, folder: Path) -> list[str]:
    """Write what the experiment is; return how it differs from what the folder held before."""
    resolved = space.resolved()
    changed: list[str] = []
    identity = uuid.uuid4().hex
    created = time.time()
    if is_experiment(folder):
        old = read_resolved(folder)
        identity, created = old["id"], old["created"]
        changed = [line for line in differences(old["space"], resolved) if not line.startswith(_BUDGET)]
        if alien := [line for line in changed if line.startswith(("family", "objective"))]:
            raise ExperimentError(f"{folder} is a search of another kind ({'; '.join(alien)}); choose another --name")
        if changed:
            earlier_trials(space, folder, list(read_log(folder / LOG)))  # refuses before anything is written
            kept = len(list(folder.glob("resolved-*.json"))) + 1
            write_json(folder / f"resolved-{kept}.json", old)
    elif not {path.name for path in folder.iterdir() if path.suffix != ".tmp"} <= {LOCK}:
        raise ExperimentError(f"{folder} exists and is no experiment; choose another --name")
    remove_leftovers(folder, SPACE, RESOLVED)
    write_json(
        folder / RESOLVED,
        {
            "version": FORMAT_VERSION,
            "id": identity,
            "created": created,
            "space": resolved,
            "unit": step_unit(space),
            **place_of_space(space.path, folder),
            "seed": space.search.seed,
            "versions": versions(),
            "git": git_state(space.path.parent),
            "machine": machine(),
        },
    )
    write_atomically(folder / SPACE, space.text)  # last: a folder with it alone would not be an experiment
    return changed


def step_unit(space: Space) -> str:
    """Return what a step of the space's trainings counts: `epoch`, or `step` where `train.evaluate` is in steps."""
    train = _any_training(space)
    return "step" if train is not None and train.evaluate.steps is not None else "epoch"


def _any_training(space: Space) -> TrainSettings | None:
    """Return the settings of one of the trainings of a space; None when the shared loop does not train them."""
    params = space.sample_feasible(random.Random(0)) or {}  # noqa: S311 -- any configuration will do
    train = getattr(space.config(params), "train", None)
    return train if isinstance(train, TrainSettings) else None


class Session:
    """One session of an experiment: the search and the confirmation, on an engine that stays up for both."""

    def __init__(self, space: Space, folder: Path, log: Log, engine: Engine, observers: Sequence[Observer]) -> None:
        self.space = space
        self.folder = folder
        self.log = log
        self._engine = engine
        self._observers = observers
        self._progress = progress_of(log.events)

    def begin(self, notes: Sequence[str]) -> None:
        """Open the session in the log, and say what has changed since the last one."""
        self.log.append("session", version=versions().get("hpsearch"), host=machine()["host"])
        if notes:
            self._note("the space has changed since this experiment was begun:\n  " + "\n  ".join(notes))
        if self.log.torn:
            self._note("the last line of the log was torn by a crash and has been dropped")

    def _note(self, text: str) -> None:
        for observer in self._observers:
            observer.observe({"event": "note", "text": text})

    def search(self) -> tuple[StopReason, bool]:
        """Run the search; earlier trials that fit the space are kept, the others are left out from now on."""
        earlier = self._earlier()
        trials = {
            event["run"] for event in self.log.events if event["event"] == "ask" and event["run"].startswith("trials/")
        }
        unfinished = [
            stored_job(self.folder, run) if run in self._progress else self._make_job(number, earlier.params[run])
            for run, number in earlier.numbers.items()
            if run not in self._progress or not self._progress[run].ended
        ]
        if len(trials) >= self.space.search.trials and not unfinished:
            return StopReason.FINISHED, False
        self._warn_of_idle_pruner()
        return self._engine.search(
            self._make_job,
            events=translated(self.space, self.log.events, earlier.params),
            fitting=earlier.numbers,
            asked=len(trials),
            unfinished=unfinished,
            longest=self._longest(),
        )

    def _earlier(self) -> Earlier:
        """Return the earlier trials; from now on, in the log, those that do not fit are dropped.

        Those that fit have the parameters that a changed space gives them.
        """
        earlier = earlier_trials(self.space, self.folder, self.log.events)
        known = {event["run"]: event["params"] for event in self.log.events if "params" in event}
        told = [self.log.append("drop", durable=True, run=run, reason=why) for run, why in earlier.misfits.items()]
        told += [
            self.log.append("adopt", durable=True, run=run, params=dict(params))
            for run, params in earlier.params.items()
            if params != known[run]
        ]
        for event in told:
            for observer in self._observers:
                observer.observe(event)
        return earlier

    def _make_job(self, number: int, params: Mapping[str, Any]) -> Job:
        config = self.space.config(params).model_dump(mode="json")
        seeds = Seeds.for_trial(self.space.search.seed, number).model_dump()
        return Job(run=trial_run(number), number=number, params=params, config=config, seeds=seeds)

    def _longest(self) -> int | None:
        """Return the evaluations of the longest training, Hyperband's largest budget; None where only the data tell.

        That is where optimizer steps are counted, and under a program, which reports when it likes.
        """
        ranges = {parameter.path: parameter.range for parameter in self.space.parameters}
        train = _any_training(self.space)
        if train is None or train.evaluate.epochs is None or "train.evaluate" in ranges:
            return None
        epochs = ranges["train.epochs"].grid() if "train.epochs" in ranges else [train.epochs]
        every = ranges["train.evaluate.epochs"].grid() if "train.evaluate.epochs" in ranges else [train.evaluate.epochs]
        return math.ceil(max(epochs or ()) / min(every or ()))

    def _warn_of_idle_pruner(self) -> None:
        """Say so when all trainings end before the pruner can do anything: perhaps it was told epochs, or steps."""
        pruner, longest = self.space.search.pruner, self._longest()
        if pruner.earliest is not None and longest is not None and pruner.earliest >= longest > 1:
            ends = f"a training has {longest} evaluations"
            self._note(f"search.pruner: {pruner.kind} acts at evaluation {pruner.earliest} at the earliest, but {ends}")

    def require_result(self) -> None:
        """Raise SearchFailedError, with the reasons, when no trial has come to a result."""
        record = read_experiment(self.folder)
        if record.best is None:
            reasons = sorted({f"{trial.outcome}: {trial.reason}" for trial in record.trials if trial.outcome})
            raise SearchFailedError("; ".join(["no trial came to a result", *reasons]))

    def confirm(self, confirm: Confirm, *, otherwise: StopReason) -> StopReason:
        """Train the winners again; return INTERRUPTED if that was cut short, else `otherwise`."""
        jobs = jobs_of(
            confirm,
            read_experiment(self.folder).ranked[: confirm.top],
            folder=self.folder,
            experiment_seed=self.space.search.seed,
            progress=progress_of(read_log(self.folder / LOG)),
        )
        return self._train(jobs, otherwise)

    def _train(self, jobs: Sequence[Job], otherwise: StopReason) -> StopReason:
        why = self._engine.train(jobs) if jobs else StopReason.FINISHED
        return why if why is StopReason.INTERRUPTED else otherwise

    def score_test(self, *, otherwise: StopReason) -> StopReason:
        """Score the only trial's weights on the test split, as a replicate that has its seeds and its checkpoint."""
        trained = stored_job(self.folder, trial_run(0))
        job = replace(trained, run=replicate_run(0, 0), kind=JobKind.REPLICATE, replicate=0)
        known = progress_of(self.log.events)
        if job.run in known and known[job.run].ended:
            return otherwise
        (self.folder / job.run).mkdir(parents=True, exist_ok=True)
        for name in (CHECKPOINT, BEST):  # finished: nothing is trained again
            copy_atomically(self.folder / trained.run / name, self.folder / job.run / name)
        return self._train([job], otherwise)

    def end(self, why: StopReason) -> None:
        """Close the session in the log."""
        self.log.append("end", durable=True, why=why.value)
