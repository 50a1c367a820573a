import json
import os
from pathlib import Path

import pytest
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from hpsearch.experiment.events import AskEvent, ExploitEvent, NoteEvent, OutcomeEvent
from hpsearch.experiment.files import append_json_line, flatten
from hpsearch.experiment.layout import baselines_run, replicate_run, run_kind, trial_run
from hpsearch.records import Fold, Outcome
from hpsearch.tracking.entries import (
    MirroredRun,
    Point,
    clean_key,
    read_changes,
    read_rows,
    run_title,
)
from hpsearch.tracking.mlflow.writing import param_text


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
    ask = AskEvent(run="x", number=0, params={}, seed=3, replicate=8, fold=Fold(folds=5, repeat=1, fold=3))
    end = OutcomeEvent(run="x", outcome=Outcome.COMPLETE, seconds=1.0, train_size=34, test_size=20)
    tags = read_changes([ask, end], MirroredRun("x")).tags
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


def test_rows_are_read_once_from_the_remembered_offset(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    run = MirroredRun("id", start=1000)
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
    run = MirroredRun("id", offset=path.stat().st_size, step=2)
    os.truncate(path, 0)
    assert read_rows(path, run) == ([], 0, 2)
    for step in (1, 2, 3):
        append_json_line(path, {"step": step})
    rows, _, step = read_rows(path, MirroredRun("id", offset=5, step=2))
    assert (len(rows), step) == (1, 3)


def test_notes_are_tags_by_the_time_at_which_they_were_written() -> None:
    notes = [NoteEvent(order=str(at), run="trials/0000", text=f"note {at}", time=float(at)) for at in (0, 90)]
    tags = read_changes(notes, MirroredRun("id")).tags
    assert tags == {"hpsearch.note.1970-01-01 00:00:00": "note 0", "hpsearch.note.1970-01-01 00:01:30": "note 90"}


def test_what_a_run_gets_later_is_a_tag_since_parameters_are_written_once() -> None:
    run = "trials/0001"
    ask = AskEvent(run=run, number=1, params={"rate": 0.1}, seed=3)
    exploit = ExploitEvent(run=run, number=1, step=4, donor="trials/0000", params={"rate": 0.2})
    changes = read_changes([ask, exploit], MirroredRun("id"))
    assert changes.params == {"rate": 0.1}
    assert json.loads(changes.tags["hpsearch.exploit.000004"]) == {
        "step": 4,
        "donor": "trials/0000",
        "params": {"rate": 0.2},
    }
