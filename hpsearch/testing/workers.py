"""What the workers of every engine promise to the coordinator: jobs are run, reports are answered, losses are told.

The objective is made up and needs no torch, so that a worker starts in a moment.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hpsearch.errors import DivergedError
from hpsearch.jobs import (
    Completed,
    Diverged,
    Failed,
    Job,
    JobResult,
    Lost,
    ObjectiveFunction,
    ObjectiveSpec,
    Pruned,
    Report,
    Reporter,
    Workers,
    stopped,
)
from hpsearch.records import Decision, Moment

PATIENCE = 120.0
"""Seconds after which workers on a busy machine are taken to have failed."""
STEPS = 3


class _MuteError(BaseException):
    """Can be neither printed nor pickled."""

    def __str__(self) -> str:
        raise SystemExit

    def __reduce__(self) -> str:
        raise TypeError


def make_deeds() -> ObjectiveFunction:
    """Return the objective of the suite: it does what a job's parameter `deed` says, or reports STEPS times."""
    return _do


def _do(job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
    started()
    deed = job.params["deed"]
    if deed == "fail":
        raise RuntimeError("made to fail")
    if deed == "interrupt":
        raise KeyboardInterrupt("raised by the training itself")
    if deed == "exit":
        raise SystemExit(0)
    if deed == "mute":
        raise _MuteError
    if deed == "diverge":
        raise DivergedError("the loss is NaN")
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "hang":
        time.sleep(3600)
    for step in range(1, STEPS + 1):
        if report(Moment(step, STEPS)) is not Decision.CONTINUE:
            return stopped(Decision.PAUSE, seconds=float(step))
        decision = report(Report(step, {"val/loss": 1 / step}, float(step), final=step == STEPS))
        if decision is not Decision.CONTINUE:
            return stopped(decision, seconds=float(step))
    return Completed(seconds=float(STEPS), scores={"number": float(job.number)})


@dataclass
class Listener:
    """A coordinator that only takes notes; it prunes at the step `prune_at`."""

    prune_at: int | None = None
    notes: list[tuple[str, str, Any]] = field(default_factory=list)

    def started(self, job: Job) -> None:
        """Note the start of a job."""
        self.notes.append((job.run, "started", None))

    def reported(self, job: Job, report: Report) -> Decision:
        """Note the step of a report, and answer it."""
        self.notes.append((job.run, "reported", report.step))
        return Decision.PRUNE if report.step == self.prune_at else Decision.CONTINUE

    def moment(self, job: Job, moment: Moment) -> Decision:
        """Note how far a job is between two reports."""
        self.notes.append((job.run, "moment", moment.done))
        return Decision.CONTINUE

    def ended(self, job: Job, result: JobResult) -> None:
        """Note the result of a job."""
        self.notes.append((job.run, "ended", result))

    def about(self, job: Job) -> list[str]:
        """Return what was heard of a job: started, reported 1, reported 2, ended ..., without what came in between."""
        own = [(what, step) for run, what, step in self.notes if run == job.run and what != "moment"]
        return [f"{what} {step}" if what == "reported" else what for what, step in own]

    def result(self, job: Job) -> JobResult | None:
        """Return the result of a job, or None before its end."""
        return next((result for run, what, result in self.notes if run == job.run and what == "ended"), None)


class Crew:
    """Workers and their listener, driven as the coordinator drives them."""

    def __init__(self, workers: Workers, folder: Path) -> None:
        self.workers = workers
        self.listener = Listener()
        self._folder = folder
        self._jobs = 0

    def start(self, deed: str = "train") -> Job:
        """Start a job as soon as a worker is idle."""
        job = Job(f"trials/{self._jobs:04d}", self._jobs, {"deed": deed}, config={}, seeds={})
        self._jobs += 1
        (self._folder / job.run).mkdir(parents=True)
        self.serve_until(lambda: self.workers.idle)
        self.workers.start(job)
        return job

    def serve_until(self, condition: Callable[[], object]) -> None:
        """Serve until the condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"nothing more came; heard: {self.listener.notes}"
            self.workers.serve(self.listener, timeout=0.1)

    def run(self, deed: str = "train") -> tuple[Job, JobResult | None]:
        """Run a job to its end."""
        job = self.start(deed)
        self.serve_until(lambda: self.listener.result(job))
        return job, self.listener.result(job)


class WorkersSuite:
    """The promises of an engine's workers. Write `open`, which makes them."""

    separate: ClassVar[bool] = True
    """Whether jobs run in other processes, which may die and can be killed."""

    def open(self, folder: Path, objective: ObjectiveSpec) -> Workers:
        """Return workers that run the objective on jobs of the experiment in this folder."""
        raise NotImplementedError

    @pytest.fixture
    def crew(self, tmp_path: Path) -> Iterator[Crew]:
        """Yield the workers with a listener; close them at the end."""
        workers = self.open(tmp_path, ObjectiveSpec(f"{__name__}:{make_deeds.__name__}", {}))
        try:
            yield Crew(workers, tmp_path)
        finally:
            workers.close()

    def test_a_job_is_heard_from_its_start_to_its_end(self, crew: Crew) -> None:
        job, result = crew.run()
        assert crew.listener.about(job) == ["started", "reported 1", "reported 2", "reported 3", "ended"]
        assert result == Completed(seconds=3.0, scores={"number": 0.0})

    def test_the_answer_to_a_report_reaches_the_job(self, crew: Crew) -> None:
        crew.listener.prune_at = 2
        job, result = crew.run()
        assert crew.listener.about(job) == ["started", "reported 1", "reported 2", "ended"]
        assert result == Pruned(seconds=2.0)

    def test_an_exception_is_a_result_and_the_next_job_finds_a_worker(self, crew: Crew) -> None:
        _, failed = crew.run("fail")
        assert isinstance(failed, Failed)
        assert "made to fail" in failed.reason
        assert "Traceback" in (failed.details or "")
        _, diverged = crew.run("diverge")
        assert isinstance(diverged, Diverged)
        assert "the loss is NaN" in diverged.reason
        assert isinstance(crew.run()[1], Completed)

    @pytest.mark.parametrize(
        ("deed", "reason"), [("interrupt", "KeyboardInterrupt: "), ("exit", "SystemExit: 0"), ("mute", "_MuteError: ")]
    )
    def test_what_is_no_exception_is_a_result_too(self, crew: Crew, deed: str, reason: str) -> None:
        job, failed = crew.run(deed)
        assert isinstance(failed, Failed)
        assert failed.reason.startswith(reason)
        assert crew.listener.about(job) == ["started", "ended"]
        assert isinstance(crew.run()[1], Completed)

    def test_every_idle_worker_takes_a_job(self, crew: Crew) -> None:
        crew.serve_until(lambda: crew.workers.idle)
        jobs = [crew.start() for _ in range(crew.workers.idle)]
        crew.serve_until(lambda: all(crew.listener.result(job) for job in jobs))
        assert [crew.listener.result(job) for job in jobs] == [
            Completed(seconds=3.0, scores={"number": float(job.number)}) for job in jobs
        ]
        crew.serve_until(lambda: crew.workers.idle >= len(jobs))

    def test_serving_without_a_job_comes_back(self, crew: Crew) -> None:
        crew.serve_until(lambda: crew.workers.idle)
        crew.workers.serve(crew.listener, timeout=0.0)
        assert crew.listener.notes == []

    def test_a_dead_process_is_a_loss_and_the_next_job_finds_a_worker(self, crew: Crew) -> None:
        if not self.separate:
            pytest.skip("the jobs run in this process")
        job, lost = crew.run("die")
        assert isinstance(lost, Lost)
        assert lost.reason
        assert crew.listener.about(job)[-1] == "ended"
        assert isinstance(crew.run()[1], Completed)

    def test_of_a_killed_job_nothing_more_is_heard(self, crew: Crew) -> None:
        if not self.separate:
            pytest.skip("the jobs run in this process")
        job = crew.start("hang")
        crew.serve_until(lambda: crew.listener.about(job))
        crew.workers.kill(job)
        assert isinstance(crew.run()[1], Completed)
        assert crew.listener.about(job) == ["started"]
