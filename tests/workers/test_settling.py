"""What the log promises is on the disk before anybody waits, and no worker waits for the disk."""

import os
from pathlib import Path

import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import CONFIG, LOG, METRICS
from hpsearch.experiment.log import Log
from hpsearch.jobs import Completed, Job, JobListener, Report
from hpsearch.search.sources import JobList
from hpsearch.workers.coordinator import Coordinator, Limits
from hpsearch.workers.ledger import Ledger


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
