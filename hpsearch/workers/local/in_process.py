"""Workers in this very process, for a debugger: the same interface without processes."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from hpsearch.jobs import Job, JobListener, ObjectiveFunction, ObjectiveSpec, Report
from hpsearch.records import Decision, Moment
from hpsearch.workers.job_runner import make_objective, run_job


class InProcessWorkers:
    """Runs one job at a time in this process: slower to fail, easier to debug."""

    def __init__(self, spec: ObjectiveSpec) -> None:
        self._spec = spec
        self._objective: ObjectiveFunction | None = None
        self._job: Job | None = None

    @property
    def idle(self) -> int:
        """One, when nothing waits to be run."""
        return int(self._job is None)

    def start(self, job: Job) -> None:
        """Keep the job for `serve`."""
        self._job = job

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        """Run the job that was started, from beginning to end.

        Raises:
            KeyboardInterrupt: From whoever handles SIGINT and SIGTERM. One that the training raises itself is its
                failure.
            SearchFailedError: From the listener, as whatever else it raises.
        """
        del timeout  # nothing to wait for: the job runs here and now
        job = self._job
        if job is None:
            return
        self._objective = self._objective or make_objective(self._spec)
        trouble: list[BaseException] = []
        home = Path.cwd()

        def report(told: Report | Moment) -> Decision:
            try:
                with _at(home):
                    return listener.moment(job, told) if isinstance(told, Moment) else listener.reported(job, told)
            except BaseException as error:
                trouble.append(error)
                raise

        with _signals_noted(trouble), contextlib.chdir(os.curdir):
            result = run_job(self._objective, job, report, lambda: listener.started(job))
        if trouble:
            raise trouble[0]
        self._job = None
        listener.ended(job, result)

    def kill(self, job: Job) -> None:
        """Not possible from within: a job in this process ends at its next report."""
        raise AssertionError(f"{job.run} runs in this process and cannot be killed")

    def close(self) -> None:
        """Forget the objective and the data it holds."""
        self._objective = None


@contextmanager
def _signals_noted(trouble: list[BaseException]) -> Iterator[None]:
    """Note what the handlers of SIGINT and SIGTERM raise: the user's Ctrl-C, whatever the training makes of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hear(number: int, frame: FrameType | None) -> None:
        handler = kept[signal.Signals(number)]
        assert callable(handler)  # noqa: S101 -- ours: see below
        try:
            handler(number, frame)
        except BaseException as error:
            trouble.append(error)
            raise

    for number, handler in kept.items():
        if callable(handler):
            signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in kept.items():
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)


@contextmanager
def _at(place: Path) -> Iterator[None]:
    """Be in a folder for a while, wherever the training has gone; that folder may be no more."""
    try:
        elsewhere = Path.cwd()
    except FileNotFoundError:
        elsewhere = place
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(elsewhere)
