"""The append-only log of an experiment, `log.jsonl`: one writer, one JSON object a line for each event (events.py)."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import Event, MalformedEventError, decode, encode
from hpsearch.experiment.files import collector_resting, json_line, read_lines
from hpsearch.experiment.state import ExperimentState

Written = TypeVar("Written", bound=Event)


@dataclass
class Past:
    """What a log holds when a session takes it up: its events, what they come to, and the offset behind them."""

    events: list[Event] = field(default_factory=list)
    state: ExperimentState = field(default_factory=ExperimentState)
    end: int = 0


def read_past(path: Path) -> Past:
    """Read a log once for all that a session wants to know of it; see `read_events`."""
    past = Past()
    with collector_resting():
        for event, behind in read_events(path):
            past.events.append(event)
            past.state.follow(event)
            past.end = behind
    return past


class Log:
    """The log opened by its one writer. Opening drops a torn last line.

    `past` is what was read of it, if that was read before; `state` is what all events until now come to, also those of
    this session.

    Raises:
        ExperimentError: The log is damaged.
    """

    def __init__(self, path: Path, past: Past | None = None) -> None:
        self.path = path
        past = past or read_past(path)
        self._past = past
        self.state = past.state
        self.torn = path.exists() and path.stat().st_size > past.end
        if self.torn:
            self._cut_off(past.end)
        self._before = self.state.elapsed
        self._opened = time.monotonic()
        self._file = path.open("ab")

    def _cut_off(self, end: int) -> None:
        """Drop the torn last line. A damaged line in the middle is not the work of a crash, so it is an error."""
        with self.path.open("rb") as file:
            file.seek(end)
            file.readline()
            more = file.read(1)
        if more:
            place = f"{self.path}, line {len(self._past.events) + 1}"
            raise ExperimentError(f"{place} is damaged, and more stands behind it; mend that line or remove it")
        os.truncate(self.path, end)

    def take_events(self) -> list[Event]:
        """Return the events of earlier sessions, once: afterwards they take no memory here."""
        events, self._past.events = self._past.events, []
        return events

    @property
    def elapsed(self) -> float:
        """Seconds for which the experiment has been running, over all its sessions."""
        return self._before + time.monotonic() - self._opened

    def append(self, event: Written, *, durable: bool = False) -> Written:
        """Write an event and return it with its time; with `durable` it is on the disk then."""
        event = replace(event, time=time.time(), elapsed=round(self.elapsed, 6))
        self._file.write(json_line(encode(event)))
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        self.state.follow(event)
        return event

    def close(self) -> None:
        """Flush to the disk and close."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()


def read_events(path: Path, *, offset: int = 0) -> Iterator[tuple[Event, int]]:
    """Yield each event of a log and the offset behind it, from a byte offset on, also while another process writes it.

    Raises:
        ExperimentError: A line is JSON, but no event.
    """
    for content, behind in read_lines(path, offset=offset):
        try:
            yield decode(content), behind
        except MalformedEventError as error:
            with path.open("rb") as file:
                line = file.read(behind).count(b"\n")
            raise ExperimentError(f"{path}, line {line} is no event of a log: {error}") from error


def read_state(path: Path) -> ExperimentState:
    """Read what a log comes to, up to its last whole line; see `read_events`."""
    state = ExperimentState()
    for event, _ in read_events(path):
        state.follow(event)
    return state
