"""Ray's actors as workers: what a training may do to its process, and what Ray Tune would do to a training.

One cluster and one run of Tune serve all tests of this file.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.jobs import Completed, Failed, Paused, Pruned
from hpsearch.records import Decision
from tests.ray_cluster import REPOSITORY
from tests.workers.ray_tune.crew import Crew, crew_of
from tests.workers.test_leftovers import left, runs, wait_until

pytestmark = pytest.mark.slow
DEEDS = "tests.running.objectives:make_deeds"
COORDINATOR = """
import sys
from pathlib import Path
from tests.workers.ray_tune.crew import crew_of
with crew_of(Path(sys.argv[1]), "tests.running.objectives:make_deeds", threads=0) as crew:
    crew.run("scatter", then="sleep")
"""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    with crew_of(tmp_path_factory.mktemp("actors"), DEEDS, threads=0) as crew:
        yield crew


def test_jobs_share_a_process(crew: Crew) -> None:
    """No new process, no new import, no new load of the data: also after a job that was pruned, failed or paused."""
    first = crew.pid()
    pruned = crew.run("nothing", steps=5, decision=Decision.PRUNE)
    assert pruned == Pruned(seconds=1.0)
    paused = crew.run("nothing", steps=5, decision=Decision.PAUSE)
    assert paused == Paused(1.0)
    failed = crew.run("system_exit")
    assert isinstance(failed, Failed)
    assert re.fullmatch(r"SystemExit: 3 \(\w+\.py:\d+\)", failed.reason)
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


def check_ended(found: list[int]) -> None:
    """Wait until all have ended but the one that was started with an empty environment."""
    wait_until(lambda: not any(map(runs, [*found[:1], *found[2:]])))
    if runs(found[1]):
        os.kill(found[1], signal.SIGKILL)


def test_what_a_job_has_started_ends_with_its_process(crew: Crew) -> None:
    (crew.folder / "left").unlink(missing_ok=True)
    assert crew.run("scatter", then="die") == "its process died"
    found = left(crew.folder)
    assert len(found) == 4
    check_ended(found)


def test_what_a_job_has_started_ends_with_the_coordinator(tmp_path: Path) -> None:
    line = [sys.executable, "-c", COORDINATOR, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(line, start_new_session=True, env=environment) as coordinator:
        try:
            wait_until(lambda: len(left(tmp_path)) == 4)
        finally:
            os.killpg(coordinator.pid, signal.SIGKILL)
    check_ended(left(tmp_path))


def test_a_job_that_hangs_when_it_is_stopped_costs_the_next_one_nothing(crew: Crew) -> None:
    before = crew.pid()
    assert crew.run("sleep", decision=Decision.PAUSE) == Paused(1.0)
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
    assert isinstance(ended, Completed)
    assert ended.scores["threads"] == 1
    (path,) = crew.folder.glob("trials/*/environment")
    assert "OMP_NUM_THREADS=1\n" in path.read_text(encoding="utf-8")
