"""The append-only log of an experiment, `log.jsonl`: one writer, one JSON object a line for each event (events.py)."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from hpsearch.experiment.codec import MalformedEventError, decode, encode
from hpsearch.experiment.events import Event
from hpsearch.experiment.files import DamagedLine, LinesRead, collector_resting, json_line, read_lines
from hpsearch.experiment.state import ExperimentState

Written = TypeVar("Written", bound=Event)
_NAMED = 5
"""The most damaged lines that are named."""


@dataclass
class Past:
    """What a log holds when a session takes it up: its events, what they come to, and the offset behind them.

    `damaged` lines were left out, as were those that do not fit to what stands before.
    """

    events: list[Event] = field(default_factory=list)
    state: ExperimentState = field(default_factory=ExperimentState)
    end: int = 0
    damaged: list[DamagedLine] = field(default_factory=list)


def read_past(path: Path, *, keep: bool = True) -> Past:
    """Read a log once for all that somebody wants to know of it; the events only if they are to be kept."""
    past = Past()
    with collector_resting():
        _read_on(path, past, keep=keep)
    return past


def _read_on(path: Path, past: Past, *, keep: bool) -> None:
    """Take in what a log has behind the end of what was read."""
    read, last = LinesRead(), None
    for event, _ in read_events(path, offset=past.end, read=read):
        why = "it repeats the line before it" if event == last else past.state.misfit(event)
        last = event
        if why:
            read.damaged.append(DamagedLine(read.number, why))
            continue
        if keep:
            past.events.append(event)
        past.state.follow(event)
    past.end, past.damaged = read.end, read.damaged


def _allowed() -> None:
    """Nobody else writes."""


class Log:
    """The log opened by its one writer. Opening drops a torn last line.

    `past` is what was read of it, if that was read before; `state` is what all events until now come to, also those of
    this session. `damage` tells which lines were left out.
    """

    def __init__(self, path: Path, past: Past | None = None, *, check: Callable[[], None] = _allowed) -> None:
        """`check` is called before each event is written: it raises where another machine may be writing."""
        self.path = path
        self._check = check
        past = past or read_past(path)
        self._past = past
        self.state = past.state
        self.torn = path.exists() and path.stat().st_size > past.end
        self.damage = damaged_lines(path, past)
        if self.torn:
            os.truncate(path, past.end)
        self._end = past.end
        self._before = self.state.elapsed
        self._opened = time.monotonic()
        self._stood: float | None = None
        self._file = path.open("ab")

    def take_events(self) -> list[Event]:
        """Return the events of earlier sessions, once: afterwards they take no memory here."""
        events, self._past.events = self._past.events, []
        return events

    @property
    def elapsed(self) -> float:
        """Seconds for which the experiment has been running, over all its sessions."""
        now = time.monotonic() if self._stood is None else self._stood
        return self._before + now - self._opened

    def stand_still(self) -> None:
        """Let no time pass for the experiment, which is paused."""
        self._stood = time.monotonic() if self._stood is None else self._stood

    def go_on(self) -> None:
        """Let time pass again."""
        if self._stood is not None:
            self._opened += time.monotonic() - self._stood
            self._stood = None

    def append(self, event: Written, *, durable: bool = False) -> Written:
        """Write an event and return it with its time; with `durable` it is on the disk then."""
        self._check()
        event = replace(event, time=time.time(), elapsed=round(self.elapsed, 6))
        line = json_line(encode(event))
        self._file.write(line)
        self._file.flush()
        self._end += len(line)
        if durable:
            self.sync()
        self.state.follow(event)
        return event

    def rejoin(self, *, meanwhile: bool = False) -> list[Event]:
        """Take in what other processes have written since this one let go of the folder, and return it.

        A line that one of them could not finish is dropped. With events of others, or if they were at it `meanwhile`,
        the time since the last event counts as running, unless somebody has paused the search.
        """
        past = Past(state=self.state, end=self._end)
        _read_on(self.path, past, keep=True)
        if self.path.stat().st_size > past.end:
            os.truncate(self.path, past.end)
        self._end = past.end
        if past.events or meanwhile:
            latest = None if self.state.paused else self.state.latest
            since = 0.0 if latest is None else max(time.time() - latest, 0.0)
            self._before, self._opened = self.state.elapsed + since, time.monotonic()
            self._stood = self._opened if self.state.paused else None  # who obeyed the order may be another process
        return past.events

    def sync(self) -> None:
        """Wait until all events are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush to the disk and close."""
        if not self._file.closed:
            self.sync()
            self._file.close()


def read_events(path: Path, *, offset: int = 0, read: LinesRead | None = None) -> Iterator[tuple[Event, int]]:
    """Yield each event of a log and the offset behind it, from a byte offset on, also while another process writes it.

    Damaged lines, and objects that are no events, are left out and noted in `read`.
    """
    read = read or LinesRead()
    for content, behind in read_lines(path, offset=offset, read=read):
        try:
            event = decode(content)
        except MalformedEventError as error:
            read.damaged.append(DamagedLine(read.number, f"it is no event of a log: {error}"))
        else:
            yield event, behind


def read_state(path: Path) -> ExperimentState:
    """Read what a log comes to, up to its last whole line; see `read_events`."""
    return read_past(path, keep=False).state


def damaged_lines(path: Path, past: Past) -> list[str]:
    """Describe the lines of a log that were left out, in their order."""
    lines = sorted({each.number: each.why for each in past.damaged}.items())
    told = [f"{path}: line {number} was left out: {why}" for number, why in lines[:_NAMED]]
    return [*told, f"{path}: {len(lines) - _NAMED} more lines were left out"] if len(lines) > _NAMED else told


def damage(path: Path, past: Past) -> list[str]:
    """Describe what is damaged in a log that was read, its torn end included; empty if nothing is."""
    torn = path.exists() and path.stat().st_size > past.end
    return [*damaged_lines(path, past), *([f"{path}: the last line is torn and was left out"] if torn else [])]
