"""A worker process, started by `workers.py` as `python -m hpsearch.engines.worker DESCRIPTOR PARENT INHERITED...`.

It speaks JSON over an inherited socket: jobs come in; `started`, reports and the ending go out. A report waits for the
decision. What a job prints goes to the job's output.log. When the coordinator is gone, so is the worker.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hpsearch.engines import Ended, Job, Objective, ObjectiveSpec, Report
from hpsearch.errors import DivergedError, HpsearchError
from hpsearch.experiment.files import no_room
from hpsearch.experiment.layout import OUTPUT
from hpsearch.records import Decision, Outcome

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a search to stop; blocked while a worker starts, ignored by it afterwards."""
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def make_objective(spec: ObjectiveSpec) -> Objective:
    """Import the objective's factory and call it."""
    module, _, name = spec.target.partition(":")
    objective: Objective = getattr(importlib.import_module(module), name)(**spec.arguments)
    return objective


def run_job(objective: Objective, job: Job, report: Callable[[Report], Decision], started: Callable[[], None]) -> Ended:
    """Run one job; turn what it raises into an ending. KeyboardInterrupt passes through."""
    begun = time.monotonic()
    try:
        return objective(job, report, started)
    except DivergedError as error:
        return Ended(Outcome.DIVERGED, str(error), seconds=time.monotonic() - begun)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever the user's code raises is an outcome, no crash
        if obstacle := no_room(error):
            return Ended(None, obstacle)
        outcome = Outcome.OUT_OF_MEMORY if _out_of_memory(error) else Outcome.FAILED
        reason = str(error) if isinstance(error, HpsearchError) else f"{type(error).__name__}: {error}"
        return Ended(outcome, reason, details=traceback.format_exc(), seconds=time.monotonic() - begun)


def _out_of_memory(error: BaseException) -> bool:
    """Recognise an exhausted memory by what Python, CUDA and torch's CPU allocator raise, without importing torch."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text))
    )


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Send what this process and its children print (file descriptors 1 and 2) to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, target in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)


def _die_with(parent: int) -> None:
    """End this process when its coordinator ends: at once by the kernel on Linux, within a second elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent watch").start()


def _keep_from_children(descriptors: Sequence[int]) -> None:
    """Let no process that a training starts hold the wire or the experiment's lock when this worker is gone."""
    null = os.open(os.devnull, os.O_RDWR)

    def let_go() -> None:
        for descriptor in descriptors:
            os.dup2(null, descriptor, inheritable=False)

    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # for programs that are started
    os.register_at_fork(after_in_child=let_go)


class _Channel:
    """The coordinator's end of the wire, seen from the worker."""

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)

    def send(self, kind: str, **fields: Any) -> None:
        self._connection.send_bytes(json.dumps({"kind": kind, **fields}).encode())

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        return message

    def started(self) -> None:
        self.send("started")

    def report(self, report: Report) -> Decision:
        self.send("report", **asdict(report))
        return Decision(self.receive()["decision"])


def main(descriptor: int, parent: int, *inherited: int) -> None:
    """Serve jobs until told to exit or until the coordinator is gone."""
    for number in STOPPING:  # Ctrl-C reaches the whole terminal group; the coordinator decides
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    _die_with(parent)
    _keep_from_children([descriptor, *inherited])
    channel = _Channel(descriptor)
    with contextlib.suppress(EOFError, ConnectionError):
        hello = channel.receive()
        folder = Path(hello["folder"])
        objective: Objective | None = None
        while (message := channel.receive())["kind"] == "job":
            job = Job(**message["job"])
            try:
                with output_to(folder / job.run / OUTPUT):
                    try:
                        objective = objective or make_objective(ObjectiveSpec(**hello["objective"]))
                    except Exception as error:  # noqa: BLE001 -- a family that cannot be imported is the trial's failure
                        reason = f"{type(error).__name__}: {error}"
                        ended = Ended(Outcome.FAILED, reason, details=traceback.format_exc())
                    else:
                        ended = run_job(objective, job, channel.report, channel.started)
            except OSError as error:  # what it prints cannot be written
                if not (obstacle := no_room(error)):
                    raise
                ended = Ended(None, obstacle)
            channel.send("ended", **asdict(ended))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
