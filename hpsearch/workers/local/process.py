"""A worker process seen from the coordinator: the child and the wire to it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hpsearch.jobs import ObjectiveSpec
from hpsearch.workers.local.worker import STOPPING
from hpsearch.workers.machine import Share


class WorkerProcess:
    """One child process and the wire to it. `inherited` are file descriptors it keeps open as long as it lives."""

    def __init__(self, folder: Path, spec: ObjectiveSpec, share: Share, *, inherited: Sequence[int] = ()) -> None:
        ours, theirs = socket.socketpair()
        arguments = {**spec.arguments, "threads": share.threads}
        numbers = map(str, (theirs.fileno(), os.getpid(), *inherited))
        with _blocked(STOPPING):  # the child inherits that
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hpsearch.workers.local.worker", *numbers],
                pass_fds=(theirs.fileno(), *inherited),
                stdin=subprocess.DEVNULL,
                env=_environment(share),
            )
        theirs.close()
        self.connection = Connection(ours.detach())
        hello = {"folder": str(folder), "objective": {"target": spec.target, "arguments": arguments}}
        self.send(**hello)

    def send(self, **message: Any) -> None:
        """Send one message; a dead worker is noticed when it is read from."""
        with contextlib.suppress(ConnectionError):
            self.connection.send_bytes(json.dumps(message).encode())

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None when the process is gone."""
        try:
            message: dict[str, Any] = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None
        return message

    def kill(self) -> str:
        """End the process if it lives, and say how it ended."""
        self.process.kill()
        code = self.process.wait()
        self.connection.close()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def close(self) -> None:
        """Let an idle process end by itself; kill one that does not."""
        self.send(kind="exit")
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.connection.close()


@contextlib.contextmanager
def _blocked(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Let signals wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _environment(share: Share) -> dict[str, str]:
    """Return a worker's environment: its share of the threads, its GPU, and no MLflow run of somebody else's."""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_RUN_ID"}
    threads = str(share.threads)
    environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    environment["PYTHONUNBUFFERED"] = "1"
    if share.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = share.gpu
    return environment
