"""What a terminal shows while a prediction is computed: how far it is, on standard error; and text while it is made."""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hpsearch.families.prediction import Watcher

_DELAY = 1.0
"""Seconds after which a bar appears: most predictions are quicker."""


class TerminalWatcher(Watcher):
    """Shows a bar on standard error where that is a terminal, and, with `write`, hands text on while it is made."""

    def __init__(
        self, write: Callable[[str], None] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock, self._start = clock, clock()
        self._shown = sys.stderr.isatty() and write is None
        self._bar: Progress | None = None

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Move the bar on."""
        if not self._shown or (self._bar is None and self._clock() - self._start < _DELAY):
            return
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task(unit)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def text(self, piece: str) -> None:
        """Print a piece of text."""
        if self._write is not None:
            self._write(piece)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
