"""How a running search is shown: a live display for terminals and notebooks, lines for pipes, and nothing.

The live display shows what fits into the terminal's width and height, and never more.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.cleaning import one_line
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
from hpsearch.experiment.state import ExperimentState
from hpsearch.records import Outcome
from hpsearch.report.wording import (
    SEPARATOR,
    UNKNOWN,
    assignments,
    duration,
    no_sign,
    number,
    progress_line,
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
            self._say(_told(self._search, training))

    def _outcome(self, training: Training) -> str:
        search = self._search
        assert training.outcome is not None  # noqa: S101 -- ours: asked for at outcomes only
        reached = []
        if training.score is not None:
            value = f"{one_line(search.target.metric)} {number(training.score)}"
            reached.append(value + ("" if training.step is None else f" at {search.target.unit} {training.step}"))
        reached += [shorten(training.reason, LONGEST_REASON)] if training.reason else []
        reached += [score_list(training.scores)] if training.scores else []
        said = f"{training.title} {training.outcome.replace('_', ' ')}" + (": " + "; ".join(reached) if reached else "")
        given = {} if training.replicate is not None else training.params
        parameters = f" {assignments(given, search.names)}" if given else ""
        counter = f"[{search.finished}/{search.goal_count}]"
        best = "" if training.replicate is not None else f"  {self._best()}"
        return f"{said} ({duration(training.seconds)}){parameters}{best}  {counter}"

    def _best(self) -> str:
        best = self._search.best
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


def make_progress(target: SearchTarget, *, console: Console | None = None, quiet: bool = False) -> Progress:
    """Return a live display for a terminal or a notebook, lines for another console, and of problems only if `quiet`.

    The console is standard error unless given: standard output is for results.
    """
    console = console or Console(stderr=True)
    if not quiet and (console.is_jupyter or (console.is_terminal and not console.is_dumb_terminal)):
        return LiveProgress(target, console=console)
    return PlainProgress(target, stream=console.file, quiet=quiet)


MOST_ROWS = 8
"""The most running trials that are shown, if the terminal is high enough."""
MOST_BETWEEN = 4
"""The most of them that tell how far they are between two reports."""
SHOWN_NOTES = 3
LEAST_PARAMETERS = 12
"""Parameters are shown next to a running trial if there is room for this many characters."""

STYLES = {Outcome.COMPLETE: "green", Outcome.PRUNED: "yellow"}
HINT = "Ctrl-C: save checkpoints and stop."
NOTEBOOK_HINT = "Interrupt the kernel (the square): save checkpoints and stop."
INTERRUPTED = (
    "Interrupted: running trials save checkpoints, then stop.",
    "Press Ctrl-C again to stop now.",
)


def draw(search: SearchState, *, width: int, height: int, closed: bool = False, hint: str = HINT) -> RenderableType:
    """Return a frame of at most `height` lines; the last one (`closed`) has all the notes and no running trials."""
    head = [_title(search), _bar(search, width, closed), _counts(search, closed), *_best(search, width)]
    # The terminal echoes ^C behind the last line, which therefore is a short one: a full one would break.
    tail = [_line(text, "bold yellow") for text in INTERRUPTED] if search.interrupted else [_line(hint, "dim")]
    if closed:
        found = _replicates(search, len(search.trainings) + len(search.baselines))
        return Group(*head, *found, *(_line(note, "red") for note in search.notes))
    tail = [*(_line(note, "red") for note in list(search.notes)[-(SHOWN_NOTES if height >= 20 else 1) :]), *tail]
    if search.alarm:
        tail = [_line(search.alarm, "yellow"), *tail]
    room = height - 1 - len(head) - len(tail)
    running = _running(search, width, room)
    room -= min(len(search.running), MOST_ROWS) + len(running)
    return Group(*head, *_replicates(search, min(room, MOST_ROWS)), *running, *tail)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _title(search: SearchState) -> Text:
    target = search.target
    line = _line("")
    if target.title:
        line.append(one_line(target.title), "bold")
        line.append(SEPARATOR)
    line.append(f"{one_line(target.metric)} ({target.goal})")
    if search.confirming:
        line.append(f"{SEPARATOR}confirming", "bold")
    return line


def _bar(search: SearchState, width: int, closed: bool) -> RenderableType:
    done, count = search.finished, search.goal_count
    remaining = search.remaining
    left = UNKNOWN if remaining is None else f"about {duration(remaining)}"
    counter = f" {done}/{count}  "
    times = (
        f"{duration(search.elapsed)} gone, {left} left"
        if not closed and (done < count or remaining)
        else f"{duration(search.elapsed)} gone"
    )
    length = max(4, min(30, width - len(counter) - len(times)))
    grid = Table.grid()
    grid.add_column(width=length)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(ProgressBar(total=max(count, 1), completed=done, width=length), Text(counter + times))
    return grid


def _counts(search: SearchState, closed: bool) -> Text:
    line = _line("")
    parts = [("nothing has ended yet", "")] if closed and not search.counts else []
    if not closed:
        parts.append((f"{len(search.running)} running", ""))
    for outcome, count in search.counts.items():
        parts.append((f"{count} {outcome.replace('_', ' ')}", STYLES.get(outcome, "red")))
    for index, (text, style) in enumerate(parts):
        line.append(SEPARATOR if index else "")
        line.append(text, style)
    return line


def _best(search: SearchState, width: int) -> list[Text]:
    best = search.best
    if best is None:
        return [_line(f"best: {UNKNOWN}")]
    line = _line("best: ")
    line.append(number(best.score), "bold green")
    line.append(f", trial {best.number} at {search.target.unit} {best.step}")
    return [line, *_parameters(assignments(best.params, search.names), width)]


def _parameters(text: str, width: int) -> list[Text]:
    """Return the parameters on at most two lines, broken between words; what does not fit is cut off."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width - 2:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > 2:
        lines[1] = shorten(lines[1], width - 4) + " …"
    return [_line(f"  {line}", "dim") for line in lines[:2] if line]


def _running(search: SearchState, width: int, room: int) -> list[RenderableType]:
    """Return the table of what is running in at most `room` lines, and how many more there are."""
    running = sorted(search.running.values(), key=lambda each: (each.number, each.replicate or 0))
    if not running or room < 2:
        return []
    count = min(len(running), MOST_ROWS, room - 1)
    if count < len(running) and count == room - 1:
        count -= 1
    more = len(running) - count
    table: list[RenderableType] = [_table(search, running[:count], width)] if count else []
    between = [line for each in running[:count] for line in _between(search, each)]
    between = between[: min(MOST_BETWEEN, room - 1 - count - (more > 0))]
    return [*table, *between, *([_line(f"… and {more} more")] if more else [])]


def _between(search: SearchState, training: Training) -> Iterator[Text]:
    """Yield the line about a training between two reports, if there is anything to say."""
    silent = search.silence(training)
    if silent is not None:
        yield _line(f"{training.title}: {no_sign(silent)}", "yellow")
    elif training.run in search.moments:
        yield _line(_told(search, training), "dim")


def _told(search: SearchState, training: Training) -> str:
    return f"{training.title}: {progress_line(search.moments[training.run])}"


def _table(search: SearchState, running: Sequence[Training], width: int) -> Table:
    rows = [_row(search, each) for each in running]
    titles = ["trial", search.target.unit, one_line(search.target.metric), "time"]
    if search.confirming:
        titles[0] = "replicate"
    titles[2] = shorten(titles[2], max(12, width - 45))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    used = 0
    for index, title in enumerate(titles):
        cells = max(len(title), *(len(row[index]) for row in rows))
        table.add_column(title, justify="right", no_wrap=True, width=cells)
        used += cells + 2
    shown = width - used >= LEAST_PARAMETERS and not search.confirming
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for each, row in zip(running, rows, strict=True):
        parameters = Text(assignments(each.params, search.names), "dim") if shown else Text("")
        table.add_row(*map(Text, row), parameters)
    return table


def _row(search: SearchState, training: Training) -> list[str]:
    length = search.target.length(training.params)
    name = str(training.number) if training.replicate is None else f"{training.replicate} of {training.number}"
    step = str(training.step or 0) + (f"/{length}" if length else "")
    return [name, step, number(training.score), duration(search.seconds_of(training))]


def _replicates(search: SearchState, room: int) -> list[Text]:
    """Return the results of the confirmation so far, in at most `room` lines."""
    if not search.confirming or room <= 0:
        return []
    ended = [each for each in search.replicates if each.outcome is not None]
    lines = [f"{each.title}: {score_list(each.scores) or each.outcome}" for each in ended]
    lines += [f"baseline {one_line(name)}: {score_list(scores)}" for name, scores in search.baselines.items()]
    if len(lines) > room:
        kept = max(room - 1, 0)
        lines = [f"{len(lines) - kept} earlier ones …", *lines[len(lines) - kept :]]
    return [_line(line) for line in lines]
