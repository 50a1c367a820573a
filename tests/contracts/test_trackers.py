"""Every tracker of the shelf keeps the Tracker contract: it catches up, and whatever goes wrong stays with it."""

from pathlib import Path

import pytest

from hpsearch.errors import UnknownNameError
from hpsearch.testing import TrackerSuite
from hpsearch.tracking import Mirror, NoTracker
from hpsearch.tracking.shelf import MIRRORS, Several, live_tracker, mirror_names, open_mirror

SHELF = [pytest.param(name, marks=[pytest.mark.slow] if name != "tensorboard" else []) for name in MIRRORS]
"""The others import for seconds."""


class TestShelf(TrackerSuite):
    @pytest.fixture(autouse=True, params=SHELF)
    def _each(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param

    def open(self, folder: Path) -> Mirror:
        return open_mirror(self.name, folder)

    def spoil(self, folder: Path) -> None:
        for place in ("tensorboard", "wandb", "tracking.lock", "tracking-tensorboard.lock", "tracking-wandb.lock"):
            (folder / place).mkdir() if place.endswith("lock") else (folder / place).touch()


def test_names_are_checked_and_none_is_nothing(tmp_path: Path) -> None:
    assert mirror_names("mlflow, tensorboard,mlflow") == ["mlflow", "tensorboard"]
    assert mirror_names("none") == []
    with pytest.raises(UnknownNameError, match="tensorboard"):
        mirror_names("tensorbord")
    assert isinstance(live_tracker([], tmp_path, None, warn=pytest.fail), NoTracker)


def test_several_are_complete_when_all_are() -> None:
    class Behind(NoTracker):
        def close(self, timeout: float) -> bool:
            return False

    assert Several([NoTracker(), NoTracker()]).close(1.0)
    assert not Several([Behind(), NoTracker()]).close(1.0)
