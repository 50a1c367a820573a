"""A node whose memory runs out: Ray ends a process before the kernel does."""

from pathlib import Path

import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.ray_cluster import own_cluster
from tests.toy_spaces import write_space


@pytest.mark.slow
def test_it_is_an_outcome_and_is_not_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.0001")  # any process is too much
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    space = load_space(
        write_space(tmp_path, trials=2, data="data: {seconds: 5}"), overrides=["search.engine=ray", "search.retries=0"]
    )
    with own_cluster(cpus=1), pytest.raises(SearchFailedError, match="out_of_memory: its node ran out of memory"):
        run(space, folder=tmp_path / "toy", options=RunOptions())
    trials = read_experiment(tmp_path / "toy").trials
    assert [(trial.outcome, trial.attempts) for trial in trials] == [(Outcome.OUT_OF_MEMORY, 1)] * 2
