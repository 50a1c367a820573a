import json
import math
import shutil
from pathlib import Path

import pytest

from hpsearch.experiment.addresses import sqlite_url
from hpsearch.experiment.layout import TRACKING
from hpsearch.readers.shelf import read_sources
from hpsearch.tracking.mlflow_mirror import MlflowMirror
from hpsearch.tracking.mlflow_state import MirrorState, RunState, load_state, save_state
from hpsearch.tracking.mlflow_store import ARTIFACTS, DATABASE, default_uri
from hpsearch.tracking.mlflow_ui import ui_command
from tests.tracking.folders import ExperimentFolder, grow_shortly, sync
from tests.tracking.reading import Reading


def test_the_state_comes_back(tmp_path: Path) -> None:
    runs = {"trials/0001": RunState("a", value=math.inf, outcome="complete"), "trials/0000": RunState("b", offset=7)}
    state = MirrorState(uri="http://there", experiment="3", parent=RunState("p"), log=12, runs=runs)
    save_state(tmp_path / TRACKING, state)
    assert load_state(tmp_path / TRACKING) == state
    assert list(load_state(tmp_path / TRACKING).runs) == ["trials/0001", "trials/0000"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"version": 99}', '{"version": 1, "runs": 3, "parent": null}']
)
def test_a_damaged_state_is_an_empty_one(tmp_path: Path, content: str) -> None:
    (tmp_path / TRACKING).write_text(content)
    assert load_state(tmp_path / TRACKING) == MirrorState()


def test_the_default_store_moves_with_the_folders(folder: ExperimentFolder, root: Path) -> None:
    grow_shortly(folder)
    sync(folder.path)
    assert json.loads((folder.path / TRACKING).read_text())["uri"] is None
    moved = root.with_name("moved")
    shutil.move(root, moved)
    sync(moved / "line")
    assert MlflowMirror(moved / "line").uri == default_uri(moved)
    assert len(Reading(default_uri(moved), "line").names) == 7
    assert not root.exists()


@pytest.mark.parametrize("name", ["a?b", "50% of it", "a#b", "a%20b?c=d#e"])
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
