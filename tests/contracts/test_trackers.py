"""Every tracker of the shelf keeps the Tracker contract: it catches up, and whatever goes wrong stays with it."""

from pathlib import Path

import pytest

from hpsearch.errors import ExperimentError, TrackingError, UnknownNameError
from hpsearch.experiment.events import EndEvent
from hpsearch.records import Outcome
from hpsearch.tracking import NoTracker, Tracker
from hpsearch.tracking.shelf import MIRRORS, LiveTracker, Several, live_tracker, mirror_names, open_mirror
from tests.tracking.folders import ExperimentFolder

SHELF = [pytest.param(name, marks=[pytest.mark.slow] if name != "tensorboard" else []) for name in MIRRORS]
"""The others import for seconds."""


@pytest.fixture
def folder(tmp_path: Path) -> ExperimentFolder:
    folder = ExperimentFolder(tmp_path / "line")
    folder.trial(0, Outcome.COMPLETE, (0.9, 0.5))
    folder.log.append(EndEvent(why="finished"))
    return folder


def unwritable(name: str, folder: ExperimentFolder) -> None:
    """Put a file where the tracker keeps its own, so that nothing can be written there even by root."""
    for place in ("tensorboard", "wandb", "tracking.lock", "tracking-tensorboard.lock", "tracking-wandb.lock"):
        (folder.path / place).mkdir() if place.endswith("lock") else (folder.path / place).touch()


@pytest.mark.parametrize("name", SHELF)
def test_it_catches_up_and_closes(name: str, folder: ExperimentFolder) -> None:
    tracker: Tracker = LiveTracker(open_mirror(name, folder.path), warn=pytest.fail)
    tracker.notify()
    assert tracker.close(timeout=120)
    open_mirror(name, folder.path).catch_up(final=True)  # the lock is free again, and nothing is left to do


@pytest.mark.parametrize("name", SHELF)
def test_a_failure_is_a_warning_and_no_exception(name: str, folder: ExperimentFolder) -> None:
    unwritable(name, folder)
    warnings: list[str] = []
    tracker = LiveTracker(open_mirror(name, folder.path), warn=warnings.append, pause=0.01)
    tracker.notify()
    assert not tracker.close(timeout=120)
    (warning,) = warnings
    assert "the search goes on" in warning
    assert f"hpsearch sync {folder.path}" in warning


@pytest.mark.parametrize("name", SHELF)
def test_two_at_once_are_refused(name: str, folder: ExperimentFolder) -> None:
    first = open_mirror(name, folder.path)
    first.catch_up()
    with pytest.raises(TrackingError, match="another process is mirroring"):
        open_mirror(name, folder.path).catch_up()
    first.close()


@pytest.mark.parametrize("name", SHELF)
def test_what_is_no_experiment_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError):
        open_mirror(name, tmp_path).catch_up()


def test_names_are_checked_and_none_is_nothing(folder: ExperimentFolder) -> None:
    assert mirror_names("mlflow, tensorboard,mlflow") == ["mlflow", "tensorboard"]
    assert mirror_names("none") == []
    with pytest.raises(UnknownNameError, match="tensorboard"):
        mirror_names("tensorbord")
    assert isinstance(live_tracker([], folder.path, None, warn=pytest.fail), NoTracker)


def test_several_are_complete_when_all_are(folder: ExperimentFolder) -> None:
    class Behind(NoTracker):
        def close(self, timeout: float) -> bool:
            return False

    assert Several([NoTracker(), NoTracker()]).close(1.0)
    assert not Several([Behind(), NoTracker()]).close(1.0)
