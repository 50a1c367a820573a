"""Which programs ask a search for trials and train them themselves: each has a file in `askers/` while it lives.

Its kernel lock tells other processes of the machine that the program has gone, however it ended; other machines hear
its time. A program that leaves in an orderly way takes its file along; that of one that died stays until somebody has
noted what it lost.
"""

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
import uuid
import weakref
from enum import StrEnum
from pathlib import Path

from hpsearch.experiment.layout import ASKERS
from hpsearch.experiment.lease import USUAL, Timing, this_machine

_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
_MOST_BYTES = 4096


class Presence(StrEnum):
    """Whether a program is there."""

    ALIVE = "alive"
    DIED = "died"
    LEFT = "left"
    """It closed the search, or nobody knows of it."""


class Asker:
    """The file of this process, to be made while the folder is held; its name is in the log with every trial it has."""

    def __init__(self, folder: Path, *, timing: Timing = USUAL) -> None:
        self.name = uuid.uuid4().hex[:12]
        self.process = os.getpid()
        place = folder / ASKERS
        place.mkdir(exist_ok=True)
        self._path = place / self.name
        written = place / f".{self.name}"
        self._file = written.open("xb", buffering=0)  # so that a child that closes it writes nothing
        _HERE.add(self)
        try:
            self._introduce()
            written.rename(self._path)  # whole and locked before anybody can look at it
        except BaseException:
            self._file.close()
            written.unlink(missing_ok=True)
            raise
        self._leaving = threading.Event()
        beats = (self._path, self._leaving, timing.beat)
        threading.Thread(target=_beat, args=beats, daemon=True, name="asker").start()

    def _introduce(self) -> None:
        with contextlib.suppress(OSError):  # a file system without locks: the time of the file has to do
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        machine = this_machine()
        content = {"host": machine.host, "boot": machine.boot, "process": self.process}
        self._file.write(json.dumps(content).encode())

    def let_go(self) -> None:
        """Hold the lock no longer in this process, a child of the asker's: it has to go when the asker does."""
        self._file.close()

    def close(self) -> None:
        """Leave; what was asked for and not told is handed out again. The file of a process before a fork stays."""
        self._leaving.set()
        if self.process == os.getpid():
            self._path.unlink(missing_ok=True)
        self._file.close()


_HERE: "weakref.WeakSet[Asker]" = weakref.WeakSet()


def _let_go() -> None:
    for asker in list(_HERE):
        asker.let_go()
    _HERE.clear()


os.register_at_fork(after_in_child=_let_go)


def _beat(path: Path, leaving: threading.Event, seconds: float) -> None:
    while not leaving.wait(seconds):
        with contextlib.suppress(OSError):
            os.utime(path)


def presence(folder: Path, name: str, *, timing: Timing = USUAL) -> Presence:
    """Return whether the program of that name still asks, or how it went."""
    path = folder / ASKERS / name
    try:
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Presence.ALIVE
            except OSError as error:
                if error.errno not in _WITHOUT_LOCKS:
                    raise
                return _by_time(file.fileno(), timing)
            if _boot_of(file.read(_MOST_BYTES)) == this_machine().boot:
                return Presence.DIED
            return _by_time(file.fileno(), timing)
    except FileNotFoundError:
        return Presence.LEFT


def _by_time(descriptor: int, timing: Timing) -> Presence:
    silent = time.time() - os.fstat(descriptor).st_mtime
    return Presence.ALIVE if silent <= timing.silence else Presence.DIED


def _boot_of(content: str) -> str:
    try:
        return str(json.loads(content)["boot"])
    except (ValueError, LookupError, TypeError):
        return this_machine().boot  # it died while it wrote


def known(folder: Path) -> list[str]:
    """Return the names of the programs that have a file; one that is still being written counts for none."""
    try:
        with os.scandir(folder / ASKERS) as entries:
            return sorted(each.name for each in entries if each.name[0] != "." and each.is_file(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def living(folder: Path) -> list[str]:
    """Return the names of the programs that ask now."""
    return [name for name in known(folder) if presence(folder, name) is Presence.ALIVE]


def forget(folder: Path, name: str) -> None:
    """Remove the file of a program that died, once it is noted what it lost."""
    (folder / ASKERS / name).unlink(missing_ok=True)
