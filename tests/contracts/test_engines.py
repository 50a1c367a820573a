"""Every engine keeps the same promises: one suite, the same toy family, each row of the shelf.

Engines differ only in where trials run. Each test starts real workers, which import torch; hence they are slow.
"""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import Event, Notice, ReportEvent
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import ExperimentRecord, Outcome, RunRecord
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.running.session import SessionResult
from hpsearch.space import Space
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.engines import ENGINES
from tests.logs import read_log
from tests.ray_cluster import own_cluster
from tests.toy_spaces import write_space

pytestmark = pytest.mark.slow
APART, HERE = RunOptions(), RunOptions(in_process=True)


@pytest.fixture(scope="module", params=[*ENGINES])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """An engine's name; what it needs to run is there while the tests of this file go on."""
    with own_cluster(cpus=3) if request.param == "ray" else _nothing():
        yield request.param


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def engine_space(folder: Path, engine: str, *overrides: str, **settings: Any) -> Space:
    folder.mkdir(parents=True, exist_ok=True)
    return load_space(write_space(folder, **settings), overrides=[f"search.engine={engine}", *overrides])


def search(folder: Path, engine: str, *overrides: str, options: RunOptions = APART, **settings: Any) -> SessionResult:
    return run(engine_space(folder, engine, *overrides, **settings), folder=folder / "toy", options=options)


def told(trials: tuple[RunRecord, ...]) -> list[tuple[Any, ...]]:
    """What two engines have to agree about."""
    return [(trial.number, trial.params, trial.seed, trial.outcome, trial.value, trial.history) for trial in trials]


def test_the_trials_are_those_of_a_search_in_one_process(tmp_path: Path, engine: str) -> None:
    """Same configurations (branches included), seeds, values, pruned at the same steps."""
    settings = {"pruner": "{asha: {minimum: 1}}", "trials": 8, "epochs": 9, "more": "require: ['model.width != 3']"}
    here = search(tmp_path / "here", "local", options=HERE, **settings)
    there = search(tmp_path / "there", engine, **settings)
    assert told(there.record.trials) == told(here.record.trials)
    outcomes = [trial.outcome for trial in there.record.trials]
    assert {Outcome.COMPLETE, Outcome.PRUNED} <= set(outcomes)
    assert all(trial.params["model.width"] != 3 for trial in there.record.trials)
    assert {trial.params["train.optimizer"] for trial in there.record.trials} == {"sgd", "adamw"}


def test_the_sampler_is_told_the_same(tmp_path: Path, engine: str) -> None:
    """TPE proposes by what it was told of complete, pruned and infeasible trials: equal proposals, equal tidings."""
    data = "data: {trouble: {choice: [none, diverge]}}"
    settings = {"sampler": "{tpe: {startup: 3}}", "pruner": "median", "trials": 9, "data": data}
    here = search(tmp_path / "here", "local", options=HERE, **settings)
    there = search(tmp_path / "there", engine, **settings)
    assert told(there.record.trials) == told(here.record.trials)
    assert Outcome.DIVERGED in {trial.outcome for trial in there.record.trials}


def test_bad_ends_are_outcomes_and_are_not_retried(tmp_path: Path, engine: str) -> None:
    troubles = ["none", "diverge", "memory", "exception", "peek", "none"]
    start = ", ".join(f"{{data.trouble: {trouble}}}" for trouble in troubles)
    record = search(
        tmp_path,
        engine,
        trials=6,
        data="data: {trouble: {choice: [none, diverge, memory, exception, peek]}}",
        more=f"start: [{start}]",
    ).record
    assert [trial.outcome for trial in record.trials] == [
        Outcome.COMPLETE,
        Outcome.DIVERGED,
        Outcome.OUT_OF_MEMORY,
        Outcome.FAILED,
        Outcome.FAILED,
        Outcome.COMPLETE,
    ]
    assert [trial.attempts for trial in record.trials] == [1] * 6
    assert "the test split is read only by confirm" in (record.trials[4].reason or "")
    assert "Traceback" in (Path(record.folder) / "trials/0003/output.log").read_text(encoding="utf-8")


def test_the_same_failure_at_the_start_ends_the_search(tmp_path: Path, engine: str) -> None:
    with pytest.raises(SearchFailedError, match="no model of width"):
        search(tmp_path, engine, trials=20, data="data: {trouble: exception}")
    assert len(read_experiment(tmp_path / "toy").trials) == 3


def test_a_lost_trial_goes_on_from_its_checkpoint_and_is_given_up_in_the_end(tmp_path: Path, engine: str) -> None:
    marker = tmp_path / "marker"
    record = search(
        tmp_path,
        engine,
        "search.retries=1",
        trials=3,
        data=f"data: {{trouble: {{choice: [none, kill_once, kill]}}, marker: {marker}, size: 8}}",
        more="start: [{data.trouble: none}, {data.trouble: kill_once}, {data.trouble: kill}]",
    ).record
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE, Outcome.COMPLETE, Outcome.LOST]
    assert [trial.attempts for trial in record.trials] == [1, 2, 2]
    assert [step for step, _ in record.trials[1].history] == [1, 2, 3]
    assert "process" in (record.trials[2].reason or "")


def test_a_trial_has_its_time(tmp_path: Path, engine: str) -> None:
    """One that reports is stopped at a report; one that hangs is ended from outside; the next one finds its place."""
    record = search(
        tmp_path,
        engine,
        "search.trial_time=5s",
        trials=3,
        epochs=10,
        data="data: {seconds: {choice: [0, 1]}, trouble: {choice: [none, hang]}}",
        more="start: [{data.seconds: 1, data.trouble: none}, {data.trouble: hang, data.seconds: 0},"
        " {data.trouble: none, data.seconds: 0}]",
    ).record
    outcomes = [trial.outcome for trial in record.trials]
    assert outcomes == [Outcome.TIMED_OUT, Outcome.TIMED_OUT, Outcome.COMPLETE]
    assert 0 < len(record.trials[0].history) <= 5
    assert "no report within the trial's time" in (record.trials[1].reason or "")


class Strike:
    """Presses Ctrl-C, once, at the n-th report."""

    def __init__(self, report: int) -> None:
        self._left = report

    def observe(self, event: Event | Notice) -> None:
        self._left -= isinstance(event, ReportEvent)
        if isinstance(event, ReportEvent) and self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_interrupted_and_gone_on_is_the_unbroken_search(tmp_path: Path, engine: str) -> None:
    settings = {"pruner": "{asha: {minimum: 1}}", "trials": 5, "epochs": 4}
    unbroken = search(tmp_path / "unbroken", "optuna", options=HERE, **settings)
    first = search(tmp_path, engine, options=RunOptions(observers=[Strike(6)]), **settings)
    assert first.why is StopReason.INTERRUPTED
    assert any(trial.outcome is None for trial in first.record.trials)
    second = search(tmp_path, engine, **settings)
    assert second.why is StopReason.FINISHED
    assert told(second.record.trials) == told(unbroken.record.trials)


def test_an_engine_goes_on_with_what_another_one_began(tmp_path: Path, engine: str) -> None:
    settings = {"sampler": "tpe", "trials": 6}
    other = next(name for name in ENGINES if name != engine)
    unbroken = search(tmp_path / "unbroken", "local", options=HERE, **settings)
    if engine == "ray":
        search(tmp_path, other, "search.trials=3", **settings)
        assert told(search(tmp_path, engine, **settings).record.trials) == told(unbroken.record.trials)
    else:
        search(tmp_path, engine, "search.trials=3", **settings)
        assert told(search(tmp_path, engine, **settings).record.trials) == told(unbroken.record.trials)


def test_the_budget_is_kept(tmp_path: Path, engine: str) -> None:
    finished = search(tmp_path, engine, "search.time=0.001s", trials=4)
    assert finished.why is StopReason.TIME
    assert len(finished.record.trials) < 4
    assert len(search(tmp_path, engine, trials=2).record.trials) == 2


def test_the_winner_is_confirmed(tmp_path: Path, engine: str) -> None:
    record = search(tmp_path, engine, trials=2, more="confirm: {top: 1, seeds: 2}").record
    assert [(replicate.replicate, replicate.outcome) for replicate in record.replicates] == [
        (0, Outcome.COMPLETE),
        (1, Outcome.COMPLETE),
    ]
    assert all("test/loss" in replicate.scores for replicate in record.replicates)
    assert [baseline.name for baseline in record.baselines] == ["mean"]


def test_two_workers_share_the_work(tmp_path: Path, engine: str) -> None:
    record = search(tmp_path, engine, trials=4, workers=2, data="data: {seconds: 0.2}").record
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 4
    assert _most_at_once(record) == 2


def _most_at_once(record: ExperimentRecord) -> int:
    running, most = 0, 0
    for event in read_log(Path(record.folder) / "log.jsonl"):
        running += {"begin": 1, "outcome": -1}.get(event["event"], 0)
        most = max(most, running)
    return most


def test_a_population_is_the_same_on_every_engine(tmp_path: Path, engine: str) -> None:
    """Members are paused at barriers, give up their training for a better one, and go on from its checkpoint."""
    pruner = "{pbt: {interval: 2, quantile: 0.3}}"
    settings = {"pruner": pruner, "trials": 4, "epochs": 6, "rate": "{log: [1e-3, 1], mutable: true}"}
    here = search(tmp_path / "here", "local", options=HERE, **settings)
    there = search(tmp_path / "there", engine, **settings)
    assert told(there.record.trials) == told(here.record.trials)
    changes = [trial.changes for trial in there.record.trials]
    assert changes == [trial.changes for trial in here.record.trials]
    assert any(changes)


@pytest.mark.slow
def test_halving_is_the_same_on_every_engine(tmp_path: Path, engine: str) -> None:
    """Trials are paused at rungs; the best go on from their checkpoints, wherever a worker is free."""
    settings = {"pruner": "{halving: {minimum: 1, reduction: 2}}", "trials": 5, "epochs": 4}
    here = search(tmp_path / "here", "local", options=HERE, **settings)
    there = search(tmp_path / "there", engine, **settings)
    assert told(there.record.trials) == told(here.record.trials)
    assert {trial.outcome for trial in there.record.trials} == {Outcome.COMPLETE, Outcome.PRUNED}


def test_nothing_is_drawn_from_the_global_generators(tmp_path: Path, engine: str) -> None:
    """Whoever seeds numpy or random gets their own numbers, and brackets do not depend on them."""
    settings = {"pruner": "hyperband", "trials": 6, "epochs": 9}
    seen = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002 # the global generator is the point
        random.seed(seed)
        before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        seen.append(told(search(tmp_path / str(seed), engine, **settings).record.trials))
        assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002
    assert seen[0] == seen[1]
