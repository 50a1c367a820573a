"""A program in its own process group: its output, its end, and that it never outlives the process that started it.

Its output goes on to this process's own, and into a file until it was read.
"""

import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from hpsearch.errors import HpsearchError, ProgramError
from hpsearch.families.command.printed import Lines, visible

_GUARD = """
import os, signal, sys
if own := os.fork():
    print(own, flush=True)
    os._exit(0)
os.close(1)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
group, output, capture = map(int, sys.argv[1:])
if sys.stdin.buffer.read():
    os._exit(0)
try:
    os.killpg(group, signal.SIGKILL)
except ProcessLookupError:
    pass
os.set_blocking(output, False)
try:
    while chunk := os.read(output, 65536):
        os.write(capture, chunk)
except OSError:
    pass
"""
"""Waits until whoever holds the other end of its input is gone, however it went. It ends the process group then, and
saves what was printed and not read. A word before the end sends it away.

It makes itself a child of nobody, as Ray's workers end theirs when they end, and says its process id before."""
_GUARDING = {"HPSEARCH_GUARD": "1"}
"""By this a worker's parent knows it (workers/leftovers.py) and leaves it to end by itself."""
_KEPT = 4000
"""Characters of the error output that are kept for the reason of a failure."""
_CHUNK = 1 << 16
_LARGE = 1 << 24
"""Bytes of captured output after which what was read of it is forgotten."""
_LEFT_BEHIND_SECONDS = 5.0
"""How long processes that a program left behind may be silent before its output counts as ended."""
_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Echo:
    """Writes what one of the program's streams says to a descriptor of this process, whole lines if they are short."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._held = b""

    def write(self, chunk: bytes) -> None:
        """Add a piece; an empty one is the end."""
        self._held += chunk
        end = self._held.rfind(b"\n") + 1
        if not chunk and self._held:
            self._held += b"\n"
            end = len(self._held)
        elif len(self._held) - end > _CHUNK:
            end = len(self._held)
        write_all(self.descriptor, self._held[:end])
        self._held = self._held[end:]


class Capture:
    """A file with the output of a program that was not read to its end; held by one process and its guard at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, once whoever held it before has let go of it or after a few seconds."""
        self._path = path
        self._file: IO[bytes] = path.open("a+b")
        for _ in range(100):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # a file system without locks
                return
            else:
                return

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._file.fileno()

    def write(self, chunk: bytes) -> None:
        """Add a piece."""
        write_all(self.descriptor, chunk)

    def left(self, offset: int) -> Iterator[tuple[str, int]]:
        """Yield the whole lines from an offset on, with the offset behind each."""
        lines = Lines()
        while chunk := os.pread(self.descriptor, _CHUNK, offset + lines.fed):
            for line in lines.feed(chunk):
                yield line, offset + lines.read

    def clear(self) -> None:
        """Empty the file."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)

    def remove(self) -> None:
        """Remove the file: all of it was read, and nobody adds to it."""
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it; a full disk is noticed where it matters."""
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


class Program:
    """A running program. What it prints goes on to this process's own output, and line by line to `lines`.

    With `errors_too`, so does its error output.

    With a `capture`, its output is kept in that file too until it was read, so that whoever takes the place of this
    process finds it there.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        capture: Capture | None = None,
        errors_too: bool = False,
    ) -> None:
        self._process = _started(arguments, directory, environment)
        assert self._process.stdout is not None and self._process.stderr is not None  # noqa: S101, PT018 -- both piped
        self._capture = capture
        kept = os.open(os.devnull, os.O_WRONLY) if capture is None else os.dup(capture.descriptor)
        handed = (self._process.stdout.fileno(), kept)
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, *map(str, (self._process.pid, *handed))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=handed,
            start_new_session=True,
            env={**os.environ, **_GUARDING},
        )
        os.close(kept)
        self._lines = Lines()
        self._error_lines = Lines() if errors_too else None
        self._errors = b""
        self._deadline: float | None = None
        self._killed = False
        self._selector = selectors.DefaultSelector()
        for stream, descriptor in ((self._process.stdout, 1), (self._process.stderr, 2)):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, Echo(descriptor))

    @property
    def errors(self) -> str:
        """The end of its error output."""
        text = self._errors.decode(errors="replace")
        return "".join(f"{visible(line)}\n" for line in text.split("\n") if line.strip())[-_KEPT:]

    @property
    def read(self) -> int:
        """Bytes of the captured output up to the last line that `lines` yielded."""
        return self._lines.read

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._deadline is not None

    def lines(self, *, look: float) -> Iterator[str | None]:
        """Yield what the program prints, and None at least every `look` seconds, until all of it was read.

        That is when it has ended and nobody holds its output, or whoever it left behind is silent. A program that was
        asked to stop is ended when its time is over. A last line without an end counts if the program ended by itself.
        """
        silent_since = time.monotonic()
        while True:
            over = self._process.poll() is not None and self._is_over(silent_since)  # asked before the last look
            chunks = list(self._chunks(0.0 if over else look))
            for descriptor, chunk in chunks:
                lines = self._lines if descriptor == 1 else self._error_lines
                if lines is not None:
                    yield from lines.feed(chunk)
            if chunks:
                silent_since = time.monotonic()
            elif over:
                break
            yield None
            self._keep_deadline()
        for lines in (self._lines, self._error_lines):
            if self._process.returncode >= 0 and lines is not None and not lines.empty:
                yield from lines.rest()

    def _chunks(self, timeout: float) -> Iterator[tuple[int, bytes]]:
        """Yield pieces of what was printed, with their descriptors; wait if there is nothing yet."""
        if not self._selector.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
            if self._process.returncode is not None:
                time.sleep(min(timeout, 0.02))  # for those that it left behind
            return
        for key, _ in self._selector.select(timeout):
            try:
                chunk = os.read(key.fd, _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                self._selector.unregister(key.fileobj)
            if key.data.descriptor == 2:
                self._errors = (self._errors + chunk)[-4 * _KEPT :]
            elif self._capture is not None:
                self._capture.write(chunk)  # first: what was captured and not passed on can be passed on later
            key.data.write(chunk)
            yield key.data.descriptor, chunk

    def _is_over(self, silent_since: float) -> bool:
        """Check whether nothing more will come of a program that has ended and of which nothing is left to be read."""
        if self._killed or not self._group_lives():
            return True
        if self.stopping:
            return False
        return not self._selector.get_map() or time.monotonic() - silent_since > _LEFT_BEHIND_SECONDS

    def _keep_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline and not self._killed:
            self._signal(signal.SIGKILL)
            self._killed = True

    @property
    def has_much(self) -> bool:
        """Whether there is much captured output, of which all whole lines were read."""
        return self._capture is not None and self._lines.fed > _LARGE

    def forget(self) -> None:
        """Let go of the captured output that was read."""
        assert self._capture is not None  # noqa: S101 -- ours: see has_much
        self._capture.clear()
        self._capture.write(self._lines.begin_again())

    def wait(self) -> int:
        """Wait for the program's end and return its exit status, below 0 for a signal."""
        return self._process.wait()

    def ask_to_stop(self, *, grace: float) -> None:
        """Ask the whole process group to end; what is left after `grace` seconds is ended as `lines` is read."""
        self._signal(signal.SIGTERM)
        self._deadline = time.monotonic() + grace

    def stop(self, *, grace: float) -> None:
        """End the whole process group: ask it, unless it was asked before, wait, and end what is left."""
        if not self.stopping:
            self.ask_to_stop(grace=grace)
        for _ in self.lines(look=0.05):
            pass
        self._signal(signal.SIGKILL)
        self._process.wait()
        guard, _ = self._guard.communicate(b".")  # before its number can be another group's
        with contextlib.suppress(ChildProcessError, ValueError):  # a worker has adopted it
            os.waitpid(int(guard), 0)
        for key in list(self._selector.get_map().values()):
            key.data.write(b"")
        self._selector.close()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _group_lives(self) -> bool:
        self._process.poll()  # a dead leader that nobody waited for still counts as alive
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return self._process.returncode is None or _has_living(self._process.pid)


def _has_living(group: int) -> bool:
    """Check whether a process group has a member that has not ended; one whose end nobody waits for is none."""
    if not Path("/proc/self/stat").exists():
        return True
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = path.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(of_group) == group and state not in "ZX":
                return True
    return False


def _started(arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a process in which the signals that ask to stop act as they do by default.

    Raises:
        ProgramError: The program or its folder is not there.
        HpsearchError: No program can have such arguments.
    """
    _hear_in_vain()
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    try:
        return subprocess.Popen(
            arguments,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramError(f"{arguments[0]} cannot be started in {directory}: {error.strerror}") from error
    except ValueError as error:  # a null byte
        raise HpsearchError(f"{arguments[0]!r} cannot be started in {directory}: {error}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _hear_in_vain() -> None:
    """Where this process ignores the signals that ask to stop, let it hear them and do nothing.

    What is ignored stays ignored in programs that are started; what is heard acts by default there.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _STOPPING:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
            signal.siginterrupt(number, False)
