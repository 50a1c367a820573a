"""Where in MLflow a folder is mirrored: the store, and the experiment in it, which the arms of a study share."""

import fcntl
from pathlib import Path
from typing import BinaryIO

from hpsearch.errors import TrackingError
from hpsearch.experiment.addresses import absolute_url
from hpsearch.experiment.layout import TRACKING, root_of, study_of
from hpsearch.tracking.mlflow_state import MirrorState, load_state
from hpsearch.tracking.mlflow_store import Store, default_uri


def chosen_uri(folder: Path, tracking_uri: str | None) -> str:
    """Return the store asked for; without one that used last, at first the one at the root of the experiments."""
    chosen = absolute_url(tracking_uri) if tracking_uri else load_state(folder / TRACKING).uri
    return chosen or default_uri(root_of(folder))


def state_in(uri: str, folder: Path) -> MirrorState:
    """Return how far a folder has been mirrored in a store."""
    remembered = None if uri == default_uri(root_of(folder)) else uri  # so that folders can be moved
    state = load_state(folder / TRACKING)
    return state if state.uri == remembered else MirrorState(uri=remembered)


def open_store(uri: str, folder: Path) -> Store:
    """Open the MLflow experiment of a folder: called after the study, or after the experiment of no study."""
    return Store.open(uri, name=(study_of(folder) or folder).name, root=root_of(folder))


def mirror_lock(path: Path, to: str) -> BinaryIO:
    """Hold a lock until it is closed. Errors: TrackingError while another process holds it."""
    lock = path.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise TrackingError(f"another process is mirroring {path.parent} to {to}") from error
    return lock
