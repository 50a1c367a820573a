"""Actors outlive their trials, also when several of them become idle at once."""

import time
from pathlib import Path

import pytest

from tests.workers.ray_tune.crew import crew_of


@pytest.mark.slow
def test_actors_that_become_idle_together_are_all_kept(tmp_path: Path) -> None:
    with crew_of(tmp_path, "tests.running.objectives:make_deeds", "search.workers=2", threads=0) as crew:
        for _ in range(3):
            (tmp_path / "go").unlink(missing_ok=True)
            runs = {crew.start("wait_for_a_file").run, crew.start("wait_for_a_file").run}
            crew.serve_until(lambda runs=runs: runs <= {run for run, _ in crew.hearing.reports})
            (tmp_path / "go").touch()
            crew.serve_until(lambda runs=runs: runs <= {*crew.hearing.endings})
            time.sleep(0.5)  # long enough for Tune to have second thoughts
    assert len((tmp_path / "loads").read_text().splitlines()) == 2
