"""Trainings that say nothing: a loader that hangs is ended, and a worker that is stuck is told from a slow one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from hpsearch.experiment.activity import last_sign, locked, silent_runs
from hpsearch.experiment.events import StopEvent
from hpsearch.experiment.layout import ALIVE, LOG, trial_run
from hpsearch.experiment.log import Log
from hpsearch.experiment.orders import Inbox, new_order, place
from hpsearch.experiment.reading import read_experiment
from hpsearch.jobs import Completed, Job, JobListener, Paused, Report
from hpsearch.records import Decision, Moment, Outcome
from hpsearch.search.sources import JobList
from hpsearch.workers.coordinator import Coordinator
from hpsearch.workers.heartbeat import beating
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.limits import Limits
from hpsearch.workers.steering import Steering
from tests.experiment_factory import GrowingExperiment, curves_space


class Loading:
    """A worker that needs so many looks to load its data; it may say so each time, and then trains."""

    def __init__(self, looks: int | None, *, tells: bool) -> None:
        self._looks = looks
        self._tells = tells
        self.job: Job | None = None
        self.killed: list[Job] = []

    @property
    def idle(self) -> int:
        return int(self.job is None)

    def start(self, job: Job) -> None:
        self.job, self.seen = job, 0

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        assert self.job is not None
        time.sleep(0.02)
        self.seen += 1
        if self._looks is not None and self.seen >= self._looks:
            job, self.job = self.job, None
            listener.started(job)
            listener.reported(job, Report(1, {"val/loss": 0.5}, 0.1, final=True))
            listener.ended(job, Completed(seconds=0.1))
        elif self._tells:
            assert listener.moment(self.job, Moment(self.seen, 100, preparing="data")) is Decision.CONTINUE

    def kill(self, job: Job) -> None:
        self.killed.append(job)
        self.job = None

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("looks", "tells", "trial_time", "loading", "outcome"),
    [
        (None, False, 0.1, 0.2, Outcome.TIMED_OUT),
        (None, False, 0.3, 0.1, Outcome.TIMED_OUT),
        (30, True, 0.1, 0.2, Outcome.COMPLETE),
        (30, False, 0.1, 30.0, Outcome.COMPLETE),
        (30, False, 0.1, None, Outcome.COMPLETE),
        (30, False, None, 0.1, Outcome.COMPLETE),
    ],
)
def test_a_loader_that_says_nothing_is_ended(
    looks: int | None,
    tells: bool,
    trial_time: float | None,
    loading: float | None,
    outcome: Outcome,
    tmp_path: Path,
) -> None:
    log, workers = Log(tmp_path / LOG), Loading(looks, tells=tells)
    ledger = Ledger(tmp_path, log, metric="val/loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    job = Job("trials/0000", 0, {}, config={}, seeds={"initialisation": 0})
    Coordinator(ledger, workers, Limits(trial_time=trial_time, loading=loading)).run(JobList([job]))
    log.close()
    run = log.state.runs[job.run]
    assert run.outcome is outcome
    assert bool(workers.killed) is (outcome is Outcome.TIMED_OUT)
    if workers.killed:
        assert "nothing was heard of its data" in (run.reason or "")


class Packed:
    """A worker of three jobs: it trains one, loads the data of the next for ever, and has not come to the last.

    When it is killed, the others go on. At each look its clock goes on by three seconds.
    """

    idle = 3

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs: list[Job] = []
        self.killed: list[Job] = []
        self._passed = 0.0
        clock = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: clock() + self._passed)

    def start(self, job: Job) -> None:
        self.jobs.append(job)
        self.idle = 3 - len(self.jobs)

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        if self._passed == 0:
            listener.started(self.jobs[0])
            listener.moment(self.jobs[1], Moment(0, 0, preparing="data"))
        self._passed += 3.0
        if self.killed:
            job = self.jobs.pop()
            listener.started(job)
            listener.reported(job, Report(1, {"val/loss": 0.5}, 0.1, final=True))
            listener.ended(job, Completed(seconds=0.1))

    def kill(self, job: Job) -> None:
        self.killed.append(job)
        self.jobs.remove(job)
        self.idle = 0

    def close(self) -> None:
        pass


def test_of_a_pack_only_the_run_is_ended_whose_data_do_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, workers = Log(tmp_path / LOG), Packed(monkeypatch)
    ledger = Ledger(tmp_path, log, metric="val/loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    jobs = [Job(f"trials/{n:04d}", n, {}, config={}, seeds={"initialisation": 0}) for n in range(3)]
    Coordinator(ledger, workers, Limits(trial_time=30.0, loading=60.0, queues=True)).run(JobList(jobs))
    log.close()
    outcomes = [log.state.runs[job.run].outcome for job in jobs]
    assert outcomes == [Outcome.COMPLETE, Outcome.TIMED_OUT, Outcome.COMPLETE]
    assert workers.killed == jobs[1:2]


class Suspended(Loading):
    """A worker during whose work the coordinator's clock goes on by so many seconds at each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, seconds: list[float], begun: bool) -> None:
        super().__init__(len(seconds) + 1, tells=False)
        self._seconds, self._passed, self._begun = seconds, 0.0, begun
        clock = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: clock() + self._passed)

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        if self.job is not None and self._begun and not self.seen:
            listener.started(self.job)
        super().serve(listener, timeout=timeout)
        if self.job is not None:
            self._passed += self._seconds[self.seen - 1]


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [([10_000.0], Outcome.COMPLETE), ([3.0, 10_000.0, 3.0], Outcome.COMPLETE), ([3.0] * 100, Outcome.TIMED_OUT)],
)
def test_no_run_is_blamed_for_the_time_in_which_nobody_could_hear_it(
    seconds: list[float], outcome: Outcome, begun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, workers = Log(tmp_path / LOG), Suspended(monkeypatch, seconds=seconds, begun=begun)
    ledger = Ledger(tmp_path, log, metric="val/loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    job = Job("trials/0000", 0, {}, config={}, seeds={"initialisation": 0})
    Coordinator(ledger, workers, Limits(trial_time=30.0, loading=30.0)).run(JobList([job]))
    log.close()
    assert log.state.runs[job.run].outcome is outcome


class Writing(Suspended):
    """A worker that takes a hundred looks of 3 s to write its checkpoint, once it has heard that it is to stop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, *, between: bool) -> None:
        super().__init__(monkeypatch, seconds=[3.0] * 100, begun=True)
        self._folder, self._between = folder, between

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        job = self.job
        if job is None or self.seen == 100:
            self.job = None
            if job is not None:
                listener.ended(job, Paused())
            return
        super().serve(listener, timeout=timeout)
        if self.seen == 1:
            place(self._folder, StopEvent(order=new_order(), run=job.run))
            told = Moment(1, 9) if self._between else Report(1, {"val/loss": 0.5}, 0.1)
            hear = listener.moment if isinstance(told, Moment) else listener.reported
            assert hear(job, told) is Decision.PAUSE  # type: ignore[arg-type]


@pytest.mark.parametrize("between", [False, True])
def test_a_trial_that_has_heard_its_end_may_take_its_time_for_its_checkpoint(
    between: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, workers = Log(tmp_path / LOG), Writing(monkeypatch, tmp_path, between=between)
    ledger = Ledger(tmp_path, log, metric="val/loss", value_of=lambda history: (0.5, 1))
    space = curves_space(tmp_path)
    steering = Steering(Inbox(tmp_path, clock=count(step=2.0).__next__), trials=1, time=None, space=space)
    job = Job("trials/0000", 0, {}, config={}, seeds={"initialisation": 0})
    Coordinator(ledger, workers, Limits(), steering=steering).run(JobList([job]))
    log.close()
    assert log.state.runs[job.run].outcome is Outcome.STOPPED
    assert workers.killed == []


@contextmanager
def old_sign(folder: Path) -> Iterator[None]:
    """Let a job's heart beat five times a second, from a sign of life on that is an hour old."""
    folder.mkdir(parents=True, exist_ok=True)
    with beating(folder, every=0.2):
        os.utime(folder / ALIVE, (time.time() - 3600,) * 2)
        yield


def age(folder: Path) -> float:
    sign = last_sign(folder)
    assert sign is not None
    return time.time() - sign


def test_who_computes_or_prints_lives_and_who_waits_does_not(tmp_path: Path) -> None:
    with old_sign(tmp_path / "waits"):
        time.sleep(1.0)
        assert age(tmp_path / "waits") > 3000
    with old_sign(tmp_path / "prints"):
        (tmp_path / "prints" / "output.log").write_text("a line")
        _until_alive(tmp_path / "prints")
    with old_sign(tmp_path / "computes"):
        _until_alive(tmp_path / "computes", busy=True)
    assert not list(tmp_path.rglob(ALIVE))


def _until_alive(folder: Path, *, busy: bool = False) -> None:
    deadline = time.monotonic() + 60
    while age(folder) > 3000:
        assert time.monotonic() < deadline
        if not busy:
            time.sleep(0.05)


def test_of_several_processes_one_shows_that_the_job_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with beating(tmp_path):
        assert last_sign(tmp_path) is None


def test_silent_runs_are_those_that_are_trained_now(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "line")
    experiment.trial(0, (0.5,))
    for number in (1, 2, 3):
        experiment.trial(number, (0.5,), outcome=None)
    folder = tmp_path / "line"
    for number, seconds in ((1, 300.0), (2, 5.0)):
        sign = folder / trial_run(number) / ALIVE
        sign.parent.mkdir(parents=True, exist_ok=True)
        sign.touch()
        os.utime(sign, (time.time() - seconds,) * 2)
    assert silent_runs(read_experiment(folder)) == {}  # nobody runs it
    with locked(folder):
        silent = silent_runs(read_experiment(folder))
    assert silent.keys() == {trial_run(1)}
    assert 300 <= silent[trial_run(1)] < 400
