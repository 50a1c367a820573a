"""The trackers by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hpsearch.errors import UnknownNameError
from hpsearch.experiment.layout import is_study
from hpsearch.experiment.studies import arm_folders
from hpsearch.tracking import NoTracker, Tracker
from hpsearch.tracking.live import LiveTracker, Mirror, Several
from hpsearch.tracking.mlflow_mirror import MlflowMirror
from hpsearch.tracking.mlflow_study import StudyMirror
from hpsearch.tracking.tensorboard import tensorboard_mirror
from hpsearch.tracking.wandb import wandb_mirror

MIRRORS: Mapping[str, Callable[[Path, str | None], Mirror]] = {
    "mlflow": MlflowMirror,
    "tensorboard": lambda folder, _: tensorboard_mirror(folder),
    "wandb": lambda folder, _: wandb_mirror(folder),
}
"""From an experiment's folder and MLflow's URI to a mirror of it."""


def mirror_names(text: str) -> list[str]:
    """Return the trackers that a text such as `mlflow,tensorboard` names; none for `none`. Errors: UnknownNameError."""
    names = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    for name in names:
        if name not in MIRRORS:
            raise UnknownNameError("tracker", name, MIRRORS)
    return list(dict.fromkeys(names))


def open_mirror(name: str, folder: Path, tracking_uri: str | None = None) -> Mirror:
    """Return the mirror of that name. Errors: UnknownNameError; TrackingError when a package is missing."""
    if name not in MIRRORS:
        raise UnknownNameError("tracker", name, MIRRORS)
    return MIRRORS[name](folder, tracking_uri)


def mirrors_of(name: str, folder: Path, tracking_uri: str | None = None) -> list[Mirror]:
    """Return the mirrors of all that a folder holds: of a study its arms and, where the tool nests runs, itself.

    Errors: as for `open_mirror`; ExperimentError for a damaged study.
    """
    arms = arm_folders(folder) if is_study(folder) else [folder]
    return [*(open_mirror(name, arm, tracking_uri) for arm in arms), *_own(name, folder, tracking_uri)]


def _own(name: str, folder: Path, tracking_uri: str | None) -> list[Mirror]:
    """Return the mirror of what a study's folder says of the study itself: MLflow's only."""
    return [StudyMirror(folder, tracking_uri)] if is_study(folder) and name == "mlflow" else []


def live_tracker(
    names: Sequence[str], folder: Path, tracking_uri: str | None, *, warn: Callable[[str], None]
) -> Tracker:
    """Return one tracker for all names, of an experiment or of a study's own run.

    Errors: TrackingError when a package is missing.
    """
    mirrors: list[Mirror] = []
    for name in names:
        mirrors += _own(name, folder, tracking_uri) if is_study(folder) else [open_mirror(name, folder, tracking_uri)]
    trackers = [LiveTracker(mirror, warn=warn) for mirror in mirrors]
    return Several(trackers) if trackers else NoTracker()
