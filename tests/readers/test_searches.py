"""Which runs a search proposed, and which were planned: a seed counts where it varies over equal settings."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hpsearch.readers.mlflow_runs import MlflowRun, as_finished
from hpsearch.readers.naming import planned, settings
from hpsearch.readers.shelf import read_sources
from hpsearch.records import FinishedRun, Measurement

SEARCH = [{"lr": rate} for rate in (0.1, 0.2, 0.3)]
CONSTANT = [{**params, "seed": 42} for params in SEARCH]
DRAWN = [{**params, "seed": seed} for seed, params in enumerate(SEARCH)]
GRID = [{"lr": rate, "seed": seed} for rate in (0.1, 0.2) for seed in (0, 1)]
FOLDS = [{"lr": rate, "fold": fold} for fold, rate in enumerate((0.1, 0.2, 0.1))]
PATHS = [{"seed": seed, "out": f"runs/seed-{seed}/out_{seed}"} for seed in (1, 11)]
CASES = [
    (SEARCH, [False] * 3),
    (CONSTANT, [False] * 3),
    (DRAWN, [False] * 3),
    (GRID, [True] * 4),
    (FOLDS, [True] * 3),
    (PATHS, [True] * 2),
    ([*CONSTANT, {"lr": 0.5, "seed": 0}, {"lr": 0.5, "seed": 1}], [False, False, False, True, True]),
    ([{"lr": 0.1, "fold": 0}, {"lr": 0.2, "fold": 0}], [False] * 2),
]


@pytest.mark.parametrize(("runs", "expected"), CASES)
def test_what_was_planned(runs: Sequence[Mapping[str, Any]], expected: list[bool]) -> None:
    assert planned(runs) == expected
    assert planned(runs[::-1]) == expected[::-1]


def test_settings_are_what_is_left_without_names_of_the_run() -> None:
    assert settings({"seed": 3, "out": "a/3", "width": 3}) == settings({"seed": 4, "out": "a/4", "width": 3})
    assert settings({"seed": 3, "out": "a/13"}) != settings({"seed": 4, "out": "a/14"})


def ray_search(folder: Path, runs: Sequence[Mapping[str, Any]]) -> list[FinishedRun]:
    for number, params in enumerate(runs):
        trial = folder / "tune_lr" / f"train_{number}"
        trial.mkdir(parents=True)
        (trial / "params.json").write_text(json.dumps(params))
        (trial / "result.json").write_text(json.dumps({"training_iteration": 1, "acc": number}) + "\n")
    return list(read_sources([str(folder)]).runs)


def mlflow_search(_folder: Path, runs: Sequence[Mapping[str, Any]]) -> list[FinishedRun]:
    parent = MlflowRun("0", "tune_lr", "all", "FINISHED", 1.0, {}, {}, {}, {})
    below = [
        MlflowRun(
            *(f"run{number}", f"train_{number}", "all", "FINISHED", 1.0),
            {name: json.dumps(value) for name, value in params.items()},
            {"mlflow.parentRunId": "0"},
            {"acc": Measurement(number)},
            {},
        )
        for number, params in enumerate(runs)
    ]
    return list(as_finished([parent, *below], source="mlflow.db").runs)


def trainer_search(folder: Path, runs: Sequence[Mapping[str, Any]]) -> list[FinishedRun]:
    for number, params in enumerate(runs):
        checkpoint = folder / "tune_lr" / f"run-{number}" / "checkpoint-10"
        checkpoint.mkdir(parents=True)
        state = {"global_step": 10, "max_steps": 10, "trial_params": params}
        state["log_history"] = [{"step": 10, "eval_acc": float(number)}]
        (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    (folder / "tune_lr" / "runs" / "Nov27_vm").mkdir(parents=True)  # TensorBoard's files of the same numbers
    return list(read_sources([str(folder)]).runs)


@pytest.mark.parametrize("written", [ray_search, mlflow_search, trainer_search])
@pytest.mark.parametrize(("runs", "expected"), CASES)
def test_every_reader_asks_whether_the_seed_varies(
    tmp_path: Path, written: Any, runs: Sequence[Mapping[str, Any]], expected: list[bool]
) -> None:
    found = written(tmp_path, runs)
    assert {run.experiment for run in found} == {"tune_lr"}
    assert len({run.place for run in found}) == 1
    assert [run.search is None for run in found] == expected
    for run in found:
        assert (run.trial is None) == (run.search is None)
        assert run.search is None or (run.seed, run.fold) == (None, None)
        assert run.search is not None or (run.seed, run.fold) != (None, None)


def test_one_run_below_a_parent_with_a_seed_is_the_first_of_a_plan() -> None:
    (run,) = mlflow_search(Path(), [{"lr": 0.1, "seed": 3}])
    assert (run.search, run.seed) == (None, 3)


def test_trials_of_the_trainer_and_the_training_after_them(tmp_path: Path) -> None:
    """`hyperparameter_search()`, then `train()` with what it found, all into one folder."""
    trainer_search(tmp_path, DRAWN)
    state = {"global_step": 20, "max_steps": 20, "log_history": [{"step": 20, "eval_acc": 9.0}], "trial_params": None}
    (tmp_path / "tune_lr" / "trainer_state.json").write_text(json.dumps(state))
    runs = read_sources([str(tmp_path)]).runs
    assert [(run.experiment, run.run, run.trial) for run in runs] == [
        ("tune_lr", "tune_lr", None),
        *(("tune_lr", f"run-{number}", number) for number in range(3)),
    ]
    assert [run.params for run in runs[1:]] == DRAWN
    alone = read_sources([str(tmp_path / "tune_lr" / "run-1")]).runs
    assert [(run.experiment, run.trial, run.place) for run in alone] == [("tune_lr", 1, runs[1].place)]


def test_trials_beside_another_run(tmp_path: Path) -> None:
    trainer_search(tmp_path, DRAWN)
    other = tmp_path / "tune_lr" / "final_seed_1"
    other.mkdir()
    state = {"global_step": 20, "max_steps": 20, "log_history": [{"step": 20, "eval_acc": 9.0}]}
    (other / "trainer_state.json").write_text(json.dumps(state))
    runs = read_sources([str(tmp_path)]).runs
    assert [(run.experiment, run.trial, run.seed) for run in runs] == [
        ("final", None, 1),
        *(("tune_lr", number, None) for number in range(3)),
    ]


def test_ray_trials_of_two_searches_of_one_name(tmp_path: Path) -> None:
    runs = [*ray_search(tmp_path / "a", CONSTANT), *ray_search(tmp_path / "b", CONSTANT)]
    assert [run.place[0] for run in runs] == ["a"] * 3 + ["b"] * 3
