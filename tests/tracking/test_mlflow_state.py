import json
import math
import shutil
from pathlib import Path

import pytest

from hpsearch.experiment.layout import TRACKING
from hpsearch.tracking.mlflow_mirror import MlflowMirror
from hpsearch.tracking.mlflow_state import MirrorState, RunState, load_state, save_state
from hpsearch.tracking.mlflow_store import default_uri
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
