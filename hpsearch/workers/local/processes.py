"""Worker processes seen from the coordinator: a child and the wire to it, and groups that run a job together."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from hpsearch.jobs import Diverged, Failed, Job, JobResult, Lost, ObjectiveSpec, Obstacle, OutOfMemory
from hpsearch.workers.local.fork_server import ForkedProcess, ForkServer, blocked_signals, can_fork
from hpsearch.workers.machine import Share, core_count, shares

_RETURN_SECONDS = 10.0
"""How long processes may take to return from a job that another has left."""


class EarlyServer:
    """A server of workers that is started before it is known what they are to do: its imports take seconds.

        with EarlyServer() as early:
            space = load_space(path, named=lambda family: early.start(modules_of(family)))

    What nobody takes is ended at the end of the block.
    """

    def __init__(self) -> None:
        self._server: ForkServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def start(self, modules: Sequence[str]) -> None:
        """Import what trainings need, for as many threads as a worker has where nobody says how many there are."""
        if self._server is None and can_fork():
            (first, *_) = shares("auto", jobs=core_count())
            self._server = ForkServer(modules, _environment(Share(first.threads)))

    def take(self, modules: Sequence[str], share: Share) -> ForkServer | None:
        """Return the server, unless it has modules besides these or other threads; then it is ended.

        Libraries look for the number of threads when they are imported.
        """
        server = self._server
        if server is None or not server.fits(modules, _variables(share)):
            self._close()
            return None
        self._server = None
        return server

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class Launcher:
    """Starts worker processes: forked from a process that is warm, or, where that cannot be, from nothing.

    What they start ends with them: on Linux all of it, elsewhere what stays in their process group.

    Args:
        spec: Its `modules` are imported ahead of time.
        shares: Those of the workers to come.
        inherited: File descriptors that workers keep open as long as they live.
        early: A server that may have been started.

    """

    def __init__(
        self,
        spec: ObjectiveSpec,
        shares: Sequence[Share],
        *,
        inherited: Sequence[int] = (),
        early: EarlyServer | None = None,
    ) -> None:
        self._inherited = inherited
        self._server: ForkServer | None = None
        if sys.platform == "linux":
            least, modules = Share(min(share.threads for share in shares)), spec.modules if can_fork() else ()
            self._server = (early and early.take(modules, least)) or ForkServer(modules, _environment(least))

    def launch(self, wire: int, share: Share) -> subprocess.Popen[bytes] | ForkedProcess:
        """Start a worker at one end of the wire."""
        if self._server is not None:
            known = self._server.environment.items()
            new = {name: value for name, value in _environment(share).items() if (name, value) not in known}
            return self._server.fork(wire, new, inherited=self._inherited)
        numbers = map(str, (wire, os.getpid(), *self._inherited))
        with blocked_signals():  # the child inherits that
            return _Group(
                [sys.executable, "-m", "hpsearch.workers.local.worker", *numbers],
                pass_fds=(wire, *self._inherited),
                stdin=subprocess.DEVNULL,
                env=_environment(share),
                start_new_session=True,
            )

    def close(self) -> None:
        """End what workers were forked from."""
        if self._server is not None:
            self._server.close()


class _Group(subprocess.Popen[bytes]):
    """A process that leads a group, and is ended with it."""

    def kill(self) -> None:
        """End the group."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)


class WorkerProcess:
    """One process and the wire to it."""

    def __init__(
        self, folder: Path, spec: ObjectiveSpec, share: Share, launcher: Launcher, *, packs: bool = False
    ) -> None:
        ours, theirs = socket.socketpair()
        placed = {"threads": share.threads}
        arguments = {name: placed.get(name, value) for name, value in spec.arguments.items()}
        self.process = launcher.launch(theirs.fileno(), share)
        theirs.close()
        self.connection = Connection(ours.detach())
        objective = {"target": spec.target, "arguments": arguments}
        self.send(folder=str(folder.absolute()), packs=packs, objective=objective)

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

    def dismiss(self) -> None:
        """Let an idle process end by itself."""
        self.send(kind="exit")

    def close(self) -> None:
        """Wait for a process that was dismissed; kill one that does not end."""
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.connection.close()


def _variables(share: Share) -> dict[str, str]:
    """Return the environment variables of a worker: its share of the threads, and its GPU."""
    threads = str(share.threads)
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    gpu = {} if share.gpu is None else {"CUDA_VISIBLE_DEVICES": share.gpu}
    return {**variables, "PYTHONUNBUFFERED": "1", **gpu}


def _environment(share: Share) -> dict[str, str]:
    """Return the whole environment of a worker, without an MLflow run of somebody else's."""
    environment = os.environ | _variables(share)
    return {name: value for name, value in environment.items() if name != "MLFLOW_RUN_ID"}


class WorkerGroup:
    """Processes with a share of the machine.

    Rank 0 speaks for all, but for a failure of another: that ends the job for all of them. A job that was left by some
    because others were gone waits a moment for those to say why.
    """

    def __init__(self, folder: Path, spec: ObjectiveSpec, share: Share, launcher: Launcher, *, size: int = 1) -> None:
        self.processes = [WorkerProcess(folder, spec, share, launcher) for _ in range(size)]
        self.job: Job | None = None
        self._results: dict[WorkerProcess, JobResult] = {}
        self._deadline: float | None = None

    @property
    def first(self) -> WorkerProcess:
        """Rank 0."""
        return self.processes[0]

    def start(self, job: Job) -> None:
        """Give the job to every process, with its rank."""
        self.job, self._results, self._deadline = job, {}, None
        places = _places(len(self.processes))
        for process, place in zip(self.processes, places, strict=True):
            process.send(kind="job", job=job.to_json(), place=place)

    def returned(self, process: WorkerProcess, result: JobResult) -> None:
        """Take note of how the job ended for one of the processes."""
        self._results[process] = result
        if self._deadline is None and (process is self.first or isinstance(result, Lost)):
            self._deadline = time.monotonic() + _RETURN_SECONDS

    @property
    def complete(self) -> bool:
        """Whether all processes have returned."""
        return len(self._results) == len(self.processes)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.complete or any(map(_is_failure, self._results.values()))

    @property
    def overdue(self) -> bool:
        """Whether processes have not returned in time."""
        return self.job is not None and self._deadline is not None and time.monotonic() > self._deadline

    @property
    def result(self) -> JobResult:
        """How the job ended: a failure of any process counts, then that one was gone, then what rank 0 says."""
        results = list(self._results.values())
        lost = [result for result in results if isinstance(result, Lost)]
        spoken = [self._results[self.first]] if self.first in self._results else []
        return next(iter([*filter(_is_failure, results), *lost, *spoken]))

    def kill(self, gone: WorkerProcess | None = None) -> str:
        """End the processes, and say how one that is gone had ended."""
        said = ""
        for rank, process in enumerate(self.processes):
            how = process.kill()
            if process is gone:
                which = "its process" if len(self.processes) == 1 else f"its process of rank {rank}"
                said = f"{which} ended ({how})"
        return said

    def dismiss(self) -> None:
        """Let idle processes end by themselves."""
        for process in self.processes:
            process.dismiss()

    def close(self) -> None:
        """Wait for processes that were dismissed."""
        for process in self.processes:
            process.close()


def _is_failure(result: JobResult) -> bool:
    return isinstance(result, Failed | Diverged | OutOfMemory | Obstacle)


def _places(size: int) -> list[dict[str, str]]:
    """Return the environment variables by which processes of this machine meet, as torchrun has them, over loopback."""
    if size == 1:
        return [{}]
    shared = {
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "GLOO_SOCKET_IFNAME": next(name for _, name in socket.if_nameindex() if name.startswith("lo")),
    }
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
