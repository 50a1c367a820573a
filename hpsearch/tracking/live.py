"""Live mirrors: threads that catch up whenever they are told that there is news."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from hpsearch.tracking import Tracker

PAUSE = 1.0
"""Seconds between two rounds, so that many events become few requests."""
IDLE = 5.0
"""Seconds after which the metrics of running trials are looked at without being told."""
LONGEST_PAUSE = 60.0


class Mirror(Protocol):
    """Something outside that an experiment's folder is written to, as often as one likes."""

    folder: Path
    name: str
    """Of the kind of mirror, as `hpsearch sync --to` takes it."""

    def catch_up(self, *, final: bool = False) -> None:
        """Mirror what is new; `final` also what concludes a session. Errors: TrackingError, ExperimentError."""
        ...

    def close(self) -> None:
        """Let another process mirror the folder."""
        ...


class LiveTracker:
    """Runs a mirror on a thread of its own: imports, databases and outages never delay the search.

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
                to = "" if self._mirror.name == "mlflow" else f" --to {self._mirror.name}"
                self._warn(
                    f"{error}; the search goes on, and `hpsearch sync {self._mirror.folder}{to}` catches up later"
                )
            return False
        return True


class Several:
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def notify(self) -> None:
        """Say that there is news."""
        for tracker in self._trackers:
            tracker.notify()

    def close(self, timeout: float) -> bool:
        """Close all within `timeout` seconds; say whether everything is mirrored everywhere."""
        end = time.monotonic() + timeout
        done = [tracker.close(max(0.0, end - time.monotonic())) for tracker in self._trackers]
        return all(done)
