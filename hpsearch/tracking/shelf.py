"""The trackers by name, and the threads that they run on."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hpsearch.errors import TrackingError, UnknownNameError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.experiment.layout import is_study
from hpsearch.experiment.studies import arm_folders
from hpsearch.extras import Extra, require
from hpsearch.tracking import Mirror, NoTracker, Tracker
from hpsearch.tracking.mlflow.sink import StudyMirror, mlflow_mirror
from hpsearch.tracking.tensorboard import tensorboard_mirror
from hpsearch.tracking.wandb import wandb_mirror

MIRRORS: Mapping[str, Callable[[Path, str | None], Mirror]] = {
    "mlflow": mlflow_mirror,
    "tensorboard": lambda folder, _: tensorboard_mirror(folder),
    "wandb": lambda folder, _: wandb_mirror(folder),
}
"""From an experiment's folder and MLflow's URI to a mirror of it."""
EXTRAS: Mapping[str, Extra] = {"mlflow": Extra.MLFLOW, "tensorboard": Extra.TENSORBOARD, "wandb": Extra.WANDB}
"""What each needs."""

PAUSE = 1.0
"""Seconds between two rounds, so that many events become few requests."""
IDLE = 5.0
"""Seconds after which the metrics of running trials are looked at without being told."""
START = 20.0
"""Seconds that the first training may take to begin before a mirror's imports compete with it."""
LONGEST_PAUSE = 60.0


def mirror_names(text: str) -> list[str]:
    """Return the trackers that a text such as `mlflow,tensorboard` names; none for `none`.

    Raises:
        UnknownNameError: a name is not a tracker's.
        TrackingError: the package of one is not installed.
    """
    names = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    for name in names:
        if name not in MIRRORS:
            raise UnknownNameError("tracker", name, MIRRORS)
        require(f"the tracker {name}", EXTRAS[name], kind=TrackingError)
    return list(dict.fromkeys(names))


def open_mirror(name: str, folder: Path, tracking_uri: str | None = None) -> Mirror:
    """Return the mirror of that name.

    Raises:
        UnknownNameError: there is no tracker of that name.
        TrackingError: its package is not installed.
    """
    if name not in MIRRORS:
        raise UnknownNameError("tracker", name, MIRRORS)
    require(f"the tracker {name}", EXTRAS[name], kind=TrackingError)
    return MIRRORS[name](folder, tracking_uri)


def mirrors_of(name: str, folder: Path, tracking_uri: str | None = None) -> list[Mirror]:
    """Return the mirrors of all that a folder holds: of a study its arms and, where the tool nests runs, itself.

    Raises:
        UnknownNameError: there is no tracker of that name.
        TrackingError: its package is not installed.
        ExperimentError: the study is damaged.
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

    Raises:
        TrackingError: a package is not installed.
    """
    mirrors: list[Mirror] = []
    for name in names:
        mirrors += _own(name, folder, tracking_uri) if is_study(folder) else [open_mirror(name, folder, tracking_uri)]
    trackers = [LiveTracker(mirror, warn=warn) for mirror in mirrors]
    return Several(trackers) if trackers else NoTracker()


class LiveTracker:
    """Runs a mirror on its own thread: imports, databases and outages never delay the search.

    `warn` is called on that thread, at most once, when the mirror cannot be written. `pause`: seconds between two
    rounds, more of them after failures.
    """

    def __init__(self, mirror: Mirror, *, warn: Callable[[str], None], pause: float = PAUSE) -> None:
        self._mirror = mirror
        self._warn = warn
        self._pause = pause
        self._warned = False
        self._complete = False
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"{mirror.name} mirror", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Announce new events."""
        self._news.set()

    def close(self, timeout: float) -> bool:
        """Catch up for the last time, for at most `timeout` seconds; say whether everything is mirrored."""
        self._closing.set()
        self._news.set()
        self._thread.join(timeout)
        return self._complete

    def _work(self) -> None:
        pause, patience = self._pause, START
        while True:
            self._news.wait(patience)
            patience = IDLE
            self._news.clear()
            closing = self._closing.is_set()
            caught_up = self._catch_up(final=closing)
            if closing:
                self._mirror.close()
                self._complete = caught_up
                return
            pause = self._pause if caught_up else min(2 * pause, LONGEST_PAUSE)
            self._closing.wait(pause)

    def _catch_up(self, *, final: bool) -> bool:
        try:
            self._mirror.catch_up(final=final)
        except Exception as error:  # noqa: BLE001 - nothing that goes wrong in a mirror may end a search
            if not self._warned:
                self._warned = True
                to = "" if self._mirror.name == "mlflow" else f" --to {self._mirror.name}"
                told = without_secrets(str(error))
                self._warn(
                    f"{told}; the search goes on, and `hpsearch sync {self._mirror.folder}{to}` catches up later"
                )
            return False
        return True


class Several:
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def notify(self) -> None:
        """Announce new events."""
        for tracker in self._trackers:
            tracker.notify()

    def close(self, timeout: float) -> bool:
        """Close all within `timeout` seconds; say whether everything is mirrored everywhere."""
        end = time.monotonic() + timeout
        done = [tracker.close(max(0.0, end - time.monotonic())) for tracker in self._trackers]
        return all(done)
