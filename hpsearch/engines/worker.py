"""A worker process, started by `workers.py` as `python -m hpsearch.engines.worker DESCRIPTOR PARENT`.

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
from collections.abc import Callable, Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hpsearch.engines import Ended, Job, Objective, ObjectiveSpec, Report
from hpsearch.errors import DivergedError, HpsearchError
from hpsearch.experiment.layout import OUTPUT
from hpsearch.records import Decision, Outcome

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def make_objective(spec: ObjectiveSpec) -> Objective:
    """Import the objective's factory and call it."""
    module, _, name = spec.target.partition(":")
    objective: Objective = getattr(importlib.import_module(module), name)(**spec.arguments)
    return objective


def run_job(objective: Objective, job: Job, report: Callable[[Report], Decision], started: Callable[[], None]) -> Ended:
    """Run one job; turn what it raises into an ending. SystemExit and KeyboardInterrupt pass through."""
    begun = time.monotonic()
    try:
        return objective(job, report, started)
    except DivergedError as error:
        return Ended(Outcome.DIVERGED, str(error), seconds=time.monotonic() - begun)
    except Exception as error:  # noqa: BLE001 -- any exception of the user's code is an outcome, not our crash
        outcome = Outcome.OUT_OF_MEMORY if _out_of_memory(error) else Outcome.FAILED
        reason = str(error) if isinstance(error, HpsearchError) else f"{type(error).__name__}: {error}"
        return Ended(outcome, reason, details=traceback.format_exc(), seconds=time.monotonic() - begun)


def _out_of_memory(error: Exception) -> bool:
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


def main(descriptor: int, parent: int) -> None:
    """Serve jobs until told to exit or until the coordinator is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the coordinator decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with(parent)
    channel = _Channel(descriptor)
    with contextlib.suppress(EOFError, ConnectionError):
        hello = channel.receive()
        folder = Path(hello["folder"])
        objective: Objective | None = None
        while (message := channel.receive())["kind"] == "job":
            job = Job(**message["job"])
            with output_to(folder / job.run / OUTPUT):
                try:
                    objective = objective or make_objective(ObjectiveSpec(**hello["objective"]))
                except Exception as error:  # noqa: BLE001 -- a family that cannot be imported is the trial's failure
                    reason = f"{type(error).__name__}: {error}"
                    ended = Ended(Outcome.FAILED, reason, details=traceback.format_exc())
                else:
                    ended = run_job(objective, job, channel.report, channel.started)
            channel.send("ended", **asdict(ended))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
