"""Worker processes: what a training may do to its process, and nobody else may notice (design.md 6.1, 6.2)."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import ExperimentBusyError
from hpsearch.experiment.activity import locked
from hpsearch.experiment.layout import ALIVE, OUTPUT
from hpsearch.jobs import Completed, Failed, Job, ObjectiveSpec
from hpsearch.records import Metrics
from hpsearch.workers.local.workers import ProcessWorkers
from hpsearch.workers.machine import Share, shares
from tests.running.hearing import Hearing
from tests.running.sessions import MARK, PATIENCE, REPOSITORY, Terminal


class Crew:
    """Workers and a listener, driven as the coordinator drives them."""

    def __init__(self, workers: ProcessWorkers, folder: Path) -> None:
        self.workers = workers
        self.folder = folder
        self.hearing = Hearing()
        self._jobs = 0

    def start(self, deed: str = "nothing", **params: Any) -> Job:
        run = f"trials/{self._jobs:04d}"
        job = Job(run, self._jobs, {"deed": deed, **params}, config={}, seeds={})
        self._jobs += 1
        self.workers.start(job)
        return job

    def serve_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE / 4
        while not condition():
            assert time.monotonic() < deadline, "the job neither ended nor was lost"
            self.workers.serve(self.hearing, timeout=0.1)

    def run(self, deed: str = "nothing", **params: Any) -> Job:
        """Start a job and serve until it is over."""
        job = self.start(deed, **params)
        self.serve_until(lambda: job.run in self.hearing.endings or job.run in self.hearing.losses)
        return job

    def pid(self, job: Job) -> int:
        return int(self.scores(job)["pid"])

    def scores(self, job: Job) -> Metrics:
        result = self.hearing.endings[job.run]
        assert isinstance(result, Completed)
        return result.scores


@contextmanager
def crew_of(
    terminal: Terminal, *divided: Share, target: str = "make_deeds", inherited: tuple[int, ...] = ()
) -> Iterator[Crew]:
    spec = ObjectiveSpec(f"tests.running.objectives:{target}", {"folder": str(terminal.folder), "threads": 1})
    workers = ProcessWorkers(terminal.folder, spec, divided or [Share(threads=1)], inherited=inherited)
    try:
        yield Crew(workers, terminal.folder)
    finally:
        workers.close()


@pytest.fixture(autouse=True)
def marked(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the workers find the tests' objectives, and the terminal find the workers."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv(MARK, terminal.mark)


@pytest.fixture
def crew(terminal: Terminal, marked: None) -> Iterator[Crew]:
    with crew_of(terminal) as made:
        yield made


def test_a_worker_serves_many_jobs_and_makes_its_objective_once(crew: Crew) -> None:
    jobs = [crew.run() for _ in range(5)]
    assert len({crew.pid(job) for job in jobs}) == 1
    assert (crew.folder / "loads").read_text(encoding="utf-8").split() == [str(crew.pid(jobs[0]))]


def test_what_is_printed_goes_to_the_output_of_its_job(crew: Crew, capfd: pytest.CaptureFixture[str]) -> None:
    job, quiet = crew.run("print", steps=2), crew.run()
    assert crew.hearing.reports == [(job.run, 1), (job.run, 2), (quiet.run, 1)]
    output = (crew.folder / job.run / OUTPUT).read_text(encoding="utf-8")
    assert output.count("python ") == 2 * 1000 * 100
    assert output.count("child ") == 2 * 20000
    assert output.count("file descriptor\n") == output.count("standard error\n") == 2
    assert (crew.folder / quiet.run / OUTPUT).read_text(encoding="utf-8") == ""
    assert capfd.readouterr() == ("", "")


def test_a_second_attempt_adds_to_the_output(crew: Crew) -> None:
    job = crew.run("print")
    crew.hearing.endings.clear()
    crew.workers.start(job)
    crew.serve_until(lambda: crew.hearing.endings)
    assert (crew.folder / job.run / OUTPUT).read_text(encoding="utf-8").count("file descriptor\n") == 2


def test_a_training_that_changes_the_working_directory_leaves_the_next_one_where_it_was(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(terminal.folder.parent)
    spec = ObjectiveSpec("tests.running.objectives:make_deeds", {"folder": str(terminal.folder), "threads": 1})
    workers = ProcessWorkers(Path(terminal.folder.name), spec, [Share(threads=1)])
    try:
        crew = Crew(workers, terminal.folder)
        first, second = crew.run("go_elsewhere"), crew.run("print")
        assert crew.pid(first) == crew.pid(second)
    finally:
        workers.close()
    assert not (terminal.folder / first.run / ALIVE).exists()
    assert "file descriptor" in (terminal.folder / second.run / OUTPUT).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("deed", "reason"),
    [("os_exit", "exit status 4"), ("segfault", "signal SIGSEGV")],
)
def test_a_process_that_ends_is_lost_and_says_how(deed: str, reason: str, crew: Crew) -> None:
    job = crew.run(deed)
    assert crew.hearing.losses == {job.run: f"its process ended ({reason})"}
    assert crew.run().run in crew.hearing.endings  # its share of the machine is free again


def test_sys_exit_is_a_failure_of_the_training(crew: Crew) -> None:
    ended = crew.hearing.endings.get(crew.run("system_exit").run)
    assert isinstance(ended, Failed), crew.hearing.losses
    assert re.fullmatch(r"SystemExit: 3 \(\w+\.py:\d+\)", ended.reason)
    assert "Traceback" in (ended.details or "")


def test_an_objective_that_cannot_be_made_is_a_failure_of_every_job(terminal: Terminal) -> None:
    with crew_of(terminal, target="refuse") as crew:
        endings = [crew.hearing.endings[crew.run().run] for _ in range(2)]
    for ended in endings:
        assert isinstance(ended, Failed)
        assert ended.reason.startswith("ImportError: the family's library is missing (")


def test_a_worker_that_dies_is_noticed_and_its_forked_child_ends(crew: Crew, terminal: Terminal) -> None:
    job = crew.run("die_before_a_child", child=300)
    assert crew.hearing.losses == {job.run: "its process ended (signal SIGKILL)"}
    assert len(terminal.children()) == 1  # what workers are forked from


@pytest.mark.parametrize("deed", ["fork", "spawn"])
def test_what_a_training_leaves_behind_does_not_hold_the_experiment(deed: str, terminal: Terminal) -> None:
    with locked(terminal.folder) as hold, crew_of(terminal, inherited=(hold.descriptor,)) as crew:
        crew.run(deed, child=60)
    with locked(terminal.folder, patience=30.0):
        terminal.end_children()


def test_a_worker_holds_the_lock_of_its_experiment(terminal: Terminal) -> None:
    with locked(terminal.folder) as hold, crew_of(terminal, inherited=(hold.descriptor,)) as crew:
        crew.run()
        own = os.open(os.devnull, os.O_RDONLY)
        os.dup2(own, hold.descriptor)  # the coordinator lets go of the lock, as when it is killed, and its worker lives
        os.close(own)
        with pytest.raises(ExperimentBusyError), locked(terminal.folder, patience=0.2):
            pass


def test_a_stopped_worker_is_killed_and_its_share_is_free(crew: Crew) -> None:
    job = crew.start("sleep")
    crew.serve_until(lambda: crew.hearing.reports)
    assert crew.workers.idle == 0
    crew.workers.kill(job)
    assert crew.workers.idle == 1
    assert crew.run().run in crew.hearing.endings
    assert job.run not in {*crew.hearing.endings, *crew.hearing.losses}


def test_an_idle_worker_that_dies_is_replaced(crew: Crew) -> None:
    first = crew.run()
    os.kill(crew.pid(first), signal.SIGKILL)
    crew.serve_until(lambda: crew.workers.idle == 1 and not runs(crew.pid(first)))
    second = crew.run()
    if second.run in crew.hearing.losses:  # it was given to the dead one before anybody knew; it is retried
        second = crew.run()
    assert crew.pid(second) != crew.pid(first)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def test_signals_of_the_terminal_do_not_reach_a_training(crew: Crew) -> None:
    job = crew.start("wait_for_a_file")
    crew.serve_until(lambda: crew.hearing.reports)
    pid = int((crew.folder / "loads").read_text(encoding="utf-8"))
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    (crew.folder / "go").touch()
    crew.serve_until(lambda: crew.hearing.endings)
    assert crew.pid(job) == pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_arrive_while_a_worker_starts_do_not_end_it(
    number: signal.Signals, crew: Crew, terminal: Terminal, capfd: pytest.CaptureFixture[str]
) -> None:
    job = crew.start()
    for _ in range(20):
        for pid in terminal.children():
            os.kill(pid, number)
        time.sleep(0.005)
    crew.serve_until(lambda: job.run in crew.hearing.endings or crew.hearing.losses)
    assert not crew.hearing.losses
    assert capfd.readouterr().err == ""


def test_each_worker_has_its_share_of_threads_and_its_gpu(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "somebody else's")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aaaa,GPU-bbbb")
    divided = shares("auto", jobs=8)
    assert [share.gpu for share in divided] == ["GPU-aaaa", "GPU-bbbb"]
    with crew_of(terminal, *divided) as crew:
        jobs = [crew.start("environment") for _ in divided]
        crew.serve_until(lambda: len(crew.hearing.endings) == len(jobs))
        found = [(crew.folder / job.run / "environment").read_text(encoding="utf-8").splitlines() for job in jobs]
    threads = divided[0].threads
    for lines, gpu in zip(found, ["GPU-aaaa", "GPU-bbbb"], strict=True):
        assert lines[:2] == ["MLFLOW_RUN_ID=None", f"CUDA_VISIBLE_DEVICES={gpu}"]
        assert lines[2:] == [f"{name}_NUM_THREADS={threads}" for name in ("OMP", "MKL", "OPENBLAS")]
    assert all(crew.scores(job)["threads"] == threads for job in jobs)


def test_several_trials_may_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [share.gpu for share in shares("auto", jobs=9, per_gpu=2)] == ["0", "1", "0", "1"]


@pytest.mark.parametrize(
    ("visible", "workers", "jobs", "gpus"),
    [
        ("0,1,2", "auto", 9, ["0", "1", "2"]),
        ("0,1,2", "auto", 2, ["0", "1"]),
        ("0,1", 3, 9, ["0", "1", "0"]),
        ("", 2, 9, [None, None]),
        ("-1", 2, 9, [None, None]),
    ],
)
def test_the_machine_is_divided(
    visible: str, workers: int | str, jobs: int, gpus: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    divided = shares(workers, jobs=jobs)
    assert [share.gpu for share in divided] == gpus
    assert all(share.threads >= 1 for share in divided)
