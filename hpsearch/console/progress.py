"""How a running search is shown: a live display for terminals, lines for pipes, and nothing.

The live display shows what fits into the terminal's width and height, and never more.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.console.standing import Aim, Clock, Standing
from hpsearch.console.trainings import Training
from hpsearch.experiment.events import Event, HealthNotice, InterruptNotice, Notice, OutcomeEvent
from hpsearch.experiment.state import ExperimentState
from hpsearch.records import Outcome
from hpsearch.report.wording import SEPARATOR, UNKNOWN, assignments, duration, number, one_line, score_list, shorten

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


MOST_ROWS = 8
"""The most running trials that are shown, if the terminal is high enough."""
SHOWN_NOTES = 3
LEAST_PARAMETERS = 12
"""Parameters are shown next to a running trial if there is room for this many characters."""

STYLES = {Outcome.COMPLETE: "green", Outcome.PRUNED: "yellow"}
HINT = "Ctrl-C: save checkpoints and stop."
INTERRUPTED = (
    "Interrupted: running trials save checkpoints, then stop.",
    "Press Ctrl-C again to stop now.",
)


def draw(standing: Standing, *, width: int, height: int, closed: bool = False) -> RenderableType:
    """Return a frame of at most `height` lines; the last one (`closed`) has all the notes and no running trials."""
    head = [_title(standing), _bar(standing, width, closed), _counts(standing, closed), *_best(standing, width)]
    # The terminal echoes ^C behind the last line, which therefore is a short one: a full one would break.
    tail = [_line(text, "bold yellow") for text in INTERRUPTED] if standing.interrupted else [_line(HINT, "dim")]
    if closed:
        found = _replicates(standing, len(standing.trainings) + len(standing.baselines))
        return Group(*head, *found, *(_line(note, "red") for note in standing.notes))
    tail = [*(_line(note, "red") for note in list(standing.notes)[-(SHOWN_NOTES if height >= 20 else 1) :]), *tail]
    if standing.alarm:
        tail = [_line(standing.alarm, "yellow"), *tail]
    room = height - 1 - len(head) - len(tail)
    running = _running(standing, width, room)
    room -= min(len(standing.running), MOST_ROWS + 1) + 1
    return Group(*head, *_replicates(standing, min(room, MOST_ROWS)), *running, *tail)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _title(standing: Standing) -> Text:
    aim = standing.aim
    line = _line("")
    if aim.title:
        line.append(one_line(aim.title), "bold")
        line.append(SEPARATOR)
    line.append(f"{one_line(aim.metric)} ({aim.goal})")
    if standing.confirming:
        line.append(f"{SEPARATOR}confirming", "bold")
    return line


def _bar(standing: Standing, width: int, closed: bool) -> RenderableType:
    done, count = standing.finished, standing.goal_count
    remaining = standing.remaining
    left = UNKNOWN if remaining is None else f"about {duration(remaining)}"
    counter = f" {done}/{count}  "
    times = (
        f"{duration(standing.elapsed)} gone, {left} left"
        if not closed and (done < count or remaining)
        else f"{duration(standing.elapsed)} gone"
    )
    length = max(4, min(30, width - len(counter) - len(times)))
    grid = Table.grid()
    grid.add_column(width=length)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(ProgressBar(total=max(count, 1), completed=done, width=length), Text(counter + times))
    return grid


def _counts(standing: Standing, closed: bool) -> Text:
    line = _line("")
    parts = [("nothing has ended yet", "")] if closed and not standing.counts else []
    if not closed:
        parts.append((f"{len(standing.running)} running", ""))
    for outcome, count in standing.counts.items():
        parts.append((f"{count} {outcome.replace('_', ' ')}", STYLES.get(outcome, "red")))
    for index, (text, style) in enumerate(parts):
        line.append(SEPARATOR if index else "")
        line.append(text, style)
    return line


def _best(standing: Standing, width: int) -> list[Text]:
    best = standing.best
    if best is None:
        return [_line(f"best: {UNKNOWN}")]
    line = _line("best: ")
    line.append(number(best.score), "bold green")
    line.append(f", trial {best.number} at {standing.aim.unit} {best.step}")
    return [line, *_parameters(assignments(best.params, standing.names), width)]


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


def _running(standing: Standing, width: int, room: int) -> list[RenderableType]:
    """Return the table of what is running in at most `room` lines, and how many more there are."""
    running = sorted(standing.running.values(), key=lambda each: (each.number, each.replicate or 0))
    if not running or room < 2:
        return []
    count = min(len(running), MOST_ROWS, room - 1)
    if count < len(running) and count == room - 1:
        count -= 1
    more = len(running) - count
    table: list[RenderableType] = [_table(standing, running[:count], width)] if count else []
    return [*table, _line(f"… and {more} more")] if more else table


def _table(standing: Standing, running: Sequence[Training], width: int) -> Table:
    rows = [_row(standing, each) for each in running]
    titles = ["trial", standing.aim.unit, one_line(standing.aim.metric), "time"]
    if standing.confirming:
        titles[0] = "replicate"
    titles[2] = shorten(titles[2], max(12, width - 45))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    used = 0
    for index, title in enumerate(titles):
        cells = max(len(title), *(len(row[index]) for row in rows))
        table.add_column(title, justify="right", no_wrap=True, width=cells)
        used += cells + 2
    shown = width - used >= LEAST_PARAMETERS and not standing.confirming
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for each, row in zip(running, rows, strict=True):
        parameters = Text(assignments(each.params, standing.names), "dim") if shown else Text("")
        table.add_row(*map(Text, row), parameters)
    return table


def _row(standing: Standing, training: Training) -> list[str]:
    length = standing.aim.length(training.params)
    name = str(training.number) if training.replicate is None else f"{training.replicate} of {training.number}"
    step = str(training.step or 0) + (f"/{length}" if length else "")
    return [name, step, number(training.score), duration(standing.seconds_of(training))]


def _replicates(standing: Standing, room: int) -> list[Text]:
    """Return the results of the confirmation so far, in at most `room` lines."""
    if not standing.confirming or room <= 0:
        return []
    ended = [each for each in standing.replicates if each.outcome is not None]
    lines = [f"{each.title}: {score_list(each.scores) or each.outcome}" for each in ended]
    lines += [f"baseline {one_line(name)}: {score_list(scores)}" for name, scores in standing.baselines.items()]
    if len(lines) > room:
        kept = max(room - 1, 0)
        lines = [f"{len(lines) - kept} earlier ones …", *lines[len(lines) - kept :]]
    return [_line(line) for line in lines]
