"""MLflow's file store, folders `mlruns`, as its versions wrote it; and what stands above a run in any store."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.readers.mlflow_runs import MlflowRun, as_finished
from hpsearch.readers.shelf import read_sources
from hpsearch.records import FinishedRun, Measurement, Outcome

HEX = "0123456789abcdef0123456789abcde"


def write_run(experiment: Path, digit: int, *, status: int = 3, stage: str = "active", name: str = "r") -> Path:
    """Write a run as MLflow 1 does: its id may consist of digits only, and is not quoted."""
    folder = experiment / f"{digit:032d}"
    for part in ("params", "metrics", "tags", "artifacts"):
        (folder / part).mkdir(parents=True)
    (folder / "meta.yaml").write_text(
        f"artifact_uri: file:///x\nend_time: 1700000001000\nexperiment_id: '1'\nlifecycle_stage: {stage}\n"
        f"name: ''\nrun_id: {folder.name}\nrun_name: {name}\nrun_uuid: {folder.name}\nstart_time: 1700000000000\n"
        f"status: {status}\ntags: []\nuser_id: me\n"
    )
    (folder / "params" / "seed").write_text(str(digit))
    (folder / "metrics" / "acc").write_text(f"1700000000000 0.{digit} 0\n")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return `mlruns` with the experiment `lstm`."""
    experiment = tmp_path / "mlruns" / "1"
    experiment.mkdir(parents=True)
    text = "artifact_location: file:///x\nexperiment_id: '1'\nlifecycle_stage: active\nname: lstm\n"
    (experiment / "meta.yaml").write_text(text)
    return experiment.parent


def runs_of(path: Path) -> list[FinishedRun]:
    return list(read_sources([str(path)]).runs)


def test_a_store_an_experiment_and_a_run(store: Path) -> None:
    for digit in (1, 2):
        folder = write_run(store / "1", digit)
        (folder / "artifacts" / "metrics.json").write_text('{"acc": 0.05}')
    (store / "models" / "best").mkdir(parents=True)
    (store / "models" / "best" / "meta.yaml").write_text("name: best\n")
    for path in (store.parent, store, store / "1"):
        runs = runs_of(path)
        assert [(run.experiment, run.seed, run.metrics["acc"].value) for run in runs] == [
            ("lstm", 1, 0.1),
            ("lstm", 2, 0.2),
        ]
        assert {run.place[:2] for run in runs} == {("mlruns", store.parent.name)}
    assert [(run.experiment, run.seconds) for run in runs_of(store / "1" / f"{2:032d}")] == [("lstm", 1.0)]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(1, None), (2, None), (3, Outcome.COMPLETE), (4, Outcome.FAILED), (5, Outcome.PRUNED)],
)
def test_how_a_run_ended(store: Path, status: int, outcome: Outcome | None) -> None:
    write_run(store / "1", 1, status=status)
    (run,) = runs_of(store)
    assert run.outcome is outcome
    assert (run.dropped is None) is (outcome is not None)


def test_what_was_deleted_does_not_count(store: Path) -> None:
    write_run(store / "1", 1, stage="deleted")
    write_run(store / "1", 2)
    assert [run.seed for run in runs_of(store)] == [2]
    meta = store / "1" / "meta.yaml"
    meta.write_text(meta.read_text().replace("active", "deleted"))
    assert runs_of(store) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("1 0.5 0\n2 0.6 1\n", Measurement(0.6, 1)),
        ("2 0.6 1\n1 0.5 0\n", Measurement(0.6, 1)),  # by the step, as MLflow shows it
        ("1 0.5 3\n2 0.7 3\n3 0.6 3\n4 0.1 1\n", Measurement(0.6, 3)),  # of one step the latest
        ("1 0.5 3\n1 0.7 3\n1 0.6 3\n", Measurement(0.7, 3)),  # of one moment the largest
        ("1 0.5\n2 0.25\n", Measurement(0.25, 0)),  # MLflow 1.0
        ("1 0.5 4 mnist 1a2b\n", Measurement(0.5, 4)),  # MLflow 3 names a data set
        ("1 0.5 0\n2 0.6", Measurement(0.5, 0)),  # a killed process
        ("1 0.5 0\n2 0.6 1", Measurement(0.6, 1)),
        ("1 inf 0\n", Measurement(math.inf, 0)),
    ],
)
def test_the_lines_of_a_metric(store: Path, lines: str, expected: Measurement) -> None:
    (write_run(store / "1", 1) / "metrics" / "acc").write_text(lines)
    (run,) = runs_of(store)
    assert run.metrics["acc"] == expected


def test_nan_stays_and_names_may_hold_slashes(store: Path) -> None:
    folder = write_run(store / "1", 1)
    (folder / "metrics" / "val").mkdir()
    (folder / "metrics" / "val" / "loss").write_text("1 0.5 0\n2 nan 1\n")
    (folder / "params" / "model").mkdir()
    (folder / "params" / "model" / "width").write_text("64")
    (run,) = runs_of(store)
    assert math.isnan(run.metrics["val/loss"].value)
    assert list(run.histories["val/loss"].steps) == [0, 1]
    assert run.params == {"seed": 1, "model/width": 64}


def test_a_run_whose_meta_is_empty_is_left_out_with_a_word(store: Path) -> None:
    """MLflow leaves such a file where it was killed while it wrote it."""
    (write_run(store / "1", 1) / "meta.yaml").write_text("")
    write_run(store / "1", 2)
    found = read_sources([str(store)])
    assert [run.seed for run in found.runs] == [2]
    assert found.warnings == (f"{store}/1/{1:032d}/meta.yaml says of no run: it is left out",)


def test_a_meta_file_of_something_else_is_no_store(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "meta.yaml").write_text("{% set version = '1' %}\npackage: {name: x}\n")
    (tmp_path / "lstm_seed_1").mkdir()
    (tmp_path / "lstm_seed_1" / "metrics.json").write_text('{"acc": 0.5}')
    assert [run.experiment for run in runs_of(tmp_path)] == ["lstm"]


def test_artifacts_are_no_runs_without_the_store_either(tmp_path: Path) -> None:
    """Beside a database, `mlruns` holds artifacts only: copies of files of the runs."""
    kept = tmp_path / "mlruns" / "1" / f"{HEX}f" / "artifacts"
    kept.mkdir(parents=True)
    (kept / "metrics.json").write_text('{"acc": 0.05}')
    (tmp_path / "lstm_seed_1").mkdir()
    (tmp_path / "lstm_seed_1" / "metrics.json").write_text('{"acc": 0.5}')
    assert [(run.experiment, run.metrics["acc"].value) for run in runs_of(tmp_path)] == [("lstm", 0.5)]


REAL = """
import math, sys
import mlflow

client = mlflow.tracking.MlflowClient(tracking_uri=sys.argv[1])
for name in ("resnet", "vit"):
    experiment = client.create_experiment(name)
    parent = client.create_run(experiment, run_name="2 seeds").info.run_id
    for seed in range(2):
        run = client.create_run(experiment, run_name=f"seed {seed}", tags={"mlflow.parentRunId": parent}).info.run_id
        client.log_param(run, "seed", seed)
        for step in range(3):
            client.log_metric(run, "val/acc", step + seed / 10, step=step)
        client.log_metric(run, "loss", math.nan)
        client.set_terminated(run)
    client.set_terminated(parent)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_what_mlflow_writes_today(tmp_path: Path, kind: str) -> None:
    uri = str(tmp_path / "mlruns") if kind == "files" else f"sqlite:///{tmp_path}/mlflow.db"
    environment = os.environ | {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, "-c", REAL, uri], check=True, env=environment, cwd=tmp_path, capture_output=True)
    runs = runs_of(tmp_path)
    assert sorted((run.place[0], run.seed, run.metrics["val/acc"].value) for run in runs) == [
        (name, seed, 2 + seed / 10) for name in ("resnet", "vit") for seed in (0, 1)
    ]
    assert all(math.isnan(run.metrics["loss"].value) and run.search is None for run in runs)
    assert all(list(run.histories["val/acc"].steps) == [0, 1, 2] for run in runs)


def kept(identity: str, name: str, parent: str | None = None, experiment: str = "all") -> MlflowRun:
    tags = {} if parent is None else {"mlflow.parentRunId": parent}
    metrics = {} if parent is None else {"acc": Measurement(0.5)}
    return MlflowRun(identity, name, experiment, "FINISHED", 1.0, {"seed": "1"}, tags, metrics, {})


def places(*runs: MlflowRun) -> list[tuple[str, tuple[str, ...]]]:
    return [(run.experiment, run.place) for run in as_finished(runs, source="s", place=("mlflow.db",)).runs]


def test_parents_of_one_name_in_two_experiments() -> None:
    assert places(
        kept("a", "5 seeds", experiment="resnet"),
        kept("b", "5 seeds", experiment="vit"),
        kept("a1", "s1", "a", experiment="resnet"),
        kept("b1", "s1", "b", experiment="vit"),
    ) == [("5 seeds", ("resnet", "mlflow.db")), ("5 seeds", ("vit", "mlflow.db"))]


def test_parents_below_parents() -> None:
    assert places(
        *(kept("r", "resnet"), kept("v", "vit")),
        *(kept("a", "5 seeds", "r"), kept("b", "5 seeds", "v")),
        *(kept("a1", "s1", "a"), kept("b1", "s1", "b")),
    )[2:] == [("5 seeds", ("resnet", "all", "mlflow.db")), ("5 seeds", ("vit", "all", "mlflow.db"))]


@pytest.mark.parametrize(
    ("ids", "told"),
    [(("1234567890a", "abcdef12345"), ("run 12345678", "run abcdef12")), (("00000000a", "00000000b"),) * 2],
)
def test_parents_of_one_name_side_by_side_differ_by_their_ids(ids: tuple[str, str], told: tuple[str, str]) -> None:
    found = places(*(kept(each, "5 seeds") for each in ids), *(kept(f"child of {each}", "s1", each) for each in ids))
    words = [each if each.startswith("run") else f"run {each}" for each in told]
    assert found == [("5 seeds", (word, "all", "mlflow.db")) for word in words]


def test_children_of_parents_that_are_gone() -> None:
    assert places(kept("a1", "s1", "gone1"), kept("b1", "s1", "gone2"), kept("c1", "s1")) == [
        ("all", ("parent gone1", "mlflow.db")),
        ("all", ("parent gone2", "mlflow.db")),
        ("all", ("mlflow.db",)),
    ]
