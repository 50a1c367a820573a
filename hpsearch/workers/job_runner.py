"""Running one job in whatever process: the objective is made, its errors become results, its output goes to a file."""

import contextlib
import importlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError, DivergedError, PeerLostError, ProgramError
from hpsearch.experiment.files import no_room
from hpsearch.experiment.layout import OUTPUT
from hpsearch.jobs import (
    Diverged,
    Failed,
    Job,
    JobListener,
    JobResult,
    Lost,
    ObjectiveFunction,
    ObjectiveSpec,
    Obstacle,
    OutOfMemory,
    Report,
    Reporter,
)
from hpsearch.records import Decision, Moment
from hpsearch.workers.failures import current_traceback, message_of, out_of_memory, reason_of
from hpsearch.workers.heartbeat import beating
from hpsearch.workers.output import output_to


def resolve(target: str) -> Any:
    """Import the object that `module:name` names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def make_objective(spec: ObjectiveSpec) -> ObjectiveFunction:
    """Import the objective's factory and call it."""
    objective: ObjectiveFunction = resolve(spec.target)(**spec.arguments)
    return objective


def wire_message(told: Report | Moment) -> dict[str, Any]:
    """Return what a worker sends of a report or a moment, as plain data with its kind."""
    return {"kind": "moment" if isinstance(told, Moment) else "report", **asdict(told)}


def answer_of(listener: JobListener, job: Job, kind: str, fields: Mapping[str, Any]) -> Decision:
    """Return a listener's answer to what `wire_message` made."""
    return listener.moment(job, Moment(**fields)) if kind == "moment" else listener.reported(job, Report(**fields))


def run_job(objective: ObjectiveFunction, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
    """Run one job; turn what it raises into a result, also KeyboardInterrupt: a worker does not hear Ctrl-C."""
    begun = time.monotonic()
    try:
        return objective(job, report, started)
    except DivergedError as error:
        return Diverged(message_of(error), seconds=time.monotonic() - begun)
    except PeerLostError as error:
        return Lost(message_of(error))
    except BaseException as error:  # noqa: BLE001 -- whatever the user's code raises is an outcome, no crash
        if obstacle := no_room(error):
            return Obstacle(obstacle)
        reason, details, seconds = reason_of(error), current_traceback(), time.monotonic() - begun
        if out_of_memory(error):
            return OutOfMemory(reason, details=details, seconds=seconds)
        return Failed(reason, details=details, seconds=seconds, mistake=isinstance(error, DataError | ProgramError))


class JobRunner:
    """Runs jobs one after another with one objective, which is made for the first of them."""

    def __init__(self, folder: Path, spec: ObjectiveSpec) -> None:
        self._folder = folder.absolute()  # a training may change the working directory
        self._spec = spec
        self._objective: ObjectiveFunction | None = None

    def run(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        """Run a job with its output in its folder; whatever goes wrong is in the result."""
        try:
            with (
                output_to(self._folder / job.run / OUTPUT),
                beating(self._folder / job.run),
                contextlib.chdir(os.curdir),  # and back again: the next job's paths start here, too
            ):
                try:
                    self._objective = self._objective or make_objective(self._spec)
                except BaseException as error:  # noqa: BLE001 -- a family that cannot be imported is the trial's failure
                    return Failed(reason_of(error), details=current_traceback())
                return run_job(self._objective, job, report, started)
        except OSError as error:  # what it prints cannot be written
            if not (obstacle := no_room(error)):
                raise
            return Obstacle(obstacle)
