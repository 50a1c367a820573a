"""How a running search is shown: a live display for terminals, lines for pipes, and nothing."""

import contextlib
import threading
import time
from collections import deque
from types import TracebackType
from typing import IO, Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live

from hpsearch.console.screen import INTERRUPTED, draw
from hpsearch.console.standing import Aim, Clock, Standing
from hpsearch.console.trainings import Training
from hpsearch.experiment.events import Event, HealthNotice, InterruptNotice, Notice, OutcomeEvent
from hpsearch.experiment.state import ExperimentState
from hpsearch.report.wording import assignments, duration, number, one_line, score_list, shorten

LONGEST_REASON = 200
"""At most this many characters of a reason are printed; the run's output.log has the whole of it."""
REFRESHES = 4
"""How often a second rich's own thread draws the frame again."""


class Progress(Protocol):
    """An observer that is shown for as long as it is entered."""

    def take_up(self, state: ExperimentState) -> None:
        """Begin where the experiment stands."""
        ...

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class NoProgress:
    """Shows nothing."""

    def take_up(self, state: ExperimentState) -> None:
        """Pass over it."""

    def observe(self, event: Event | Notice) -> None:
        """Pass over an event."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class LiveProgress:
    """Observes a search and shows its progress.

    `observe` only takes note, also when it is called from a signal handler: a thread of rich draws.
    """

    def __init__(self, aim: Aim, *, console: Console, clock: Clock = time.monotonic) -> None:
        self._standing = Standing(aim, clock=clock)
        self._console = console
        self._closed = False
        self._lock = threading.RLock()  # re-entrant: a signal's handler observes while its own thread is observing
        self._live = Live(console=console, get_renderable=self.frame, refresh_per_second=REFRESHES)

    def take_up(self, state: ExperimentState) -> None:
        """Begin where the experiment stands."""
        with self._lock:
            self._standing.take_up(state)

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event."""
        with self._lock:
            self._standing.follow(event)

    def frame(self) -> RenderableType:
        """Return the current view."""
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


class PlainProgress:
    """Observes a search and prints a line for every outcome and every note. A stream that breaks is left alone."""

    def __init__(self, aim: Aim, *, stream: IO[str], clock: Clock = time.monotonic) -> None:
        self._standing = Standing(aim, clock=clock)
        self._stream = stream
        self._lines: deque[str] = deque()
        self._writing = False
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._say()

    def take_up(self, state: ExperimentState) -> None:
        """Begin where the experiment stands, and say so if anything was done."""
        with self._lock:
            self._standing.take_up(state)
            if self._standing.trainings:
                self._say(f"{self._standing.finished} of {self._standing.goal_count} are done; {self._best()}")

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event, and print what it is worth. Any thread may call this, a signal's handler too."""
        with self._lock:
            self._observe(event)

    def _observe(self, event: Event | Notice) -> None:
        self._standing.notes.clear()
        training = self._standing.follow(event)
        if isinstance(event, OutcomeEvent) and training is not None:
            self._say(self._outcome(training))
        elif isinstance(event, OutcomeEvent) and self._standing.baselines:
            name, scores = list(self._standing.baselines.items())[-1]
            self._say(f"baseline {one_line(name)}: {score_list(scores)}")
        elif isinstance(event, InterruptNotice):
            self._say(*INTERRUPTED)
        elif isinstance(event, HealthNotice):
            self._say(self._standing.alarm)
        else:
            self._say(*self._standing.notes)

    def _outcome(self, training: Training) -> str:
        standing = self._standing
        assert training.outcome is not None  # noqa: S101 -- ours: asked for at outcomes only
        reached = []
        if training.score is not None:
            value = f"{one_line(standing.aim.metric)} {number(training.score)}"
            reached.append(value + ("" if training.step is None else f" at {standing.aim.unit} {training.step}"))
        reached += [shorten(training.reason, LONGEST_REASON)] if training.reason else []
        reached += [score_list(training.scores)] if training.scores else []
        said = f"{training.title} {training.outcome.replace('_', ' ')}" + (": " + "; ".join(reached) if reached else "")
        given = {} if training.replicate is not None else training.params
        parameters = f" {assignments(given, standing.names)}" if given else ""
        counter = f"[{standing.finished}/{standing.goal_count}]"
        best = "" if training.replicate is not None else f"  {self._best()}"
        return f"{said} ({duration(training.seconds)}){parameters}{best}  {counter}"

    def _best(self) -> str:
        best = self._standing.best
        return "best —" if best is None else f"best {number(best.score)} #{best.number}"

    def _say(self, *lines: str) -> None:
        """Print lines. A signal's handler may come here in the middle of a line: what it says then comes after it."""
        self._lines.extend(lines)
        if self._writing:
            return
        self._writing = True
        try:
            with contextlib.suppress(OSError, ValueError):  # a broken pipe or a closed stream ends no search
                while self._lines:
                    print(self._lines.popleft(), file=self._stream, flush=True)
        finally:
            self._lines.clear()
            self._writing = False


def make_progress(aim: Aim, *, console: Console | None = None, quiet: bool = False) -> Progress:
    """Return a live display for a console that is a terminal, lines for any other, and nothing when `quiet`.

    The console is standard error unless given: standard output is for results.
    """
    if quiet:
        return NoProgress()
    console = console or Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(aim, console=console)
    return PlainProgress(aim, stream=console.file)
