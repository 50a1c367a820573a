"""Every way in which a trial can end, with real worker processes (design.md 6.1)."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError, SearchFailedError
from hpsearch.experiment.layout import LOG, OUTPUT
from hpsearch.experiment.reading import read_experiment, read_metrics
from hpsearch.records import Outcome, RunRecord
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.engines import Cluster
from tests.logs import read_log
from tests.toy_spaces import toy_space, write_space

HERE = RunOptions(in_process=True)


def troubled(tmp_path: Path, trouble: str, *, options: RunOptions = HERE, **settings: Any) -> tuple[RunRecord, Path]:
    """Run one ordinary trial and then one in trouble; return the record of the second and the experiment's folder."""
    branch = f"data: {{trouble: {{choice: [none, {trouble}]}}, marker: {tmp_path / 'marker'}, size: 8}}"
    start = f"start: [{{data.trouble: none}}, {{data.trouble: {trouble}}}]"
    more = settings.pop("more", "")
    space = toy_space(tmp_path, trials=2, data=branch, more=f"{start}\n{more}", **settings)
    finished = run(space, folder=tmp_path / "experiments" / "toy", options=options)
    assert finished.record.trials[0].outcome is Outcome.COMPLETE
    return finished.record.trials[1], Path(finished.record.folder)


def test_an_exception_is_failed_with_its_traceback(tmp_path: Path) -> None:
    trial, folder = troubled(tmp_path, "exception")
    assert trial.outcome is Outcome.FAILED
    assert trial.reason is not None
    assert trial.reason.startswith("ValueError: no model of width")
    assert "Traceback" in (folder / trial.run / OUTPUT).read_text(encoding="utf-8")


def test_a_loss_that_is_not_finite_is_diverged(tmp_path: Path) -> None:
    trial, _ = troubled(tmp_path, "diverge")
    assert trial.outcome is Outcome.DIVERGED
    assert "nan" in (trial.reason or "")
    assert trial.attempts == 1


def test_exhausted_memory_is_out_of_memory_and_not_retried(tmp_path: Path) -> None:
    trial, _ = troubled(tmp_path, "memory")
    assert trial.outcome is Outcome.OUT_OF_MEMORY
    assert trial.attempts == 1


def test_told_twice_to_stop_nothing_is_an_outcome_any_more(tmp_path: Path) -> None:
    trial, folder = troubled(tmp_path, "stop")
    assert (trial.outcome, trial.reason) == (None, None)
    assert [*read_log(folder / LOG)][-1]["why"] == StopReason.INTERRUPTED


@pytest.mark.slow
def test_a_process_that_dies_again_and_again_is_lost(tmp_path: Path) -> None:
    trial, folder = troubled(tmp_path, "kill", options=RunOptions())
    assert trial.outcome is Outcome.LOST
    assert "SIGKILL" in (trial.reason or "")
    assert trial.attempts == 3
    assert [event["event"] for event in read_log(folder / "log.jsonl") if event["event"] == "lost"] == ["lost"] * 2


@pytest.mark.slow
def test_a_process_that_dies_once_is_taken_up_again(tmp_path: Path) -> None:
    trial, _ = troubled(tmp_path, "kill_once", options=RunOptions())
    assert trial.outcome is Outcome.COMPLETE
    assert trial.attempts == 2
    assert [step for step, _ in trial.history] == [1, 2, 3]


@pytest.mark.slow
def test_a_hanging_trial_is_timed_out(tmp_path: Path) -> None:
    trial, _ = troubled(tmp_path, "hang", options=RunOptions(), sampler="random, trial_time: 12s")
    assert trial.outcome is Outcome.TIMED_OUT
    assert "trial's time" in (trial.reason or "")


@pytest.mark.slow
def test_a_slow_trial_is_timed_out_at_a_report(tmp_path: Path) -> None:
    data = "data: {seconds: {choice: [0, 1]}}"
    start = "start: [{data.seconds: 0}, {data.seconds: 1}]"
    space = toy_space(tmp_path, trials=2, epochs=12, sampler="random, trial_time: 4s", data=data, more=start)
    trials = run(space, folder=tmp_path / "experiments" / "toy", options=HERE).record.trials
    assert [trial.outcome for trial in trials] == [Outcome.COMPLETE, Outcome.TIMED_OUT]
    assert 0 < len(trials[1].history) <= 4


def test_peeking_at_the_test_split_fails_the_trial(tmp_path: Path) -> None:
    trial, _ = troubled(tmp_path, "peek")
    assert trial.outcome is Outcome.FAILED
    assert "the test split is read only by confirm" in (trial.reason or "")


def test_the_same_failure_three_times_at_the_start_ends_the_search(tmp_path: Path) -> None:
    space = toy_space(tmp_path, trials=60, data="data: {trouble: exception}")
    with pytest.raises(SearchFailedError, match="no model of width"):
        run(space, folder=tmp_path / "experiments" / "toy", options=HERE)
    record = read_experiment(tmp_path / "experiments" / "toy")
    assert [trial.outcome for trial in record.trials] == [Outcome.FAILED] * 3


def test_a_pruned_trial_keeps_its_step(tmp_path: Path) -> None:
    space = toy_space(tmp_path, trials=12, epochs=9, pruner="{asha: {minimum: 1}}")
    record = run(space, folder=tmp_path / "experiments" / "toy", options=HERE).record
    pruned = [trial for trial in record.trials if trial.outcome is Outcome.PRUNED]
    assert pruned
    assert all(trial.history[-1][0] in (1, 3) for trial in pruned)  # rungs; at the last, 9, nothing is left to prune
    assert any(trial.history[-1][0] == 9 and trial.outcome is Outcome.COMPLETE for trial in record.trials)


def test_the_metrics_of_each_step_are_kept(tmp_path: Path) -> None:
    finished = run(toy_space(tmp_path, trials=1), folder=tmp_path / "experiments" / "toy", options=HERE)
    rows = read_metrics(Path(finished.record.folder), "trials/0000")
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert {"val/loss", "train/loss", "learning_rate", "gradient_norm"} <= set(rows[0])
    assert finished.record.trials[0].value == min(row["val/loss"] for row in rows)


def test_the_winner_is_confirmed_on_fresh_seeds_and_the_test_split(tmp_path: Path) -> None:
    space = toy_space(tmp_path, more="confirm: {top: 2, seeds: 3}")
    record = run(space, folder=tmp_path / "experiments" / "toy", options=HERE).record
    assert [(r.number, r.replicate) for r in record.replicates] == [
        (winner.number, seed) for winner in sorted(record.ranked[:2], key=lambda t: t.number) for seed in range(3)
    ]
    assert all("test/loss" in replicate.scores for replicate in record.replicates)
    by_seed = [{r.seed for r in record.replicates if r.replicate == k} for k in range(3)]
    assert all(len(seeds) == 1 for seeds in by_seed)  # paired across configurations ...
    assert not set.union(*by_seed) & {trial.seed for trial in record.trials}  # ... and never seen in the search
    assert record.baselines[0].name == "mean"
    assert set(record.baselines[0].scores) == {"val/loss", "test/loss"}


@pytest.mark.slow
def test_in_process_gives_the_same_trials_as_a_worker(tmp_path: Path) -> None:
    space = toy_space(tmp_path, sampler="tpe", trials=4)
    here = run(space, folder=tmp_path / "here" / "toy", options=HERE).record
    there = run(space, folder=tmp_path / "there" / "toy").record
    assert [(t.params, t.value, t.history) for t in here.trials] == [
        (t.params, t.value, t.history) for t in there.trials
    ]


def test_a_finite_space_ends_when_it_is_exhausted(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    family = Path(__file__).parents[1] / "toy_family.py"
    path.write_text(
        f"family: {family}:Toy\nobjective: {{metric: val/loss}}\nsearch: {{sampler: grid}}\n"
        "model: {width: {choice: [1, 2]}}\n",
        encoding="utf-8",
    )
    finished = run(load_space(path), folder=tmp_path / "experiments" / "toy", options=HERE)
    assert (finished.why, finished.exhausted, len(finished.record.trials)) == (StopReason.FINISHED, True, 2)


def test_configuration_and_provenance_stand_in_the_folder(tmp_path: Path) -> None:
    space = toy_space(tmp_path, trials=1)
    folder = Path(run(space, folder=tmp_path / "experiments" / "toy", options=HERE).record.folder)
    resolved = json.loads((folder / "resolved.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "trials/0000/config.json").read_text(encoding="utf-8"))
    assert (folder / "space.yaml").read_text(encoding="utf-8") == space.text
    assert resolved["versions"]["torch"].startswith("2.")
    assert config["config"]["train"]["epochs"] == 3
    assert config["config"]["model"]["width"] == config["params"]["model.width"]


@pytest.mark.parametrize(
    ("setting", "cluster", "message"),
    [
        ("search.resources.custom={tape: 1}", Cluster(), "need the engine ray"),
        ("search.trials=1", Cluster("auto"), "is of no use to the engine local; say --engine ray"),
    ],
)
def test_what_only_a_cluster_has_is_refused(tmp_path: Path, setting: str, cluster: Cluster, message: str) -> None:
    space = load_space(write_space(tmp_path), overrides=[setting])
    with pytest.raises(HpsearchError, match=message):
        run(space, folder=tmp_path / "toy", options=RunOptions(cluster=cluster))
