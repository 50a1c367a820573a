"""Which machine works on a folder, where the kernel's lock of one machine is unknown to the others, as on some NFS.

`lease-7` names its holder: host, process, boot, since when. The holder touches it every few seconds; after a
minute of silence another machine may take over. It makes `lease-8`, which only one of several can, since a new
file is made exclusively over NFS too; the highest number holds, and the files below it go. No number comes again: who
looked long ago cannot make a file that counts. Ages are between two times that the file system has stamped: the
machines' clocks do not matter.

On the machine of the holder, in the same boot, the kernel's lock is taken first and tells that the holder has gone:
nobody waits there.
"""

import contextlib
import errno
import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from hpsearch.errors import ExperimentBusyError
from hpsearch.experiment.files import remove_leftovers

LEASE = re.compile(r"lease-([1-9][0-9]{0,17})")
"""The name of a lease."""
_GONE = (errno.ENOENT, errno.ESTALE)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)
_MOST_BYTES = 4096
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Machine:
    """A machine from one start of its kernel to the next."""

    host: str
    boot: str


def this_machine() -> Machine:
    """Return the machine that runs this process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = f"{uuid.getnode():012x}"
    return Machine(socket.gethostname(), boot)


@dataclass(frozen=True)
class Timing:
    """Seconds: the holder is heard every `beat`; after `silence` it has lost its lease."""

    beat: float = 5.0
    silence: float = 60.0


USUAL = Timing()


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, or held it until it `ended`; `touched` is the file's time by the file system's clock.

    One whose file is not written yet, or damaged, is of no known boot.
    """

    number: int
    touched: float
    host: str = "an unknown machine"
    process: int = 0
    boot: str = ""
    since: str = "an unknown time"
    ended: bool = False

    def __str__(self) -> str:
        return f"{self.host} (process id {self.process}, since {self.since})"


def holder_of(folder: Path) -> Holder | None:
    """Return who holds or held the newest lease of a folder, None if there never was one."""
    while number := max(_numbers(folder), default=0):
        path = folder / _name(number)
        try:
            with path.open("rb") as file:  # opening asks an NFS server, a look alone may not
                touched, content = os.fstat(file.fileno()).st_mtime, file.read(_MOST_BYTES)
        except PermissionError:
            return Holder(number, path.stat().st_mtime)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            continue  # somebody has just taken over
        try:
            return Holder(number, touched, **json.loads(content))
        except (ValueError, TypeError, RecursionError):
            return Holder(number, touched)
    return None


def _numbers(folder: Path, *, files: bool = True) -> list[int]:
    """Return the numbers of leases; with those that a link, a folder or a pipe has taken, unless only `files` count."""
    with os.scandir(folder) as entries:
        return [
            int(found[1])
            for each in entries
            if (found := LEASE.fullmatch(each.name)) and (not files or each.is_file(follow_symlinks=False))
        ]


def held_elsewhere(folder: Path, *, machine: Machine | None = None, timing: Timing = USUAL) -> Holder | None:
    """Return who on another machine works on the folder, as far as a reader, who writes nothing, can tell."""
    holder = holder_of(folder)
    if holder is None or holder.ended or holder.boot == (machine or this_machine()).boot:
        return None
    return holder if time.time() - holder.touched <= timing.silence else None


class Lease:
    """The lease of a folder for this process: `take` it, `check` before each write that only one machine may do."""

    def __init__(self, folder: Path, *, machine: Machine | None = None, timing: Timing = USUAL) -> None:
        self._folder = folder
        self._machine = machine or this_machine()
        self._timing = timing
        self._since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        self._number = 0
        self._renewed = 0.0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, lock: int, *, alone: bool, tell: Callable[[str], None]) -> str | None:
        """Take the lease, and say from whom it was taken over, if that machine fell silent.

        Args:
            lock: The descriptor of a file on the same file system, whose clock it tells.
            alone: Whether the kernel has told that no other process of this machine works on the folder.
            tell: Called once if there is something to wait for.

        Raises:
            ExperimentBusyError: Another machine holds it, and is heard.
        """
        heard: tuple[int, float] | None = None
        listening = _now()
        while True:
            number = 1 + max(_numbers(self._folder, files=False), default=0)  # before the look: nobody is passed over
            holder, now = holder_of(self._folder), _stamp(lock)
            silent = 0.0 if holder is None else now - holder.touched
            free = holder is None or holder.ended or (alone and holder.boot == self._machine.boot)
            if (
                holder is not None and (holder.number, holder.touched) == heard
            ):  # its time may lie ahead: a clock was wrong
                silent = max(silent, _now() - listening)
            if free or silent > self._timing.silence:
                if self._make(number):
                    return None if free else f"taken over from {holder}, not heard of for {silent:.0f} s"
            elif holder is not None and heard is not None and (holder.number, holder.touched) != heard:
                raise ExperimentBusyError(
                    f"{self._folder} is being run on {holder}, which is alive: wait for it, or stop it there; if that "
                    f"machine dies, the same command takes over {self._timing.silence:g} s after its last sign of life"
                )
            elif holder is not None and heard is None:
                heard = (holder.number, holder.touched)
                left = self._timing.silence - max(silent, 0.0)
                tell(f"{self._folder} was left by {holder}, or is run there: waiting {left:.0f} s for a sign of life")
            time.sleep(_LOOK_SECONDS)

    def _make(self, number: int) -> bool:
        """Make the lease of a number, and begin to be heard; say whether nobody else was faster."""
        path = self._folder / _name(number)
        written = self._folder / f".{path.name}.{uuid.uuid4().hex}.tmp"
        try:  # whole from the first moment: one without its holder's name would have to be waited for
            written.write_text(self._content(ended=False), encoding="utf-8")
            _link(written, path)
        except (FileExistsError, FileNotFoundError):  # or gone as somebody's leftover
            return False
        finally:
            written.unlink(missing_ok=True)
        newest = holder_of(self._folder)
        if newest is None or newest.number != number:  # we looked long ago: others have come and gone
            path.unlink(missing_ok=True)
            return False
        self._number, self._renewed = number, _now()
        self._remove_older()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="lease")
        self._thread.start()
        return True

    def _remove_older(self) -> None:
        for number in _numbers(self._folder):
            if number < self._number:
                (self._folder / _name(number)).unlink(missing_ok=True)
        remove_leftovers(self._folder, _name(self._number - 1), _name(self._number))

    def _content(self, *, ended: bool) -> str:
        holder = Holder(0, 0.0, self._machine.host, os.getpid(), self._machine.boot, self._since, ended)
        return json.dumps({name: value for name, value in asdict(holder).items() if name not in ("number", "touched")})

    def _keep(self) -> None:
        while not self._closing.wait(self._timing.beat):
            with contextlib.suppress(OSError):  # the file system may be away for a while; `check` says when it is over
                if not self._renew():
                    return

    def _renew(self) -> bool:
        """Be heard; say whether the lease is still this process's own."""
        begun = _now()
        try:
            os.utime(self._folder / _name(self._number))
        except OSError as error:
            if error.errno in _GONE:
                return False
            raise
        holder = holder_of(self._folder)
        if holder is None or holder.number != self._number:
            return False
        self._renewed = begun
        return True

    def check(self) -> None:
        """Make sure that no other machine may have taken over.

        Raises:
            ExperimentBusyError: One has, or nobody can tell, since the file system is away.
        """
        if _now() - self._renewed <= self._timing.silence / 2:
            return
        lost = f"{self._folder} is no longer this process's, which was not heard of for a while"
        try:
            held = self._renew()
            if held:  # another machine may be at it in this very moment
                time.sleep(_LOOK_SECONDS)
                held = self._renew()
            new = holder_of(self._folder)
        except OSError as error:
            raise ExperimentBusyError(f"{lost}: its file system does not answer ({error}); start again") from error
        if not held:
            raise ExperimentBusyError(f"{lost}: it was taken over by {new or 'nobody'}; nothing more is written here")

    def close(self) -> None:
        """Let others take the lease at once."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            with (
                contextlib.suppress(OSError),
                (self._folder / _name(self._number)).open("r+", encoding="utf-8") as file,
            ):
                file.write(self._content(ended=True))
                file.truncate()
            self._thread = None


def _link(written: Path, path: Path) -> None:
    """Give a file its name, unless that is taken: FileExistsError.

    File systems without links get a copy, which a crash or a full disk may leave without its content.
    """
    try:
        os.link(written, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(written.read_text(encoding="utf-8"))
                file.flush()
            except OSError:
                path.unlink(missing_ok=True)
                raise


def _name(number: int) -> str:
    return f"lease-{number}"


def _stamp(descriptor: int) -> float:
    """Return the time by the clock of a file's file system."""
    os.utime(descriptor)
    return os.fstat(descriptor).st_mtime


def _now() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
