"""Files as tools leave them when something went wrong, and as other systems write them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import DataError
from hpsearch.readers.measurements import as_number
from hpsearch.readers.naming import as_key
from hpsearch.readers.shelf import read_sources
from hpsearch.records import Outcome


def ray_folder(path: Path, *, reports: str, status: str | None, error: bool = False) -> Path:
    """Write a trial as Ray Tune does."""
    trial = path / "mine" / "train_1"
    trial.mkdir(parents=True)
    (trial / "params.json").write_text('{"rate": 1}')
    (trial / "result.json").write_text(reports)
    if error:
        (trial / "error.txt").write_text("Failure # 1 (occurred at noon)")
    if status is not None:
        entry = [json.dumps({"trial_id": "1", "status": status}), "{}"]
        (path / "mine" / "experiment_state-1.json").write_text(json.dumps({"trial_data": [entry]}))
    return path


def report(step: int, loss: Any) -> str:
    """Return a line of result.json."""
    return json.dumps({"trial_id": "1", "training_iteration": step, "loss": loss}) + "\n"


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        ("TERMINATED", True, Outcome.COMPLETE),  # it failed once and was tried again
        ("ERROR", True, Outcome.FAILED),
        (None, True, Outcome.FAILED),
        ("RUNNING", False, None),
    ],
)
def test_rays_state_knows_how_a_trial_ended(
    tmp_path: Path, status: str | None, error: bool, outcome: Outcome | None
) -> None:
    (run,) = read_sources([str(ray_folder(tmp_path, reports=report(1, 0.5), status=status, error=error))]).runs
    assert run.outcome is outcome
    assert (run.dropped is None) is (outcome is not None)


def test_a_torn_last_report_of_rays_is_left_out_and_nan_stays(tmp_path: Path) -> None:
    reports = report(1, 0.5) + report(2, "null") + '{"trial_id": "1", "lo'
    (run,) = read_sources([str(ray_folder(tmp_path, reports=reports, status=None))]).runs
    assert math.isnan(run.metrics["loss"].value)
    assert run.steps == 2


def test_a_trial_of_rays_that_failed_at_once_is_listed(tmp_path: Path) -> None:
    ray_folder(tmp_path, reports=report(1, 0.5), status=None)
    failed = tmp_path / "mine" / "train_2"
    failed.mkdir()
    (failed / "params.json").write_text('{"rate": 2}')
    (failed / "error.txt").write_text("Failure # 1 (occurred at noon)")
    runs = read_sources([str(tmp_path)]).runs
    assert [(run.run, run.outcome, run.dropped) for run in runs] == [
        ("train_1", Outcome.COMPLETE, None),
        ("train_2", Outcome.FAILED, "it reported nothing"),
    ]


def test_rays_own_encoder_writes_nan_so() -> None:
    import numpy as np
    from ray.air._internal.json import SafeFallbackEncoder

    assert json.dumps(np.float32("nan"), cls=SafeFallbackEncoder) == '"null"'


@pytest.mark.parametrize("name", ["trainer_state.json", "metrics.json"])
def test_a_torn_file_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "run_seed_1").mkdir()
    (tmp_path / "run_seed_1" / name).write_text('{"log_history": [')
    with pytest.raises(DataError, match=name):
        read_sources([str(tmp_path)])


def test_metrics_from_windows_with_odd_steps(tmp_path: Path) -> None:
    (tmp_path / "run_seed_1").mkdir()
    text = "\ufeffstep,loss\r\n1,3\r\nnan,2\r\n1e30,1\r\n"
    (tmp_path / "run_seed_1" / "metrics.csv").write_bytes(text.encode())
    (run,) = read_sources([str(tmp_path)]).runs
    assert list(run.histories["loss"].steps) == [1, 1, 2]
    assert run.metrics.keys() == {"loss"}


def test_a_gap_in_a_table_is_no_seed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("experiment,seed,step,accuracy,seconds\nours,1,1,0.5,long\nclassic,,1,0.4,2\n")
    ours, classic = read_sources([str(tmp_path / "t.csv")]).runs
    assert (ours.seed, classic.seed) == (1, None)
    assert (ours.seconds, classic.seconds) == (None, 2.0)
    assert as_key(math.nan) is None
    assert as_number(10**400) is None


def test_optunas_notes_are_numbers(tmp_path: Path) -> None:
    import optuna

    storage = f"sqlite:///{tmp_path / 'store.db'}"
    study = optuna.create_study(storage=storage)
    study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={"accuracy": "0.5"}))
    (run,) = read_sources([storage]).runs
    assert run.metrics["accuracy"].value == 0.5


@pytest.mark.slow
def test_mlflows_infinity_and_its_folds_below_a_parent(tmp_path: Path) -> None:
    import mlflow

    store = tmp_path / "mlflow.db"
    client = mlflow.tracking.MlflowClient(tracking_uri=f"sqlite:///{store}")
    experiment = client.create_experiment("base", artifact_location=(tmp_path / "artifacts").as_uri())
    parent = client.create_run(experiment, run_name="crossed").info.run_id
    for fold in range(2):
        run = client.create_run(experiment, run_name=f"fold {fold}", tags={"mlflow.parentRunId": parent}).info.run_id
        client.log_param(run, "fold", fold)
        client.log_metric(run, "loss", math.inf)
        client.set_terminated(run, "FINISHED")
    client.set_terminated(parent, "FINISHED")
    found = read_sources([str(store)]).runs
    assert [(run.experiment, run.fold, run.search) for run in found] == [("crossed", 0, None), ("crossed", 1, None)]
    assert all(run.metrics["loss"].value == math.inf for run in found)
