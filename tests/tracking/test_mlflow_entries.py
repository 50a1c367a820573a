import json
import os
from pathlib import Path

import pytest
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from hpsearch.experiment.files import append_json_line
from hpsearch.experiment.layout import baselines_run, replicate_run, trial_run
from hpsearch.records import Fold
from hpsearch.tracking.mlflow_entries import (
    BYTES_IN_BATCH,
    METRICS_IN_BATCH,
    PARAM_LENGTH,
    TEXTS_IN_BATCH,
    Point,
    clean_key,
    flatten,
    metric_batches,
    param_text,
    read_changes,
    read_rows,
    run_kind,
    run_title,
    text_batches,
)
from hpsearch.tracking.mlflow_state import RunState


@pytest.mark.parametrize(
    ("path", "title", "kind"),
    [
        (trial_run(7), "trial-0007", "trial"),
        (trial_run(12345), "trial-12345", "trial"),
        ("confirm/0007/seed-002", "confirm-0007-seed-002", "replicate"),
        (replicate_run(7, Fold(5, 0, 3)), "confirm-0007-repeat-0-fold-3-of-5", "replicate"),
        ("confirm/baselines/sloreta", "baseline-sloreta", "baseline"),
        (f"{baselines_run(Fold(5, 0, 3))}/tfidf", "baseline-repeat-0-fold-3-of-5-tfidf", "baseline"),
    ],
)
def test_runs_have_short_names(path: str, title: str, kind: str) -> None:
    assert (run_title(path), run_kind(path)) == (title, kind)


def test_the_fold_of_a_replicate_is_in_its_tags() -> None:
    ask = {"event": "ask", "run": "x", "params": {}, "seed": 3, "replicate": 8, "folds": 5, "repeat": 1, "fold": 3}
    end = {"event": "outcome", "run": "x", "outcome": "complete", "time": 0.0, "train_size": 34, "test_size": 20}
    tags = read_changes([ask, end], RunState("x")).tags
    assert {name: tags[f"hpsearch.{name}"] for name in ("fold", "folds", "repeat", "train_size", "test_size")} == {
        "fold": "3",
        "folds": "5",
        "repeat": "1",
        "train_size": "34",
        "test_size": "20",
    }


@pytest.mark.parametrize(
    "name", ["val/acc@5", "/a", "a//b", "../b", ".", "", "a/../b", "über/%", "x" * 300, "a/", "a: b"]
)
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    _validate_metric_name(clean_key(name))
    _validate_param_name(clean_key(name))
    assert len(clean_key(name)) <= 250


def test_good_names_stay() -> None:
    for name in ("val/auc", "train.learning_rate", "test/f1 macro", "a-b:c"):
        assert clean_key(name) == name


def test_nested_settings_become_dotted_names() -> None:
    nested = {
        "model": {"layers": 2, "position": {"kind": "rope", "base": 1e4}, "none": None},
        "sizes": [1, 2],
        "empty": {},
    }
    assert {name: param_text(value) for name, value in flatten(nested).items()} == {
        "model.layers": "2",
        "model.position.kind": "rope",
        "model.position.base": "10000.0",
        "model.none": "None",
        "sizes": "[1, 2]",
        "empty": "{}",
    }


def test_long_values_are_cut_with_a_mark() -> None:
    assert param_text("x" * PARAM_LENGTH) == "x" * PARAM_LENGTH
    assert len(param_text("x" * (PARAM_LENGTH + 1))) == PARAM_LENGTH
    assert param_text("x" * (PARAM_LENGTH + 1)).endswith("…")


def test_batches_of_metrics_hold_whole_rows() -> None:
    rows = [[Point(f"m{column}", 0.0, 0, step) for column in range(300)] for step in range(5)]
    batches = list(metric_batches(rows))
    assert [len(batch) for batch in batches] == [600, 600, 300]
    assert [point for batch in batches for point in batch] == [point for row in rows for point in row]
    assert all(len(batch) <= METRICS_IN_BATCH for batch in metric_batches([[Point("m", 0.0, 0, 0)] * 2000]))


def test_batches_of_texts_keep_mlflows_limits_of_number_and_size() -> None:
    texts = {f"p{number}": "é" * 3000 for number in range(250)} | {f"q{number}": "short" for number in range(250)}
    batches = list(text_batches(texts))
    assert {key: text for batch in batches for key, text in batch.items()} == texts
    assert max(len(batch) for batch in batches) == TEXTS_IN_BATCH
    assert max(len(json.dumps(batch)) for batch in batches) < BYTES_IN_BATCH + 1000


def test_rows_are_read_once_from_the_remembered_offset(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    run = RunState("id", start=1000)
    append_json_line(path, {"step": 1, "seconds": 0.5, "loss": 0.25, "note": "text", "flag": True})
    rows, run.offset, run.step = read_rows(path, run)
    assert rows == [[Point("loss", 0.25, 1500, 1), Point("seconds", 0.5, 1500, 1)]]
    assert (run.offset, run.step) == (path.stat().st_size, 1)
    with path.open("r+b") as file:
        file.write(b"?" * (run.offset - 1))  # what is behind us is not read again
    append_json_line(path, {"step": 2, "loss": "nan"})
    rows, run.offset, run.step = read_rows(path, run)
    assert [(point.key, point.step) for row in rows for point in row] == [("loss", 2), ("seconds", 2)]
    assert read_rows(path, run) == ([], path.stat().st_size, 2)


def test_a_shorter_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3):
        append_json_line(path, {"step": step})
    run = RunState("id", offset=path.stat().st_size, step=2)
    os.truncate(path, 0)
    assert read_rows(path, run) == ([], 0, 2)
    for step in (1, 2, 3):
        append_json_line(path, {"step": step})
    rows, _, step = read_rows(path, RunState("id", offset=5, step=2))
    assert (len(rows), step) == (1, 3)


def test_what_a_run_gets_later_is_a_tag_since_parameters_are_written_once() -> None:
    run = "trials/0001"
    ask = {"event": "ask", "run": run, "number": 1, "params": {"rate": 0.1}, "seed": 3}
    exploit = {"event": "exploit", "run": run, "number": 1, "step": 4, "donor": "trials/0000", "params": {"rate": 0.2}}
    changes = read_changes([ask, exploit], RunState("id"))
    assert changes.params == {"rate": 0.1}
    assert json.loads(changes.tags["hpsearch.exploit.000004"]) == {
        "step": 4,
        "donor": "trials/0000",
        "params": {"rate": 0.2},
    }
