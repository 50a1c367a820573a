"""What a worker does with several jobs at once: those of one shape are trained as one, the others each alone."""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from hpsearch.experiment.layout import OUTPUT
from hpsearch.jobs import Job, JobKind, JobResult, PackHost, Paused, Reporter
from hpsearch.places import located
from hpsearch.records import Decision, Moment
from hpsearch.running.objective import FamilyObjective, as_report
from hpsearch.running.telling import TOLD_EVERY, PreparationStoppedError, Teller
from hpsearch.seeds import Seeds
from hpsearch.training.devices import resolve_device
from hpsearch.training.packs.candidate import Candidate, Ended
from hpsearch.training.packs.probe import probe_lanes
from hpsearch.training.packs.together import Packs
from hpsearch.training.random_state import isolated
from hpsearch.training.settings import TrainSettings
from hpsearch.workers.job_runner import run_job

_DATA = "data"
"""What is prepared first of a job."""


class PackedObjective(FamilyObjective):
    """Trains jobs of one family, `lanes` at once; with `auto` as many as a probe of the first job finds fastest."""

    def __init__(self, *, lanes: int | str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._asked = lanes
        self._lanes: int | None = None if lanes == "auto" else int(lanes)
        self._told: set[str] = set()
        self._packed: dict[Candidate, tuple[Job, Any, Mapping[str, Any]]] = {}
        self._told_at = float("-inf")
        self._pausing = False

    def serve(self, host: PackHost) -> None:
        """Take jobs from the host until there are no more."""
        while (job := host.take(wait=True)) is not None:
            device = resolve_device(job.config.get("train", {}).get("device", "auto"))
            deterministic = job.config.get("train", {}).get("deterministic", True)
            with isolated(device, deterministic=deterministic):
                self._serve_from(job, host, device)

    def _serve_from(self, job: Job | None, host: PackHost, device: torch.device) -> None:
        """Train a job and those that come meanwhile, until none is left."""
        packs: Packs | None = None
        while job is not None or self._packed:
            while job is not None:
                candidate = self._candidate(job, host, device)
                if candidate is not None:
                    packs = packs or Packs(self._found_lanes(candidate, host, device), device=device)
                    packs.begin(candidate)
                job = host.take(wait=False) if packs is None or packs.free else None
            for ended in packs.advance() if packs else ():
                self._finish(ended, host)
            job = host.take(wait=False) if packs is None or packs.free else None

    def _candidate(self, job: Job, host: PackHost, device: torch.device) -> Candidate | None:
        """Return a job's training if it may be packed; any other job is done at once."""
        if host.report(job, Moment(0, 0, preparing=_DATA)) is not Decision.CONTINUE:  # its silence counts from here
            host.ended(job, Paused())
            return None
        if job.kind is JobKind.BASELINES or job.changes:
            self._do_alone(job, host)
            return None
        made: list[Candidate] = []

        def make(job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
            try:
                made.append(self._made(job, report, started))
            except PreparationStoppedError:
                return Paused()
            raise _PackedError

        with host.output(job):
            result = run_job(make, job, lambda report: host.report(job, report), lambda: host.started(job))
        if not made:
            host.ended(job, result)
            return None
        if resolve_device(made[0].settings.device) != device:
            self._packed.pop(made[0])
            self._do_alone(job, host)
            return None
        return made[0]

    def _made(self, job: Job, report: Reporter, started: Callable[[], None]) -> Candidate:
        config: Any = located(self._family.Config.model_validate(job.config), self._home)
        splits = self._data.of(config, job).view(sealed=job.kind is JobKind.TRIAL)
        with contextlib.closing(Teller(report, self._folder / job.run)) as teller, teller.preparing(stops=True):
            task = self._family.task(config, splits)
            data = self._data.noted(splits, "train", "val")
        started()
        candidate = Candidate(
            task,
            splits,
            config.train,
            Seeds(**job.seeds),
            self._monitor,
            lambda evaluation: report(as_report(evaluation)),
            self._folder / job.run,
            _kind(job.config),
            tell=lambda moment: self._tell_of(job, moment, report),
        )
        self._packed[candidate] = (job, config, data)
        return candidate

    def _tell_of(self, job: Job, moment: Moment, report: Reporter) -> Decision:
        """Tell of one of the lanes in a second; as soon as one is to pause, ask for each of them."""
        if moment.note:  # it is heard while the lane is made, when nothing that is printed is this job's
            with (self._folder / job.run / OUTPUT).open("a", encoding="utf-8") as output:
                output.write(f"hpsearch: {moment.note}\n")
            return report(moment)
        now = time.monotonic()
        if not self._pausing and now - self._told_at < TOLD_EVERY:
            return Decision.CONTINUE
        self._told_at = now
        decision = report(moment)
        self._pausing = decision is not Decision.CONTINUE
        return decision

    def _do_alone(self, job: Job, host: PackHost) -> None:
        with host.output(job):
            result = run_job(self, job, lambda report: host.report(job, report), lambda: host.started(job))
        host.ended(job, result)

    def _found_lanes(self, candidate: Candidate, host: PackHost, device: torch.device) -> int:
        """Return the number of lanes, and tell the host; it is probed once where it was not given."""
        if self._lanes is None:
            try:
                probe = probe_lanes(candidate, device=device, clock=time.perf_counter)
            except BaseException:  # noqa: BLE001 - its training raises that again, and ends by it; the next one is probed
                return 1
            self._lanes = probe.best
            if probe.reason:
                self._tell(probe.reason, host)
        host.lanes(self._lanes)
        return self._lanes

    def _finish(self, ended: Ended, host: PackHost) -> None:
        job, config, data = self._packed.pop(ended.candidate)
        if ended.alone:
            self._tell(ended.alone, host)
        host.lanes(1 if ended.alone else self._lanes or 1)  # what is trained alone should not wait in a row here

        def ending(job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:  # noqa: ARG001 - it is over
            if isinstance(ended.result, BaseException):
                raise ended.result
            candidate = ended.candidate
            return self._ending(job, candidate.task, candidate.splits, config, ended.result, data)

        with host.output(job):
            if ended.alone:
                print(f"trained alone, not in a pack: {ended.alone}")  # noqa: T201 - into the job's own file
            result = run_job(ending, job, lambda report: host.report(job, report), lambda: None)
        host.ended(job, result)

    def _tell(self, reason: str, host: PackHost) -> None:
        """Tell a reason for training alone once."""
        if reason not in self._told:
            self._told.add(reason)
            host.tell(f"trained alone, not in packs: {reason}")


class _PackedError(Exception):
    """The job was handed to a pack: no end of it."""


def _kind(config: Mapping[str, Any]) -> str:
    """Return what must be equal in a pack: everything but numbers with a fraction, and the loop's own settings.

    By the contract of Task such numbers enter the loss by its `scalars` only; packs hold the first loss of each lane
    against the task's own.
    """
    own = {name: value for name, value in config.items() if name != "train"}
    train = {name: value for name, value in config.get("train", {}).items() if name not in TrainSettings.model_fields}
    return json.dumps(_without_fractions({**own, "train": train}), sort_keys=True)


def _without_fractions(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_fractions(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_fractions(each) for each in value]
    return None if isinstance(value, float) else value
