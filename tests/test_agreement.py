"""`hpsearch show --json`, the experiment's folder and MLflow tell the same of every trial."""

import json
import math
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from hpsearch.cli import app
from hpsearch.running.mirroring import trackers
from hpsearch.running.runner import RunOptions, run
from tests.toy_spaces import toy_space


def test_show_and_mlflow_agree_on_every_trial(
    tmp_path: Path, empty_database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = "data: {trouble: {choice: [none, exception, diverge]}}"
    start = "start: [{data.trouble: none}, {data.trouble: exception}, {data.trouble: diverge}]"
    more = f"{start}\nconfirm: {{seeds: 2}}"
    space = toy_space(tmp_path, trials=8, pruner="{asha: {minimum: 1}}", epochs=9, data=data, more=more)
    folder = tmp_path / "experiments" / "toy"
    folder.parent.mkdir()
    shutil.copy(empty_database, folder.parent)
    warnings: list[str] = []
    options = RunOptions(in_process=True, make_tracker=trackers("mlflow", None, warnings.append))
    finished = run(space, folder=folder, options=options)
    assert finished.mirrored, warnings

    capsys.readouterr()
    app(["show", str(folder), "--json"], standalone_mode=False)
    shown = json.loads(capsys.readouterr().out)
    client = MlflowClient(f"sqlite:///{tmp_path}/experiments/mlflow.db")
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], max_results=1000)}

    assert len(shown["trials"]) == 8
    assert {trial["outcome"] for trial in shown["trials"]} >= {"complete", "failed", "diverged"}
    for trial in shown["trials"]:
        mirrored = runs[f"trial-{trial['number']:04d}"]
        tags, metrics, params = mirrored.data.tags, mirrored.data.metrics, mirrored.data.params
        assert tags["hpsearch.outcome"] == trial["outcome"]
        assert tags["hpsearch.seed"] == str(trial["seed"])
        for name, value in trial["params"].items():
            assert params[name] == str(value)
        if trial["value"] is not None:
            assert math.isclose(metrics["objective"], trial["value"])
    assert len([name for name in runs if name.startswith("confirm-")]) == 2
