"""What a worker tells of a job between two reports: how far its data or its training are.

The coordinator hears it at most about once a second. Every few seconds it is also in the run's `progress.json`, for
`hpsearch watch` in another terminal; the file goes when the job ends.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from hpsearch.data.preparation import heard
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import PROGRESS
from hpsearch.jobs import Reporter
from hpsearch.records import Decision, Moment

TOLD_EVERY, WRITTEN_EVERY = 1.0, 3.0
"""Seconds."""


class PreparationStoppedError(BaseException):
    """The job is to pause before its data are there. No Exception: who prepares data may catch all of those."""


class Teller:
    """Tells of one job; `folder` is the run's."""

    def __init__(self, report: Reporter, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._file = folder / PROGRESS
        self._clock = clock
        self._told = float("-inf")
        self._written = clock()

    def __call__(self, moment: Moment) -> Decision:
        """Tell how far the job is, and return whether it goes on or is to pause."""
        now = self._told = self._clock()
        if now - self._written >= WRITTEN_EVERY:
            self._written = now
            with contextlib.suppress(OSError):  # nothing depends on it
                write_json(self._file, asdict(moment), durable=False)
        return self._report(moment)

    def close(self) -> None:
        """Remove the file, which would not be true any more."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def preparing(self, *, stops: bool) -> Iterator[None]:
        """Tell of the data that the block prepares.

        Raises:
            PreparationStoppedError: The job is to pause, and `stops` says that it can here.
        """

        def hear(what: str, done: int, total: int) -> None:
            if total and self._clock() - self._told < TOLD_EVERY:
                return
            if self(Moment(done, total, preparing=what)) is Decision.PAUSE and stops:
                raise PreparationStoppedError

        with heard(hear):
            yield
