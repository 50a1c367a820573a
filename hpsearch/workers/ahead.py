"""Trainings of the confirmation that idle workers begin while the last trials of a search still run.

Which trial wins is not known yet: those of the best so far are begun, and ended when another one takes its place. They
are trained as trials are, so that the test split stays sealed, and the log knows nothing of them. The winner's
replicates go on from the checkpoints that are there, which report everything, and only then are they scored.
"""

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from hpsearch.jobs import Job, JobKind, Workers
from hpsearch.workers.ledger import configure

_ON_SEEDS = "confirm/[0-9]*/seed-*"
"""Where such replicates are, see `replicate_run` in layout.py."""

Plan = Callable[[], Sequence[Job]]
"""The replicates that would be trained if the search ended now, in their order."""


class Ahead:
    """Hands replicates to workers ahead of time; `folder` is the experiment's."""

    def __init__(self, folder: Path, workers: Workers, plan: Plan) -> None:
        self._folder = folder
        self._workers = workers
        self._plan: Plan | None = plan
        self._planned: Sequence[Job] | None = None
        self._begun: set[str] = set()
        self._running: dict[str, Job] = {}
        self._waiting: dict[str, Job] = {}
        self._unwanted: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether trainings run ahead."""
        return bool(self._running)

    @property
    def awaited(self) -> bool:
        """Whether jobs wait for their own training, which runs ahead, to end."""
        return bool(self._waiting)

    def begin_one(self) -> bool:
        """Begin the next training that is planned now, on an idle worker; say whether there was one."""
        if self._plan is None:
            return False
        if self._planned is None:
            self._planned = self._plan()
            self._keep([job.run for job in self._planned])
        job = next((job for job in self._planned if job.run not in {*self._begun, *self._running}), None)
        if job is None:
            return False
        configure(self._folder, job, durable=False)
        ahead = self._running[job.run] = replace(job, kind=JobKind.TRIAL, replicate=None)
        self._begun.add(job.run)
        self._workers.start(ahead)
        return True

    def think_again(self) -> None:
        """Plan anew when asked next: a trial has ended, and may lead."""
        self._planned = None

    def decide(self, jobs: Sequence[Job], known: Collection[str]) -> None:
        """Begin nothing more; end what is not among the jobs of the confirmation, and remove what nobody knows."""
        self._plan = None
        runs = {job.run for job in jobs}
        self._keep(runs)
        for folder in self._folder.glob(_ON_SEEDS):  # by a session that was killed
            run = folder.relative_to(self._folder).as_posix()
            if run not in {*runs, *known, *self._running}:
                self._forget(run)

    def _keep(self, runs: Collection[str]) -> None:
        """Let the others come to their ends, which may share a process with trials, and leave nothing of them."""
        for run in self._begun - set(runs):
            self._begun.discard(run)
            if run in self._running:
                self._unwanted.add(run)
            else:
                self._forget(run)

    def _forget(self, run: str) -> None:
        shutil.rmtree(self._folder / run, ignore_errors=True)

    def is_wanted(self, job: Job) -> bool:
        """Check whether a training that runs ahead should go on."""
        return job.run not in self._unwanted

    def is_ahead(self, job: Job) -> bool:
        """Check whether a job is a training that runs ahead."""
        return self._running.get(job.run) is job

    def holds(self, job: Job) -> bool:
        """Check whether a job's training runs ahead; then it waits for that."""
        if job.run in self._running:
            self._waiting[job.run] = job
        return job.run in self._running

    def ended(self, job: Job) -> Job | None:
        """Take note that a training is over, however that was; return the job that has waited for it."""
        self._running.pop(job.run)
        awaiting = self._waiting.pop(job.run, None)
        if job.run in self._unwanted:
            self._unwanted.discard(job.run)
            if awaiting is None:
                self._forget(job.run)
        return awaiting

    def close(self) -> None:
        """Remove what is left of those that nobody wants, now that no worker writes any more."""
        for run in self._unwanted - set(self._waiting):
            self._forget(run)
