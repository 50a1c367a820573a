"""Persistent worker processes, and the same interface in this very process for a debugger."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hpsearch.engines import Ended, Handler, Job, Objective, ObjectiveSpec, Report, Workers
from hpsearch.engines.bench import Bench
from hpsearch.engines.local_worker import STOPPING
from hpsearch.engines.machine import Share, shares
from hpsearch.engines.running import make_objective, run_job
from hpsearch.errors import HpsearchError
from hpsearch.records import Outcome
from hpsearch.space.search_settings import Resources


def open_workers(bench: Bench) -> Workers:
    """Return the workers of this machine: processes, or this very process. Errors: HpsearchError.

    Of the search's resources, only the part of a GPU means something here.
    """
    if bench.cluster.address is not None:
        raise HpsearchError(
            f"the cluster at {bench.cluster.address} is of no use to the engine optuna; say --engine ray"
        )
    resources = bench.space.search.resources
    if resources.custom or resources.processes > 1:
        raise HpsearchError("search.resources: custom resources and several processes need the engine ray")
    if bench.in_process:
        return InProcessWorkers(bench.objective)
    return ProcessWorkers(
        bench.folder,
        bench.objective,
        shares(bench.space.search.workers, jobs=bench.jobs, per_gpu=_trials_per_gpu(resources)),
        inherited=[bench.lock],
    )


def _trials_per_gpu(resources: Resources) -> int:
    share = resources.gpu_share(present=True)
    return int(1 / share) if 0 < share < 1 else 1


class WorkerProcess:
    """One child process and the wire to it. `inherited` are file descriptors it keeps open as long as it lives."""

    def __init__(self, folder: Path, spec: ObjectiveSpec, share: Share, *, inherited: Sequence[int] = ()) -> None:
        ours, theirs = socket.socketpair()
        arguments = {**spec.arguments, "threads": share.threads}
        self.job: Job | None = None
        numbers = map(str, (theirs.fileno(), os.getpid(), *inherited))
        with _blocked(STOPPING):  # the child inherits that
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hpsearch.engines.local_worker", *numbers],
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


class ProcessWorkers:
    """A process for each share of the machine, started when first needed and used for one job after another."""

    def __init__(
        self, folder: Path, spec: ObjectiveSpec, shares: Sequence[Share], *, inherited: Sequence[int] = ()
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._inherited = tuple(inherited)
        self._free_shares = list(reversed(shares))
        self._share_of: dict[WorkerProcess, Share] = {}

    @property
    def idle(self) -> int:
        """How many more jobs can be started now."""
        return len(self._free_shares) + sum(worker.job is None for worker in self._share_of)

    def start(self, job: Job) -> None:
        """Give the job to an idle process, or to a new one."""
        worker = next((worker for worker in self._share_of if worker.job is None), None)
        if worker is None:
            share = self._free_shares.pop()
            worker = WorkerProcess(self._folder, self._spec, share, inherited=self._inherited)
            self._share_of[worker] = share
        worker.job = job
        worker.send(kind="job", job=job.to_json())

    def serve(self, handler: Handler, *, timeout: float) -> None:
        """Wait for messages from any worker and hand them on."""
        by_connection = {worker.connection: worker for worker in self._share_of}
        for connection in wait(list(by_connection), timeout):
            worker = by_connection[connection]  # type: ignore[index] # wait() returns the very objects it was given
            if worker in self._share_of:
                self._hear(worker, handler)

    def _hear(self, worker: WorkerProcess, handler: Handler) -> None:
        message, job = worker.receive(), worker.job
        if message is None:
            self._forget(worker)
            if job is not None:
                handler.lost(job, f"its process ended ({worker.kill()})")
            return
        if job is None:
            raise AssertionError(f"a message from a worker without a job: {message}")
        kind = message.pop("kind")
        if kind == "report":
            worker.send(decision=handler.reported(job, Report(**message)))
        elif kind == "started":
            handler.started(job)
        else:
            worker.job = None
            outcome = Outcome(message["outcome"]) if message["outcome"] else None
            handler.ended(job, Ended(**{**message, "outcome": outcome}))

    def _forget(self, worker: WorkerProcess) -> None:
        self._free_shares.append(self._share_of.pop(worker))

    def kill(self, job: Job) -> None:
        """End the process of a job at once; its share of the machine becomes free."""
        worker = next(worker for worker in self._share_of if worker.job is job)
        self._forget(worker)
        worker.kill()

    def close(self) -> None:
        """End all processes: idle ones by themselves, busy ones at once."""
        for worker in self._share_of:
            if worker.job is None:
                worker.close()
            else:
                worker.kill()
        self._share_of.clear()


class InProcessWorkers:
    """Runs one job at a time in this process: slower to fail, easier to debug."""

    def __init__(self, spec: ObjectiveSpec) -> None:
        self._spec = spec
        self._objective: Objective | None = None
        self._job: Job | None = None

    @property
    def idle(self) -> int:
        """One, when nothing waits to be run."""
        return int(self._job is None)

    def start(self, job: Job) -> None:
        """Keep the job for `serve`."""
        self._job = job

    def serve(self, handler: Handler, *, timeout: float) -> None:
        """Run the job that was started, from beginning to end."""
        del timeout  # nothing to wait for: the job runs here and now
        job = self._job
        if job is None:
            return
        self._objective = self._objective or make_objective(self._spec)
        ended = run_job(
            self._objective, job, lambda report: handler.reported(job, report), lambda: handler.started(job)
        )
        self._job = None
        handler.ended(job, ended)

    def kill(self, job: Job) -> None:
        """Not possible from within: a job in this process ends at its next report."""
        raise AssertionError(f"{job.run} runs in this process and cannot be killed")

    def close(self) -> None:
        """Forget the objective and the data it holds."""
        self._objective = None
