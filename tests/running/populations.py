"""A population in the small: the hill of Jaderberg et al. 2017 (figure 2), climbed without torch in a moment.

Two coordinates are to be brought to 0, where the value is 1.2. Each is only moved by its own rate, so that whoever has
but one of the rates gets stuck at 0.39.
"""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hpsearch.errors import DivergedError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import BEST, CHECKPOINT, LOG
from hpsearch.experiment.log import Log
from hpsearch.experiment.reading import read_experiment
from hpsearch.jobs import Completed, Job, JobResult, ObjectiveSpec, Report, Reporter, stopped
from hpsearch.records import Decision, ExperimentRecord, Goal
from hpsearch.running.earlier import prepare_experiment
from hpsearch.running.session import Session
from hpsearch.settings import Settings
from hpsearch.space import Space, read_space
from hpsearch.workers.engines import EngineContext
from hpsearch.workers.ledger import Observer
from tests.logs import Line, read_log
from tests.running.sessions import Blow

METRIC = "val/height"
Trouble = Literal["none", "raise", "diverge", "kill", "memory"]


class Climb(Settings):
    """`steps` in all, reported as multiples of `stride`; at step `at` the `trouble` comes instead of a report.

    At step `fall` it finds itself where it began.
    """

    steps: int = Field(default=6, ge=1)
    stride: int = 1
    fall: int = 0
    trouble: Trouble = "none"
    at: int = 1


class Rates(Settings):
    first: float = Field(default=1.0, ge=0, le=1)
    second: float = Field(default=1.0, ge=0, le=1)
    turns: int = Field(default=1, ge=1)
    kind: Literal["a", "b", "c"] = "a"


class HillConfig(Settings):
    climb: Climb = Climb()
    rates: Rates = Rates()


class HillInterface:
    """What a space needs to know of the hill."""

    Config = HillConfig
    metrics: Mapping[str, Goal] = {"height": Goal.MAXIMIZE}

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        """Find nothing."""
        del configuration
        return {}


class Hill:
    """Climbs; keeps where it stands in its checkpoint, and what it climbed with as its best weights."""

    def __init__(self, *, folder: str, threads: int = 1) -> None:
        del threads  # it does not compute much
        self._folder = Path(folder)

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        started()
        checkpoint = self._folder / job.run / CHECKPOINT
        state: dict[str, Any] = {"place": [0.9, 0.9], "heights": [], "rates": [], "seeds": dict(job.seeds)}
        if checkpoint.exists():
            state = json.loads(checkpoint.read_text(encoding="utf-8"))
            assert state["seeds"] == dict(job.seeds), "a checkpoint of another training"
        heights, decision, stride = state["heights"], Decision.CONTINUE, job.config["climb"]["stride"]
        for step, height in enumerate(heights, start=1):
            decision = report(Report(step * stride, {METRIC: height}, float(step), final=self._is_last(job, step)))
        while decision is Decision.CONTINUE and not self._is_last(job, len(heights)):
            self._climb(job, state)
            write_json(checkpoint, state)
            write_json(checkpoint.with_name(BEST), state["place"])
            step = len(heights)
            decision = report(Report(step * stride, {METRIC: heights[-1]}, float(step), final=self._is_last(job, step)))
        seconds = float(len(heights))
        return Completed(seconds=seconds) if decision is Decision.CONTINUE else stopped(decision, seconds=seconds)

    def _is_last(self, job: Job, step: int) -> bool:
        return step >= job.config["climb"]["steps"]

    def _climb(self, job: Job, state: dict[str, Any]) -> None:
        done = len(state["heights"])
        trouble, at = job.config["climb"]["trouble"], job.config["climb"]["at"]
        if trouble != "none" and done + 1 == at:
            _trouble(trouble)
        number = sum(change.step <= done * job.config["climb"]["stride"] for change in job.changes)
        rates = job.stretches[number][1]["rates"]
        first, second = state["place"]
        state["place"] = [first * (1 - 0.2 * rates["first"]), second * (1 - 0.2 * rates["second"])]
        if done + 1 == job.config["climb"]["fall"]:
            state["place"] = [0.9, 0.9]
        state["rates"].append([rates["first"], rates["second"]])
        state["heights"].append(1.2 - sum(each**2 for each in state["place"]))


def _trouble(kind: Trouble) -> None:
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise {"raise": ValueError, "diverge": DivergedError, "memory": MemoryError}[kind](f"the path {kind}s")


def make_hill(**arguments: Any) -> Hill:
    return Hill(**arguments)


TEXT = """\
family: hill
objective: {{metric: val/height, at: {rule}}}
search: {{sampler: random, pruner: {pruner}, trials: {trials}, workers: {workers}, retries: {retries}, seed: {seed}}}
climb: {climb}
rates: {rates}
{more}
"""
RATES = "{first: {float: [0, 1], mutable: true}, second: {float: [0, 1], mutable: true}}"


class Camp:
    """Runs searches of the hill in a folder, here or in a process that can be killed."""

    def __init__(
        self,
        folder: Path,
        *,
        pruner: str = "{pbt: {interval: 2}}",
        trials: int = 4,
        workers: int = 1,
        retries: int | str = 0,
        seed: int = 0,
        climb: str = "{steps: 6}",
        rates: str = RATES,
        rule: str = "last",
        more: str = "",
    ) -> None:
        self.folder = folder / "hill"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "hill.yaml"
        settings = {"pruner": pruner, "trials": trials, "workers": workers, "retries": retries, "seed": seed}
        self._path.write_text(TEXT.format(**settings, climb=climb, rates=rates, rule=rule, more=more), encoding="utf-8")

    @property
    def space(self) -> Space:
        return read_space(self._path, lambda _name, _path: HillInterface())

    def run(self, *, in_process: bool = True, observers: Sequence[Observer] = ()) -> ExperimentRecord:
        """Search, or go on with the search, to its end."""
        space = self.space
        notes = prepare_experiment(space, self.folder)
        log = Log(self.folder / LOG)
        spec = ObjectiveSpec("tests.running.populations:make_hill", {"folder": str(self.folder)})
        workers = int(space.search.workers)
        try:
            context = EngineContext(
                self.folder, log, space, spec, 0, jobs=workers, in_process=in_process, observers=observers
            )
            with Session(context) as session:
                session.begin(notes)
                session.end(session.search())
        finally:
            log.close()
        return self.record

    def run_until(self, *, moment: int | None = None, event: int | None = None) -> int:
        """Run in a process that is killed at a moment or behind an event, if it comes so far; return how it ended."""
        process = multiprocessing.get_context("fork").Process(target=self._run_struck, args=(moment, event))
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode

    def _run_struck(self, moment: int | None, event: int | None) -> None:
        blow = Blow(moment, event)
        sys.setprofile(blow)
        self.run()
        sys.setprofile(None)
        (self.folder.parent / "moments").write_text(str(blow.moments), encoding="utf-8")

    @property
    def moments(self) -> int:
        """How many moments there were to strike at in the last run that came to its end."""
        return int((self.folder.parent / "moments").read_text(encoding="utf-8"))

    @property
    def record(self) -> ExperimentRecord:
        return read_experiment(self.folder)

    @property
    def events(self) -> list[Line]:
        return list(read_log(self.folder / LOG))

    def exploits(self) -> list[Line]:
        return [event for event in self.events if event["event"] == "exploit"]

    def state(self, run: str) -> dict[str, Any]:
        """Return the checkpoint of a run."""
        state: dict[str, Any] = json.loads((self.folder / run / CHECKPOINT).read_text(encoding="utf-8"))
        return state
