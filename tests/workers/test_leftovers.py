"""What a training starts ends with its worker, however it hides and whoever is killed (design.md 6.2)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running.sessions import MARK, PATIENCE, REPOSITORY, Terminal
from tests.workers.test_local_workers import Crew, crew_of, runs

COORDINATOR = """
import sys, time
from pathlib import Path
from hpsearch.jobs import Job, ObjectiveSpec
from hpsearch.workers.local.workers import ProcessWorkers
from hpsearch.workers.machine import Share
from tests.running.hearing import Hearing
folder = Path(sys.argv[1])
spec = ObjectiveSpec("tests.running.objectives:make_deeds", {"folder": str(folder), "threads": 1})
workers = ProcessWorkers(folder, spec, [Share(1)])
workers.start(Job("trials/0000", 0, {"deed": "scatter", "then": "sleep"}, {}, {}))
while True:
    workers.serve(Hearing(), timeout=1.0)
"""


@pytest.fixture(autouse=True)
def marked(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv(MARK, terminal.mark)


def left(folder: Path) -> list[int]:
    """Return those that the training has started."""
    place = folder / "left"
    return [int(line) for line in place.read_text(encoding="utf-8").split()] if place.exists() else []


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE / 4
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def scattered(crew: Crew) -> list[int]:
    wait_until(lambda: len(left(crew.folder)) == 4)
    return left(crew.folder)


def test_when_a_worker_is_killed_while_another_works(terminal: Terminal) -> None:
    with crew_of(terminal) as crew:
        job = crew.run("scatter", then="die")
        assert crew.hearing.losses == {job.run: "its process ended (signal SIGKILL)"}
        assert not any(map(runs, scattered(crew)))


def test_when_the_coordinator_ends_a_worker(terminal: Terminal) -> None:
    with crew_of(terminal) as crew:
        job = crew.start("scatter", then="sleep")
        crew.serve_until(lambda: crew.hearing.reports)
        found = scattered(crew)
        assert all(map(runs, found))
        crew.workers.kill(job)
        assert not any(map(runs, found))


def test_not_when_a_job_ends_but_when_its_worker_does(terminal: Terminal) -> None:
    with crew_of(terminal) as crew:
        job = crew.run("scatter")
        assert job.run in crew.hearing.endings
        assert all(map(runs, scattered(crew)))
        assert crew.pid(crew.run()) == crew.pid(job)
    assert not any(map(runs, scattered(crew)))


@pytest.mark.parametrize("whole_group", [False, True])
def test_when_the_coordinator_is_killed(whole_group: bool, terminal: Terminal) -> None:
    line = [sys.executable, "-c", COORDINATOR, str(terminal.folder)]
    with subprocess.Popen(line, start_new_session=True) as coordinator:
        try:
            wait_until(lambda: len(left(terminal.folder)) == 4)
        finally:
            (os.killpg if whole_group else os.kill)(coordinator.pid, signal.SIGKILL)
    terminal.wait_until_alone()
    wait_until(lambda: not any(map(runs, left(terminal.folder))))


def test_when_what_workers_are_forked_from_is_killed(terminal: Terminal) -> None:
    with crew_of(terminal) as crew:
        job = crew.start("scatter", then="sleep")
        crew.serve_until(lambda: crew.hearing.reports)
        found = scattered(crew)
        worker = int((crew.folder / "loads").read_text(encoding="utf-8"))
        server = int(Path(f"/proc/{worker}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        os.kill(server, signal.SIGKILL)
        crew.serve_until(lambda: job.run in crew.hearing.losses)
        without_a_mark = found[1]  # the one that was started with an empty environment
        assert [pid for pid in found if runs(pid)] in ([], [without_a_mark])
        if runs(without_a_mark):
            os.kill(without_a_mark, signal.SIGKILL)
