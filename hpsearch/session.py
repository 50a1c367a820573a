"""One session of an experiment: earlier sessions are taken up, the search goes on, winners are confirmed."""

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.confirmation import jobs_of
from hpsearch.engines import Job
from hpsearch.engines.coordinator import Why
from hpsearch.engines.engine import Engine
from hpsearch.engines.ledger import Observer, stored_job
from hpsearch.engines.progress import progress_of
from hpsearch.errors import ExperimentError, SearchFailedError
from hpsearch.experiment.files import copy_atomically, remove_leftovers, write_atomically, write_json
from hpsearch.experiment.layout import (
    BEST,
    CHECKPOINT,
    CONFIG,
    FORMAT_VERSION,
    LOCK,
    LOG,
    RESOLVED,
    SPACE,
    is_experiment,
    replicate_run,
    trial_run,
)
from hpsearch.experiment.log import Event, Log, read_log
from hpsearch.experiment.provenance import git_state, machine, versions
from hpsearch.experiment.reading import read_experiment, read_resolved
from hpsearch.seeds import Seeds
from hpsearch.space import Confirm, Space, differences
from hpsearch.training.settings import TrainSettings

_BUDGET = (
    *("search.trials", "search.time", "search.trial_time", "confirm"),
    *("search.engine", "search.workers", "search.retries", "search.resources", "search.storage"),
)
"""What may change between two sessions of an experiment without making it another search."""


def take_up(space: Space, folder: Path) -> list[str]:
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
            _sorted_out(space, folder, list(read_log(folder / LOG)))  # refuses before anything is written
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
            "space_folder": str(space.path.parent.resolve()),
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
    params = space.sample_feasible(random.Random(0)) or {}  # noqa: S311 -- any configuration will do
    train = getattr(space.config(params), "train", None)
    return "step" if isinstance(train, TrainSettings) and train.evaluate.steps is not None else "epoch"


def _sorted_out(space: Space, folder: Path, events: Sequence[Event]) -> tuple[dict[str, int], dict[str, str]]:
    """Return the trials that the space, as it is now, would train just as they were, and why the others do not fit.

    Of those whose data could not be used only the values have to fit: they are tried again, with what is fixed now.
    Errors: ExperimentError when there are trials and none fits.
    """
    begun = progress_of(events)
    fitting: dict[str, int] = {}
    misfits: dict[str, str] = {}
    left_out = {event["run"] for event in events if event["event"] == "drop"}
    asked = [event for event in events if event["event"] == "ask" and event["run"].startswith("trials/")]
    for event in asked:
        run = event["run"]
        if run in left_out:
            continue
        if run in begun:
            reason = _misfit(space, folder, run, event["params"])
        else:
            reason = next(iter(space.check_params(event["params"])), None)
        if reason is None:
            fitting[run] = event["number"]
        else:
            misfits[run] = reason
    if not fitting and any(event["run"] in begun for event in asked):
        raise ExperimentError(
            f"no earlier trial in {folder} fits the changed space; start another experiment with --name"
        )
    return fitting, misfits


def _misfit(space: Space, folder: Path, run: str, asked: Mapping[str, Any]) -> str | None:
    if not (folder / run / CONFIG).is_file():
        return f"its {CONFIG} is missing"
    stretches = stored_job(folder, run).stretches
    for params in (asked, *(params for params, _ in stretches)):
        wrong = space.check_params(params)
        if wrong:
            return wrong[0]
    same = all(space.config(params).model_dump(mode="json") == _filled(space, config) for params, config in stretches)
    return None if same else "a fixed setting has changed"


def _filled(space: Space, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a stored configuration with the settings that are newer than it; as it is where the family refuses it."""
    try:
        return space.face.Config.model_validate(config).model_dump(mode="json")
    except ValueError:
        return config


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

    def search(self) -> tuple[Why, bool]:
        """Run the search; earlier trials that fit the space are kept, the others are left out from now on."""
        fitting = self._fitting()
        trials = {
            event["run"]: event
            for event in self.log.events
            if event["event"] == "ask" and event["run"].startswith("trials/")
        }
        unfinished = [
            stored_job(self.folder, run) if run in self._progress else self._make_job(number, trials[run]["params"])
            for run, number in fitting.items()
            if run not in self._progress or not self._progress[run].ended
        ]
        if len(trials) >= self.space.search.trials and not unfinished:
            return Why.FINISHED, False
        return self._engine.search(
            self._make_job, fitting=fitting, asked=len(trials), unfinished=unfinished, longest=self._longest()
        )

    def _fitting(self) -> dict[str, int]:
        """Return the earlier trials that fit; drop the others, in the log, from now on."""
        fitting, misfits = _sorted_out(self.space, self.folder, self.log.events)
        for run, reason in misfits.items():
            dropped = self.log.append("drop", durable=True, run=run, reason=reason)
            for observer in self._observers:
                observer.observe(dropped)
        return fitting

    def _make_job(self, number: int, params: Mapping[str, Any]) -> Job:
        config = self.space.config(params).model_dump(mode="json")
        seeds = Seeds.for_trial(self.space.search.seed, number).model_dump()
        return Job(run=trial_run(number), number=number, params=params, config=config, seeds=seeds)

    def _longest(self) -> int | None:
        """Return the epochs of a training when the space fixes them: Hyperband's largest budget."""
        epochs = self.space.resolved().get("train", {}).get("epochs")
        return epochs if isinstance(epochs, int) else None

    def require_result(self) -> None:
        """Raise SearchFailedError, with the reasons, when no trial has come to a result."""
        record = read_experiment(self.folder)
        if record.best is None:
            reasons = sorted({f"{trial.outcome}: {trial.reason}" for trial in record.trials if trial.outcome})
            raise SearchFailedError("; ".join(["no trial came to a result", *reasons]))

    def confirm(self, confirm: Confirm, *, otherwise: Why) -> Why:
        """Train the winners again; return INTERRUPTED if that was cut short, else `otherwise`."""
        jobs = jobs_of(
            confirm,
            read_experiment(self.folder).ranked[: confirm.top],
            folder=self.folder,
            experiment_seed=self.space.search.seed,
            progress=progress_of(read_log(self.folder / LOG)),
        )
        return self._train(jobs, otherwise)

    def _train(self, jobs: Sequence[Job], otherwise: Why) -> Why:
        why = self._engine.train(jobs) if jobs else Why.FINISHED
        return why if why is Why.INTERRUPTED else otherwise

    def score_test(self, *, otherwise: Why) -> Why:
        """Score the only trial's weights on the test split, as a replicate that has its seeds and its checkpoint."""
        trained = stored_job(self.folder, trial_run(0))
        job = replace(trained, run=replicate_run(0, 0), replicate=0)
        known = progress_of(self.log.events)
        if job.run in known and known[job.run].ended:
            return otherwise
        (self.folder / job.run).mkdir(parents=True, exist_ok=True)
        for name in (CHECKPOINT, BEST):  # finished: nothing is trained again
            copy_atomically(self.folder / trained.run / name, self.folder / job.run / name)
        return self._train([job], otherwise)

    def end(self, why: Why) -> None:
        """Close the session in the log."""
        self.log.append("end", durable=True, why=why.value)
