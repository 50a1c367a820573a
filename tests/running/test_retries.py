"""A run whose process dies is taken up again, up to a number of times: the real coordinator, processes without torch.

The same with real trainings, slowly: test_outcomes.py and test_resume.py.
"""

from pathlib import Path

import pytest

from hpsearch.experiment.log import Log
from hpsearch.jobs import Job, ObjectiveSpec
from hpsearch.search.sources import JobList
from hpsearch.workers.coordinator import Coordinator, StopReason
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.limits import Limits
from hpsearch.workers.local.workers import ProcessWorkers
from hpsearch.workers.machine import Share
from tests.logs import Line, read_log
from tests.running.sessions import REPOSITORY


def train(folder: Path, deed: str, *, retries: int) -> list[Line]:
    """Let a worker do a deed behind each of three reports; return the log's events."""
    log = Log(folder / "log.jsonl")
    ledger = Ledger(folder, log, metric="val/loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    spec = ObjectiveSpec("tests.running.objectives:make_deeds", {"folder": str(folder), "threads": 1})
    workers = ProcessWorkers(folder, spec, [Share(threads=1)], inherited=())
    try:
        job = Job("trials/0000", 0, {"deed": deed, "steps": 3}, config={}, seeds={"initialisation": 0})
        assert Coordinator(ledger, workers, Limits(retries=retries)).run(JobList([job])) is StopReason.FINISHED
    finally:
        workers.close()
        log.close()
    return list(read_log(log.path))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the workers find the tests' objectives."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


def kinds(events: list[Line]) -> list[str]:
    return [event["event"] for event in events]


def test_a_process_that_dies_once_is_taken_up_again(tmp_path: Path) -> None:
    events = train(tmp_path, "die_once", retries=2)
    assert kinds(events) == ["ask", "begin", "report", "lost", "begin", "report", "report", "outcome"]
    assert [event["step"] for event in events if event["event"] == "report"] == [1, 2, 3]
    assert [event["attempt"] for event in events if event["event"] == "begin"] == [1, 2]
    assert events[-1]["outcome"] == "complete"


@pytest.mark.parametrize("retries", [0, 2])
def test_a_process_that_dies_again_and_again_is_lost(retries: int, tmp_path: Path) -> None:
    events = train(tmp_path, "segfault", retries=retries)
    assert kinds(events).count("begin") == retries + 1
    assert events[-1]["outcome"] == "lost"
    assert "SIGSEGV" in events[-1]["reason"]
