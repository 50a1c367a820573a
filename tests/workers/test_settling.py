"""What the log promises is on its way to the disk before anybody waits, and nobody waits for the disk but the end."""

import os
import threading
from pathlib import Path

import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import CONFIG, LOG, METRICS
from hpsearch.experiment.log import Log
from hpsearch.jobs import Completed, Job, JobListener, Report
from hpsearch.search.sources import JobList
from hpsearch.workers.coordinator import Coordinator
from hpsearch.workers.disk import Disk
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.limits import Limits


class Machine:
    """A disk that is looked at whenever a job has been handed out and whenever the coordinator waits; one worker."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.jobs: list[Job] = []
        self.disk: dict[str, int] = {}
        self.syncs: list[str] = []
        self.before_the_job: list[int] = []
        sync = os.fsync

        def noted(file: int) -> None:
            sync(file)
            path = Path(f"/proc/self/fd/{file}").readlink()
            self.disk[str(path)] = os.fstat(file).st_size
            self.syncs.append(path.name)

        monkeypatch.setattr(os, "fsync", noted)

    def wait(self) -> None:
        """Let the disk come to rest without anything new."""
        for thread in threading.enumerate():
            if thread.name == "disk":
                thread.join()

    @property
    def idle(self) -> int:
        return 0 if self.jobs else 1

    def start(self, job: Job) -> None:
        self.jobs.append(job)
        self.before_the_job.append(len(self.syncs))

    def assert_settled(self) -> None:
        for path in (self.folder / LOG, *(self.folder / job.run / CONFIG for job in self.jobs)):
            assert self.disk[str(path)] == path.stat().st_size, f"{path} is not on the disk"

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        self.wait()
        self.assert_settled()
        [job] = self.jobs
        listener.reported(job, Report(1, {"val/loss": 0.5}, 0.1, final=True))
        self.jobs.clear()
        listener.ended(job, Completed(seconds=0.1))

    def kill(self, job: Job) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Failing(JobList):
    """A search that the first outcome shows to be hopeless."""

    def ended(self, *_: object) -> None:
        raise SearchFailedError("it would go on like this")


def search(machine: Machine, trials: int, source: type[JobList] = JobList) -> None:
    log = Log(machine.folder / LOG)
    ledger = Ledger(machine.folder, log, metric="val/loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    jobs = [
        Job(f"trials/{number:04d}", number, {"rate": 0.1}, config={}, seeds={"initialisation": 0})
        for number in range(trials)
    ]
    try:
        Coordinator(ledger, machine, Limits()).run(source(jobs))
    finally:
        machine.assert_settled()
        log.close()


def test_a_job_is_handed_out_before_the_disk_is_waited_for_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path.resolve(), monkeypatch)
    search(machine, trials=4)
    assert machine.before_the_job == [0, 2, 5, 8]  # a configuration and the log, for the outcome before it, too
    assert machine.syncs == [CONFIG, LOG, *[METRICS, CONFIG, LOG] * 3, METRICS, LOG, LOG]


def test_what_ends_a_search_leaves_nothing_that_is_not_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path.resolve(), monkeypatch)
    with pytest.raises(SearchFailedError):
        search(machine, trials=2, source=Failing)


class SlowDisk(Machine):
    """A disk that is not ready with anything before the whole search has been trained."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        self.trained, self.gave_up = threading.Event(), False
        sync = os.fsync

        def slow(file: int) -> None:
            if not self.gave_up:
                self.gave_up = not self.trained.wait(10.0)
            sync(file)

        monkeypatch.setattr(os, "fsync", slow)

    def wait(self) -> None:
        pass

    def assert_settled(self) -> None:
        if self.trained.is_set():
            super().assert_settled()


def test_nobody_waits_for_a_slow_disk_but_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = SlowDisk(tmp_path.resolve(), monkeypatch)

    class Told(JobList):
        def ended(self, job: Job, *rest: object) -> None:
            if job.number == 3:
                machine.trained.set()

    search(machine, trials=4, source=Told)
    assert not machine.gave_up


def test_a_disk_that_fails_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path.resolve(), monkeypatch)

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    log = Log(tmp_path / LOG)
    ledger = Ledger(tmp_path, log, metric="val/loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    job = Job("trials/0000", 0, {}, config={}, seeds={"initialisation": 0})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="Input/output error"):
            Coordinator(ledger, machine, Limits()).run(JobList([job]))


def test_what_an_event_rests_on_is_taken_along_by_a_sync_that_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which lines of the log it takes along is not known: those of a run that ends meanwhile, too."""
    brought: list[str] = []
    disk = Disk(lambda: brought.append("log"))
    for name in "ab":
        (tmp_path / name).touch()

    def noted(file: int) -> None:
        brought.append(Path(f"/proc/self/fd/{file}").readlink().name)
        if brought == ["a"]:
            disk.owe(tmp_path / "b")

    monkeypatch.setattr(os, "fsync", noted)
    disk.owe(tmp_path / "a")
    disk.bring()
    disk.wait()
    assert brought == ["a", "b", "log"]
