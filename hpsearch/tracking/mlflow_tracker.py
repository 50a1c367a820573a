"""The live mirror in MLflow: a thread that catches up whenever it is told that there is news."""

import threading
from collections.abc import Callable
from pathlib import Path

from hpsearch.tracking.mlflow_mirror import MlflowMirror

PAUSE = 1.0
"""Seconds between two rounds, so that many events become few requests."""
IDLE = 5.0
"""Seconds after which the metrics of running trials are looked at without being told."""
LONGEST_PAUSE = 60.0


class MlflowTracker:
    """Mirrors `folder` on a thread of its own: MLflow's import, its database and its outages never delay the search.

    `warn` is called on that thread, at most once, when MLflow cannot be written. `pause`: seconds between two rounds,
    more of them after failures.
    """

    def __init__(
        self, folder: Path, tracking_uri: str | None, *, warn: Callable[[str], None], pause: float = PAUSE
    ) -> None:
        self._mirror = MlflowMirror(folder, tracking_uri)
        self._warn = warn
        self._pause = pause
        self._warned = False
        self._complete = False
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="MLflow mirror", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Say that there is news."""
        self._news.set()

    def close(self, timeout: float) -> bool:
        """Catch up for the last time, for at most `timeout` seconds; say whether everything is mirrored."""
        self._closing.set()
        self._news.set()
        self._thread.join(timeout)
        return self._complete

    def _work(self) -> None:
        pause = self._pause
        while True:
            self._news.wait(IDLE)
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
                self._warn(f"{error}; the search goes on, and `hpsearch sync {self._mirror.folder}` catches up later")
            return False
        return True
