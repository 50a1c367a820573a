"""The disk, waited for by a thread: where it is slow, as over a network, the coordinator goes on to answer.

A file that an event rests on is owed before the event is in the log: nobody knows which lines of the log a sync that
runs meanwhile takes along.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from hpsearch.experiment.files import bring_to_disk


class Disk:
    """Brings what is owed to the disk, and then the log, which `sync` does; what comes meanwhile is taken along."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._lock = threading.Lock()
        self._owed: list[Path] = []
        self._owes = False
        self._thread: threading.Thread | None = None
        self._error: OSError | ValueError | None = None

    def owe(self, path: Path) -> None:
        """Let a file be brought to the disk before the log is the next time."""
        with self._lock:
            self._owed.append(path)

    def bring(self) -> None:
        """Begin to bring what is owed, and the log, to the disk.

        Raises:
            OSError: Something could not be brought there before.
        """
        with self._lock:
            self._owes = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="disk")
                self._thread.start()
        self._tell()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._owes or self._error:
                    self._thread = None
                    return
                self._owes = False
            try:
                while path := self._next():
                    bring_to_disk(path)
                self._sync()
            except (OSError, ValueError) as error:  # ValueError: the log was closed, which brings it to the disk
                self._error = error

    def _next(self) -> Path | None:
        with self._lock:
            return self._owed.pop(0) if self._owed else None

    def wait(self) -> None:
        """Wait until everything is on the disk.

        Raises:
            OSError: Something cannot be brought there.
        """
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()
        self._tell()

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
