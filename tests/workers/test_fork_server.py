"""Workers are forked from one process that has imported what they need, and are as independent as fresh ones."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from hpsearch.jobs import Completed, Job, JobResult, ObjectiveSpec
from hpsearch.workers.local.processes import EarlyServer
from hpsearch.workers.local.workers import ProcessWorkers
from hpsearch.workers.machine import Share, core_count, shares
from tests.running.sessions import MARK, REPOSITORY, Terminal
from tests.workers.test_local_workers import Crew

Crews = Callable[..., AbstractContextManager[Crew]]


@pytest.fixture
def crew_with(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Crews:
    """Return a function from modules, imported ahead of time, to two workers."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv(MARK, terminal.mark)
    monkeypatch.setenv("IMPORTED", str(terminal.folder / "imported"))

    @contextmanager
    def made(*modules: str, early: EarlyServer | None = None, threads: int = 1) -> Iterator[Crew]:
        arguments = {"folder": str(terminal.folder), "threads": 1}
        spec = ObjectiveSpec("tests.running.objectives:make_deeds", arguments, modules)
        workers = ProcessWorkers(terminal.folder, spec, [Share(threads)] * 2, early=early)
        try:
            yield Crew(workers, terminal.folder)
        finally:
            workers.close()
            terminal.wait_until_alone()

    return made


def two_at_work(crew: Crew) -> tuple[Job, Job]:
    """Start two jobs that wait for the file `go`."""
    jobs = crew.start("wait_for_a_file"), crew.start("wait_for_a_file")
    crew.serve_until(lambda: len(crew.hearing.reports) == 2)
    return jobs


def pids(crew: Crew) -> list[int]:
    """Return the process ids of the workers in the order in which they began."""
    return [int(line) for line in (crew.folder / "loads").read_text(encoding="utf-8").split()]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def go_on(crew: Crew, *jobs: Job) -> None:
    (crew.folder / "go").touch()
    crew.serve_until(lambda: all(job.run in crew.hearing.endings for job in jobs))


def test_what_workers_need_is_imported_once_by_what_they_are_forked_from(crew_with: Crews) -> None:
    with crew_with("tests.workers.imported", "no.such.module") as crew:
        go_on(crew, *two_at_work(crew))
        workers = pids(crew)
        [importer] = (crew.folder / "imported").read_text(encoding="utf-8").split()
        assert len(set(workers)) == 2
        assert {parent(pid) for pid in workers} == {int(importer)}


def test_workers_are_forked_from_a_server_that_was_started_early(
    crew_with: Crews, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = shares("auto", jobs=core_count())[0].threads
    with EarlyServer() as early:
        early.start(["tests.workers.imported"])
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")  # as a user's own file may, which is imported meanwhile
        with crew_with("tests.workers.imported", "no.such.module", early=early, threads=threads) as crew:
            environment = crew.folder / crew.run("environment").run / "environment"
            assert "CUDA_VISIBLE_DEVICES=7\n" in environment.read_text(encoding="utf-8")
            go_on(crew, *two_at_work(crew))
            [importer] = (crew.folder / "imported").read_text(encoding="utf-8").split()
            assert {parent(pid) for pid in pids(crew)} == {int(importer)}


def test_a_server_that_was_started_early_and_does_not_fit_is_ended_at_once(crew_with: Crews) -> None:
    slow = "tests.workers.imported_slowly"  # nobody could be forked from it
    threads = shares("auto", jobs=core_count())[0].threads
    with EarlyServer() as early:
        early.start([slow])
        assert early.take([slow], Share(threads=99)) is None
        early.start([slow])
        with crew_with("numpy", early=early, threads=threads) as crew:  # at its end no process is left
            assert isinstance(crew.hearing.endings[crew.run().run], Completed)


def test_numbers_that_nobody_seeded_differ_between_workers(crew_with: Crews) -> None:
    with crew_with("numpy.random") as crew:
        jobs = [crew.start("draw") for _ in range(2)]
        crew.serve_until(lambda: len(crew.hearing.endings) == 2)
        drawn = [(crew.folder / job.run / "drawn").read_text(encoding="utf-8").split() for job in jobs]
    assert all(first != second for first, second in zip(*drawn, strict=True))


def test_a_worker_that_is_killed_is_noticed_and_harms_no_other(crew_with: Crews) -> None:
    with crew_with() as crew:
        killed, other = two_at_work(crew)
        os.kill(pids(crew)[0], signal.SIGKILL)
        crew.serve_until(lambda: crew.hearing.losses)
        assert len(crew.hearing.losses) == 1
        [(lost, how)] = crew.hearing.losses.items()
        assert how == "its process ended (signal SIGKILL)"
        survivor = other if lost == killed.run else killed
        go_on(crew, survivor)
        assert crew.pid(survivor) == pids(crew)[1]


def test_a_worker_that_is_told_to_end_takes_no_other_with_it(crew_with: Crews) -> None:
    with crew_with() as crew:
        stopped, other = two_at_work(crew)
        crew.workers.kill(stopped)
        assert crew.workers.idle == 1
        go_on(crew, other)
        assert not crew.hearing.losses


def test_when_what_they_were_forked_from_is_killed_all_end_and_others_take_their_place(crew_with: Crews) -> None:
    with crew_with() as crew:
        jobs = two_at_work(crew)
        os.kill(parent(pids(crew)[0]), signal.SIGKILL)
        crew.serve_until(lambda: len(crew.hearing.losses) == 2)
        assert crew.hearing.losses == {job.run: "its process ended (signal SIGKILL)" for job in jobs}
        assert crew.run().run in crew.hearing.endings


def test_a_worker_that_went_with_its_server_is_no_worker_of_the_next_one(
    crew_with: Crews, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is heard when another worker is being forked already."""
    with crew_with() as crew:
        next_jobs: list[Job] = []
        jobs = two_at_work(crew)
        heard = crew.hearing.ended

        def ended(job: Job, result: JobResult) -> None:
            heard(job, result)
            if not next_jobs:
                next_jobs.append(crew.start())

        monkeypatch.setattr(crew.hearing, "ended", ended)
        workers = pids(crew)
        os.kill(parent(workers[0]), signal.SIGKILL)
        while any(is_running(pid) for pid in workers):
            time.sleep(0.01)
        crew.serve_until(lambda: next_jobs and next_jobs[0].run in crew.hearing.endings | crew.hearing.losses)
        assert crew.hearing.losses.keys() == {job.run for job in jobs}


def test_a_job_can_be_ended_while_its_worker_is_not_there_yet(crew_with: Crews) -> None:
    with crew_with("tests.workers.imported_slowly") as crew:
        stopped = crew.start("sleep")
        crew.workers.kill(stopped)
        (crew.folder / "imported").touch()  # for this the import has waited
        assert crew.run().run in crew.hearing.endings
        assert stopped.run not in crew.hearing.losses


@pytest.mark.parametrize(
    ("forking", "module"), [("0", "tests.workers.imported"), ("1", "tests.workers.imported_with_a_thread")]
)
def test_where_a_fork_would_not_do_workers_are_fresh_processes(
    forking: str, module: str, crew_with: Crews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPSEARCH_FORK", forking)
    with crew_with(module) as crew:
        jobs = two_at_work(crew)
        for pid in pids(crew):
            assert b"hpsearch.workers.local.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        go_on(crew, *jobs)
        left = crew.run("os_exit")
        assert crew.hearing.losses == {left.run: "its process ended (exit status 4)"}
        result = crew.hearing.endings[crew.run().run]
        assert isinstance(result, Completed)
