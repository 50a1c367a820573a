"""Ray's actors as workers: what a training may do to its process, and what Ray Tune would do to a training.

One cluster and one run of Tune serve all tests of this file.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hpsearch.engines import Ended, Job, ObjectiveSpec, Report
from hpsearch.engines.bench import Bench
from hpsearch.engines.ray_tune.workers import TuneWorkers
from hpsearch.experiment.layout import LOG, OUTPUT
from hpsearch.experiment.log import Log
from hpsearch.loading import load_space
from hpsearch.records import Decision, Outcome
from tests.ray_cluster import own_cluster
from tests.toy_spaces import write_space

pytestmark = pytest.mark.slow
PATIENCE = 120.0


@dataclass
class Hearing:
    """A handler that takes notes and answers every report with `decision`."""

    decision: Decision = Decision.CONTINUE
    reports: list[tuple[str, int]] = field(default_factory=list)
    endings: dict[str, Ended] = field(default_factory=dict)
    losses: dict[str, str] = field(default_factory=dict)

    def started(self, job: Job) -> None:
        pass

    def reported(self, job: Job, report: Report) -> Decision:
        self.reports.append((job.run, report.step))
        return self.decision

    def ended(self, job: Job, ended: Ended) -> None:
        self.endings[job.run] = ended

    def lost(self, job: Job, reason: str) -> None:
        self.losses[job.run] = reason


class Crew:
    """The workers, driven as the coordinator drives them."""

    def __init__(self, workers: TuneWorkers, folder: Path) -> None:
        self.workers = workers
        self.folder = folder
        self.hearing = Hearing()
        self._jobs = 0

    def start(self, deed: str, **params: object) -> Job:
        job = Job(f"trials/{self._jobs:04d}", self._jobs, {"deed": deed, **params}, config={}, seeds={})
        self._jobs += 1
        (self.folder / job.run).mkdir(parents=True)
        self.serve_until(lambda: self.workers.idle)
        self.workers.start(job)
        return job

    def serve_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            self.workers.serve(self.hearing, timeout=0.1)

    def run(self, deed: str, *, decision: Decision = Decision.CONTINUE, **params: object) -> Ended | str:
        """Run a job to its end; return the ending, or why it was lost."""
        self.hearing.decision = decision
        job = self.start(deed, **params)
        self.serve_until(lambda: job.run in self.hearing.endings or job.run in self.hearing.losses)
        return self.hearing.endings.get(job.run) or self.hearing.losses[job.run]

    def pid(self) -> float:
        ended = self.run("nothing")
        assert isinstance(ended, Ended)
        return ended.scores["pid"]

    def output(self) -> str:
        return (self.folder / f"trials/{self._jobs - 1:04d}" / OUTPUT).read_text(encoding="utf-8", errors="replace")


@contextmanager
def crew_of(folder: Path, *, workers: int) -> Iterator[Crew]:
    space = load_space(write_space(folder, workers=workers), overrides=["search.engine=ray"])
    spec = ObjectiveSpec("tests.engines.objectives:make_deeds", {"folder": str(folder), "threads": 0})
    with own_cluster(cpus=2):
        actors = TuneWorkers(Bench(folder, Log(folder / LOG), space, spec, lock=-1))
        try:
            yield Crew(actors, folder)
        finally:
            actors.close()


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    with crew_of(tmp_path_factory.mktemp("actors"), workers=1) as crew:
        yield crew


def test_jobs_share_a_process(crew: Crew) -> None:
    """No new process, no new import, no new load of the data: also after a job that was pruned, failed or paused."""
    first = crew.pid()
    pruned = crew.run("nothing", steps=5, decision=Decision.PRUNE)
    assert pruned == Ended(Outcome.PRUNED, seconds=1.0)
    paused = crew.run("nothing", steps=5, decision=Decision.PAUSE)
    assert paused == Ended(None, seconds=1.0)
    failed = crew.run("system_exit")
    assert isinstance(failed, Ended)
    assert (failed.outcome, failed.reason) == (Outcome.FAILED, "SystemExit: 3")
    assert crew.pid() == first
    assert len((crew.folder / "loads").read_text().splitlines()) == 1


def test_a_pruned_training_is_told_so_and_sees_no_exception(crew: Crew) -> None:
    """Tune would raise SystemExit out of its report."""
    crew.run("nothing", steps=3, decision=Decision.PRUNE)
    crew.pid()  # the next job begins when the last one has returned
    assert "SystemExit" not in crew.output()
    assert crew.hearing.reports[-2][1] == 1


def test_what_a_job_prints_is_in_its_folder(crew: Crew) -> None:
    crew.run("print")
    text = crew.output()
    assert all(word in text for word in ("python " * 100, "file descriptor", "standard error", "child " * 20000))
    crew.pid()
    assert not crew.output()


def test_a_dead_process_is_a_loss_and_is_replaced(crew: Crew) -> None:
    before = crew.pid()
    assert crew.run("os_exit") == "its process died"
    assert crew.run("segfault") == "its process died"
    assert crew.pid() != before


def test_a_job_that_hangs_when_it_is_stopped_costs_the_next_one_nothing(crew: Crew) -> None:
    before = crew.pid()
    assert crew.run("sleep", decision=Decision.PAUSE) == Ended(None, seconds=1.0)
    crew.hearing.decision = Decision.CONTINUE
    losses = len(crew.hearing.losses)
    assert crew.pid() != before
    assert len(crew.hearing.losses) == losses


def test_a_hanging_job_is_killed_and_its_place_taken(crew: Crew) -> None:
    job = crew.start("sleep")
    crew.serve_until(lambda: (job.run, 1) in crew.hearing.reports)
    assert crew.workers.idle == 0
    crew.workers.kill(job)
    assert crew.pid()
    assert job.run not in crew.hearing.endings
    assert job.run not in crew.hearing.losses


def test_each_trial_computes_with_its_cpus(crew: Crew) -> None:
    ended = crew.run("environment")
    assert isinstance(ended, Ended)
    assert ended.scores["threads"] == 1
    (path,) = crew.folder.glob("trials/*/environment")
    assert "OMP_NUM_THREADS=1\n" in path.read_text(encoding="utf-8")


def test_actors_that_become_idle_together_are_all_kept(tmp_path: Path) -> None:
    with crew_of(tmp_path, workers=2) as crew:
        for _ in range(3):
            (tmp_path / "go").unlink(missing_ok=True)
            runs = {crew.start("wait_for_a_file").run, crew.start("wait_for_a_file").run}
            crew.serve_until(lambda runs=runs: runs <= {run for run, _ in crew.hearing.reports})
            (tmp_path / "go").touch()
            crew.serve_until(lambda runs=runs: runs <= {*crew.hearing.endings})
            time.sleep(0.5)  # long enough for Tune to have second thoughts
    assert len((tmp_path / "loads").read_text().splitlines()) == 2
