"""How a running search is shown: a live display for terminals and notebooks, lines for pipes, and nothing."""

import contextlib
import threading
import time
from collections import deque
from types import TracebackType
from typing import IO, Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live

from hpsearch.cleaning import one_line
from hpsearch.console.frame import HINT, INTERRUPTED, NOTEBOOK_HINT, draw, told
from hpsearch.console.notebook import NotebookLive
from hpsearch.console.search_state import Clock, SearchState, SearchTarget
from hpsearch.console.trainings import Training
from hpsearch.experiment.events import (
    Event,
    HealthNotice,
    InterruptNotice,
    MomentNotice,
    Notice,
    OutcomeEvent,
    TextNotice,
)
from hpsearch.experiment.layout import OUTPUT
from hpsearch.experiment.state import ExperimentState
from hpsearch.records import Outcome
from hpsearch.report.wording import (
    assignments,
    duration,
    number,
    over_seeds,
    score_list,
    shorten,
)

LONGEST_REASON = 200
"""At most this many characters of a reason are printed; the run's output.log has the whole of it."""
SAID_EVERY = 15.0
"""Seconds from one line about a training that runs to the next, where lines are printed."""
REFRESHES = 4
"""How often a second rich's own thread draws the frame again."""


class Progress(Protocol):
    """An observer that is shown for as long as it is entered."""

    def resume(self, state: ExperimentState) -> None:
        """Begin where the experiment stands."""
        ...

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class LiveProgress:
    """Observes a search and shows its progress.

    `observe` only takes note, also when it is called from a signal handler: another thread draws.
    """

    def __init__(self, target: SearchTarget, *, console: Console, clock: Clock = time.monotonic) -> None:
        self._search = SearchState(target, clock=clock)
        self._console = console
        self._closed = False
        self._lock = threading.RLock()  # re-entrant: a signal's handler observes while its own thread is observing
        self._live = (
            NotebookLive(self.frame, width=console.width)
            if console.is_jupyter
            else Live(console=console, get_renderable=self.frame, refresh_per_second=REFRESHES)
        )

    def resume(self, state: ExperimentState) -> None:
        """Begin where the experiment stands."""
        with self._lock:
            self._search.resume(state)

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event."""
        with self._lock:
            self._search.follow(event)

    def frame(self) -> RenderableType:
        """Return the current view."""
        with self._lock:
            width, height = self._console.size
            hint = NOTEBOOK_HINT if self._console.is_jupyter else HINT
            return draw(self._search, width=width, height=height, closed=self._closed, hint=hint)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        self._live.stop()


class PlainProgress:
    """Observes a search and prints a line for every outcome and every note; if `quiet`, for problems only.

    A stream that breaks is left alone.
    """

    def __init__(
        self, target: SearchTarget, *, stream: IO[str], clock: Clock = time.monotonic, quiet: bool = False
    ) -> None:
        self._quiet = quiet
        self._search = SearchState(target, clock=clock)
        self._stream = stream
        self._lines: deque[str] = deque()
        self._said: dict[str, float] = {}
        """When each training was last heard of between its reports, if it was."""
        self._writing = False
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._say()

    def resume(self, state: ExperimentState) -> None:
        """Begin where the experiment stands, and say so if anything was done."""
        with self._lock:
            self._search.resume(state)
            if self._search.trainings and not self._quiet:
                self._say(f"{self._search.finished} of {self._search.goal_count} are done; {self._best()}")

    def observe(self, event: Event | Notice) -> None:
        """Take note of an event, and print what it is worth. Any thread may call this, a signal's handler too."""
        with self._lock:
            self._observe(event)

    def _observe(self, event: Event | Notice) -> None:
        self._search.notes.clear()
        training = self._search.follow(event)
        if self._quiet and not (isinstance(event, HealthNotice) or (isinstance(event, TextNotice) and event.problem)):
            return
        if isinstance(event, OutcomeEvent) and training is not None:
            self._say(self._outcome(training))
        elif isinstance(event, OutcomeEvent) and self._search.baselines:
            name, scores = list(self._search.baselines.items())[-1]
            self._say(f"baseline {one_line(name)}: {score_list(scores)}")
        elif isinstance(event, InterruptNotice):
            self._say(*INTERRUPTED)
        elif isinstance(event, HealthNotice):
            self._say(self._search.alarm)
        elif isinstance(event, MomentNotice) and training is not None:
            self._say_between(training)
        else:
            self._say(*self._search.notes)

    def _say_between(self, training: Training) -> None:
        """Print how far a training is, now and then: all that run share the lines that there are."""
        now = self._search.clock()
        apart = SAID_EVERY * max(1, len(self._search.running))
        if now - self._said.setdefault(training.run, now) >= apart:
            self._said[training.run] = now
            self._say(told(self._search, training))

    def _outcome(self, training: Training) -> str:
        search = self._search
        assert training.outcome is not None  # noqa: S101 -- ours: asked for at outcomes only
        reached = []
        if training.score is not None:
            value = f"{one_line(search.target.metric)} {number(training.score)}"
            reached.append(value + ("" if training.step is None else f" at {search.target.unit} {training.step}"))
        reached += [shorten(training.reason, LONGEST_REASON)] if training.reason else []
        reached += [f"traceback: {training.run}/{OUTPUT}"] if training.outcome is Outcome.FAILED else []
        reached += [score_list(training.scores)] if training.scores else []
        said = f"{training.title} {training.outcome.replace('_', ' ')}" + (": " + "; ".join(reached) if reached else "")
        given = {} if training.replicate is not None else training.params
        parameters = f" {assignments(given, search.names)}" if given else ""
        counter = f"[{search.finished}/{search.goal_count}]"
        best = "" if training.replicate is not None else f"  {self._best()}"
        return f"{said} ({duration(training.seconds)}){parameters}{best}  {counter}"

    def _best(self) -> str:
        best, leader = self._search.best, self._search.leader
        if best is None and leader is not None:
            return f"ahead {number(leader.score)} #{leader.number}"
        if best is None:
            return "nothing complete yet"
        return f"best {number(best.standing)}{over_seeds(best.by_seed)} #{best.number}"

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


def make_progress(target: SearchTarget, *, console: Console | None = None, quiet: bool = False) -> Progress:
    """Return a live display for a terminal or a notebook, lines for another console, and of problems only if `quiet`.

    The console is standard error unless given: standard output is for results.
    """
    console = console or Console(stderr=True)
    if not quiet and (console.is_jupyter or (console.is_terminal and not console.is_dumb_terminal)):
        return LiveProgress(target, console=console)
    return PlainProgress(target, stream=console.file, quiet=quiet)
