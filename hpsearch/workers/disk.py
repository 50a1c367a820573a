"""The disk, waited for by a thread: where it is slow, as over a network, the coordinator goes on to answer."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from hpsearch.experiment.files import bring_to_disk


class Disk:
    """Brings files to the disk, and then the log, which `sync` does; what comes meanwhile is brought together."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._lock = threading.Lock()
        self._owed: list[Path] = []
        self._owes = False
        self._thread: threading.Thread | None = None
        self._error: OSError | ValueError | None = None

    def bring(self, paths: Sequence[Path]) -> None:
        """Begin to bring files and the log to the disk.

        Raises:
            OSError: Something could not be brought there before.
        """
        with self._lock:
            self._owed.extend(paths)
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
                paths, self._owed, self._owes = self._owed, [], False
            try:
                for path in paths:
                    bring_to_disk(path)
                self._sync()
            except (OSError, ValueError) as error:  # ValueError: the log was closed, which brings it to the disk
                self._error = error

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
