import json
import shutil
from pathlib import Path

import pytest

from hpsearch.experiment.addresses import sqlite_url
from hpsearch.experiment.layout import TRACKING
from hpsearch.readers.shelf import read_sources
from hpsearch.tracking.entries import Point
from hpsearch.tracking.mlflow.store import ARTIFACTS, DATABASE, chosen_uri, default_uri
from hpsearch.tracking.mlflow.ui import ui_command
from hpsearch.tracking.mlflow.writing import (
    BYTES_IN_BATCH,
    METRICS_IN_BATCH,
    PARAM_LENGTH,
    TEXTS_IN_BATCH,
    metric_batches,
    param_text,
    text_batches,
)
from tests.tracking.folders import ExperimentFolder, grow_shortly, sync
from tests.tracking.reading import Reading


def test_the_default_store_moves_with_the_folders(folder: ExperimentFolder, root: Path) -> None:
    grow_shortly(folder)
    sync(folder.path)
    assert json.loads((folder.path / TRACKING).read_text())["uri"] is None
    moved = root.with_name("moved")
    shutil.move(root, moved)
    sync(moved / "line")
    assert chosen_uri(moved / "line", None) == default_uri(moved)
    assert len(Reading(default_uri(moved), "line").names) == 7
    assert not root.exists()


@pytest.mark.parametrize(
    "name", ["a%20b?c=d#e", *(pytest.param(each, marks=pytest.mark.slow) for each in ("a?b", "50% of it", "a#b"))]
)
def test_a_folder_whose_name_means_something_else_in_a_url(tmp_path: Path, empty_database: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    for database in (DATABASE, "other?.db"):
        shutil.copy(empty_database, root / database)
    folder = ExperimentFolder(root / "line")
    grow_shortly(folder)
    sync(folder.path)
    sync(folder.path, f"sqlite:///{root / 'other?.db'}")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in root.iterdir()} >= {"line", DATABASE, "other?.db", ARTIFACTS}
    assert list((root / ARTIFACTS).rglob("best.pt"))
    found = [read_sources([str(root / database)]).runs for database in (DATABASE, "other?.db")]
    assert len(found[0]) == len(found[1]) == len(read_sources([str(folder.path)]).runs)
    assert sqlite_url(root / "other?.db") in ui_command(folder.path, port=1)


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
