"""The trackers by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hpsearch.errors import UnknownNameError
from hpsearch.tracking import NoTracker, Tracker
from hpsearch.tracking.live import LiveTracker, Mirror, Several
from hpsearch.tracking.mlflow_mirror import MlflowMirror
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


def live_tracker(
    names: Sequence[str], folder: Path, tracking_uri: str | None, *, warn: Callable[[str], None]
) -> Tracker:
    """Return one tracker for all names. Errors: TrackingError when a package is missing."""
    mirrors = [open_mirror(name, folder, tracking_uri) for name in names]
    trackers = [LiveTracker(mirror, warn=warn) for mirror in mirrors]
    return Several(trackers) if trackers else NoTracker()
