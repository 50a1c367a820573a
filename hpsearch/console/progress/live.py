"""The display of a running search in a terminal: one frame that is drawn again, at most four times a second."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

from hpsearch.console.progress.screen import draw
from hpsearch.console.progress.standing import Aim, Clock, Standing
from hpsearch.experiment.log import Event

REFRESHES = 4
"""How often a second rich's own thread draws the frame again."""


class LiveProgress:
    """Observes a search and shows where it stands.

    `observe` only takes note, also when it is called from a signal handler: a thread of rich draws. `earlier` are the
    log's events from the sessions before.
    """

    def __init__(
        self, aim: Aim, *, console: Console, earlier: Iterable[Event] = (), clock: Clock = time.monotonic
    ) -> None:
        self._standing = Standing(aim, earlier=earlier, clock=clock)
        self._console = console
        self._closed = False
        self._lock = threading.RLock()  # re-entrant: a signal's handler observes while its own thread is observing
        self._live = Live(console=console, get_renderable=self.frame, refresh_per_second=REFRESHES)

    def observe(self, event: Event) -> None:
        """Take note of an event."""
        with self._lock:
            self._standing.follow(event)

    def frame(self) -> RenderableType:
        """Return what the display shows now."""
        with self._lock:
            width, height = self._console.size
            return draw(self._standing, width=width, height=height, closed=self._closed)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        self._live.stop()
