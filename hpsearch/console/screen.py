"""How a running search looks in a terminal: what fits into the width and height that there are, and never more."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.console.standing import Standing
from hpsearch.console.trainings import Training
from hpsearch.records import Outcome
from hpsearch.report.wording import SEPARATOR, UNKNOWN, assignments, duration, number, one_line, score_list, shorten

MOST_ROWS = 8
"""So many running trials are shown, if the terminal is high enough."""
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
