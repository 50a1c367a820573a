"""Commands that spend: each is planned first, and starts with the token that the plan gave out, in its own process.

A process is in a session of its own: it goes on when the server ends, as a search under `nohup` does when its terminal
closes, and ends when it is done, or by `stop` while this server lives.
"""

import json
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError

_TAIL = 4000
"""Bytes of what a process said last."""
_MOST_PLANS = 100


@dataclass(frozen=True)
class Planned:
    """A command that a plan has been shown for.

    Args:
        words: The command without `hpsearch`.
        folder: Where its experiment will be.
        fingerprint: Says whether it is still what was planned.
        known: The fingerprint when it was planned.
    """

    words: Sequence[str]
    folder: Path
    fingerprint: Callable[[], Any]
    known: Any


@dataclass(frozen=True)
class Started:
    """A process of this server; what it prints goes to two files."""

    run: str
    planned: Planned
    process: "subprocess.Popen[bytes]"
    output: Path
    said: Path

    @property
    def status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.poll()

    @property
    def tail(self) -> list[str]:
        """The last lines of what it said on the way."""
        return self.said.read_bytes()[-_TAIL:].decode("utf-8", "replace").splitlines()[-20:]

    @property
    def answer(self) -> Any:
        """The JSON that it printed at its end, or None while there is none."""
        try:
            return None if self.status is None else json.loads(self.output.read_text(encoding="utf-8"))
        except ValueError:
            return None


class Starter:
    """Keeps the plans of a server and the processes that it has started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plans: dict[str, Planned] = {}
        self._runs: dict[str, Started] = {}
        self._mutex = threading.Lock()
        self._files = tempfile.TemporaryDirectory(prefix="hpsearch-mcp-", ignore_cleanup_errors=True)

    def plan(self, planned: Planned) -> str:
        """Return the token that starts this; it is good for one start."""
        with self._mutex:
            token = secrets.token_hex(8)
            self._plans[token] = planned
            while len(self._plans) > _MOST_PLANS:
                del self._plans[next(iter(self._plans))]
            return token

    def start(self, token: str) -> Started:
        """Start what was planned.

        Raises:
            HpsearchError: No plan gave out this token, it was used, or something has changed since.
        """
        with self._mutex:
            planned = self._plans.pop(token, None)
        if planned is None:
            raise HpsearchError(
                f"no plan gave out the token {token!r}, or it has started something already: plan again"
            )
        if planned.fingerprint() != planned.known:
            raise HpsearchError("what was planned has changed since: plan again")
        with self._mutex:
            run = f"run-{len(self._runs) + 1}"
            output, said = (Path(self._files.name, f"{run}.{name}") for name in ("out", "err"))
            with output.open("wb") as out, said.open("wb") as err:
                process = subprocess.Popen(
                    [sys.executable, "-m", "hpsearch", *planned.words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=self._folder,
                    start_new_session=True,
                )
            started = self._runs[run] = Started(run, planned, process, output, said)
        return started

    def find(self, name: str) -> Started | None:
        """Return a process by its name, or the newest one of an experiment by that one's folder name."""
        runs = [each for each in self._runs.values() if name in (each.run, each.planned.folder.name)]
        return runs[-1] if runs else None

    def stop(self, name: str) -> Started:
        """Send Ctrl-C to a process that runs, as its terminal would.

        Raises:
            HpsearchError: This server has not started it.
        """
        started = self.find(name)
        if started is None:
            known = ", ".join(each.run for each in self._runs.values()) or "nothing"
            raise HpsearchError(f"this server has not started {name!r}, and stops only what it has started: {known}")
        if started.status is None:
            started.process.send_signal(signal.SIGINT)
        return started

    def close(self) -> None:
        """Forget everything; what runs goes on."""
        self._files.cleanup()
