"""A worker process, forked by `fork_server.py` or started as `python -m hpsearch.workers.local.worker WIRE PARENT ...`.

It speaks JSON over an inherited socket: jobs come in; `started`, reports and the result go out. A report waits for the
decision. What a job prints goes to the job's output.log. When the coordinator is gone, so is the worker.
"""

import atexit
import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hpsearch.jobs import Job, ObjectiveSpec, Report, result_to_json
from hpsearch.records import Decision, Moment
from hpsearch.workers.job_runner import JobRunner, wire_message
from hpsearch.workers.leftovers import adopt_orphans
from hpsearch.workers.local.pack_worker import serve_packs

STOPPING = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a search to stop; blocked while a worker starts, ignored by it afterwards."""
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_SET_NAME = 15  # PR_SET_NAME
WORKER_NAME = "hpsearch-worker"
"""What `top` and `ps` show of a worker on Linux; at most 15 characters."""


def _die_with(parent: int) -> None:
    """End this process when its parent ends: at once by the kernel on Linux, within a second elsewhere.

    Elsewhere its process group is ended with it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        ctypes.CDLL(None).prctl(_SET_NAME, WORKER_NAME.encode())

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
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

    def waits(self) -> bool:
        return self._connection.poll()

    def started(self) -> None:
        self.send("started")

    def report(self, report: Report | Moment) -> Decision:
        self.send(**wire_message(report))
        return Decision(self.receive()["decision"])


def ignore_stopping() -> None:
    """Ignore the signals that reach the whole group of a terminal: the coordinator decides."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def main(descriptor: int, parent: int, *inherited: int) -> None:
    """Serve jobs until asked to exit or until the coordinator is gone."""
    ignore_stopping()
    adopt_orphans()
    _die_with(parent)
    _keep_from_children([descriptor, *inherited])
    channel = _Channel(descriptor)
    with contextlib.suppress(EOFError, ConnectionError):
        hello = channel.receive()
        folder, spec = Path(hello["folder"]), ObjectiveSpec(**hello["objective"])
        if hello.get("packs"):
            serve_packs(channel, folder, spec)
        else:
            _serve(channel, JobRunner(folder, spec))
    leave(0)


def _serve(channel: _Channel, runner: JobRunner) -> None:
    while (message := channel.receive())["kind"] == "job":
        os.environ.update(message["place"])
        result = runner.run(Job.from_json(message["job"]), channel.report, channel.started)
        channel.send("ended", **result_to_json(result))


def leave(status: int) -> None:
    """End this process as Python does, but without taking its modules apart: with torch that takes a third of a second.

    Where a thread is still at work that Python would wait for, or what was printed cannot be written, nothing happens.
    """
    waited_for = [thread for thread in threading.enumerate() if not thread.daemon]
    if waited_for != [threading.main_thread()] or threading.current_thread() is not threading.main_thread():
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(status)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
