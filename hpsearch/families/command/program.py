"""A program in a process group of its own: its output, its end, and that it never outlives whoever started it."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from hpsearch.errors import HpsearchError

_GUARD = """
import os, signal, sys
sys.stdin.buffer.read()
try:
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
except ProcessLookupError:
    pass
"""
"""Waits until whoever holds the other end of its input is gone, however it went, and ends the process group then."""
_KEPT = 4000
"""Characters of the error output that are kept for the reason of a failure."""
_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|^MemoryError|std::bad_alloc|cannot allocate memory|can't allocate memory",
    re.IGNORECASE | re.MULTILINE,
)


class Program:
    """A running program. What it prints goes on to this process's own output, and line by line to `lines`."""

    def __init__(self, arguments: Sequence[str], *, directory: Path, environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                arguments,
                cwd=directory,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise HpsearchError(f"{arguments[0]} cannot be started in {directory}: {error.strerror}") from error
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.errors = ""
        self._printed: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._listen, args=(self._process.stdout, 1), daemon=True),
            threading.Thread(target=self._listen, args=(self._process.stderr, 2), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _listen(self, stream: IO[bytes], descriptor: int) -> None:
        for line in stream:
            with contextlib.suppress(OSError):  # a full disk is noticed where it matters
                os.write(descriptor, line)
            text = line.decode(errors="replace").rstrip("\r\n")
            if descriptor == 1:
                self._printed.put(text)
            else:
                self.errors = f"{self.errors}{text}\n"[-_KEPT:]
        if descriptor == 1:
            self._printed.put(None)

    def lines(self, *, look: float) -> Iterator[str | None]:
        """Yield what the program prints, and None after every `look` seconds of silence, until it has ended."""
        while True:
            try:
                line = self._printed.get(timeout=look)
            except queue.Empty:
                yield None
                if self._process.poll() is not None and self._printed.empty():
                    return  # something that it left behind still holds its output
                continue
            if line is None:
                return
            yield line

    def wait(self) -> int:
        """Wait for the program's end and return its exit status, below 0 for a signal."""
        status = self._process.wait()
        self._readers[1].join(timeout=1)
        return status

    def stop(self, *, grace: float) -> None:
        """End the whole process group: ask it, wait, and end what is left."""
        self._signal(signal.SIGTERM)
        end = time.monotonic() + grace
        while self._group_lives() and time.monotonic() < end:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._guard.kill()  # before its number can be another group's
        self._guard.communicate()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _group_lives(self) -> bool:
        self._process.poll()  # a dead leader that nobody waited for still counts as alive
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def ran_out_of_memory(errors: str) -> bool:
    """Say whether the error output of a failed program tells of exhausted memory."""
    return _MEMORY.search(errors) is not None
