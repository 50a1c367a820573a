"""The frame of the live display: what fits into the terminal's width and height, and never more."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.cleaning import one_line
from hpsearch.console.search_state import SearchState
from hpsearch.console.trainings import Training
from hpsearch.records import Outcome
from hpsearch.report.wording import (
    SEPARATOR,
    UNKNOWN,
    assignments,
    duration,
    no_sign,
    number,
    over_seeds,
    progress_line,
    score_list,
    shorten,
)

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
    left = UNKNOWN if remaining is None else f"about {duration(remaining)}" if remaining >= 1 else "a moment"
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
    best, leader = search.best, search.leader
    if best is None and leader is None:
        return [_line(f"best: {UNKNOWN} (no trial is complete yet)")]
    line = _line("best: ")
    if best is not None:
        line.append(number(best.standing), "bold green")
        line.append(f"{over_seeds(best.by_seed)}, trial {best.number} at {search.target.unit} {best.step}")
    if leader is not None:
        line.append("; ahead of it: " if best is not None else f"{UNKNOWN} yet; ahead: ")
        line.append(number(leader.score), "bold")
        line.append(f", trial {leader.number} at {search.target.unit} {leader.step}")
    return [line, *(_parameters(assignments(best.params, search.names), width) if best is not None else [])]


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
        yield _line(told(search, training), "dim")


def told(search: SearchState, training: Training) -> str:
    """Return how far a training is that has told it since its last report."""
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
    name += f", seed {training.told.rerun}" if training.is_rerun else ""
    step = _stage(search, training) or str(training.step or 0) + (f"/{length}" if length else "")
    return [name, step, number(training.score), duration(search.seconds_of(training))]


def _stage(search: SearchState, training: Training) -> str:
    """Return what a training does before its first report, or how far it is in an epoch; nothing if that is unknown."""
    moment = search.moments.get(training.run)
    if moment is None:
        return ""
    if moment.preparing:
        return "data"
    length = search.target.length(training.params)
    if search.target.unit != "epoch" or not moment.epoch:
        return ""
    return f"{moment.epoch:.1f}" + (f"/{length}" if length else "")


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
