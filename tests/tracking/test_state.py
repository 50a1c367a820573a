import math
from pathlib import Path

import pytest

from hpsearch.experiment.layout import TRACKING
from hpsearch.tracking.entries import MirroredRun, MirrorState, load_state, save_state, state_of
from tests.tracking.folders import ExperimentFolder, sync


def test_the_state_comes_back(tmp_path: Path) -> None:
    runs = {
        "trials/0001": MirroredRun("a", value=math.inf, outcome="complete"),
        "trials/0000": MirroredRun("b", offset=7),
    }
    state = MirrorState(uri="http://there", experiment="3", parent=MirroredRun("p"), log=12, runs=runs)
    save_state(tmp_path / TRACKING, state)
    assert load_state(tmp_path / TRACKING) == state
    assert list(load_state(tmp_path / TRACKING).runs) == ["trials/0001", "trials/0000"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"version": 99}', '{"version": 1, "runs": 3, "parent": null}']
)
def test_a_damaged_state_is_an_empty_one(tmp_path: Path, content: str) -> None:
    (tmp_path / TRACKING).write_text(content)
    assert load_state(tmp_path / TRACKING) == MirrorState()


def test_the_state_of_another_store_is_not_that_of_this_one(tmp_path: Path) -> None:
    save_state(tmp_path / TRACKING, MirrorState(uri="http://there", log=12))
    assert state_of(tmp_path / TRACKING, uri="http://there").log == 12
    assert state_of(tmp_path / TRACKING, uri=None) == MirrorState()


def test_what_a_kill_left_of_a_state_that_was_being_written_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "experiment" / f".{TRACKING}.4711.tmp"
    folder = ExperimentFolder(left.parent)
    left.write_text('{"version": 1')
    sync(folder.path, uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert not left.exists()
