"""The append-only log of an experiment, `log.jsonl`: one writer, one JSON object a line for each event (events.py)."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import Event, MalformedEventError, decode, encode
from hpsearch.experiment.files import json_line, read_lines
from hpsearch.experiment.state import ExperimentState

Written = TypeVar("Written", bound=Event)


class Log:
    """The log opened by its one writer. Opening drops a torn last line.

    `events` are those of earlier sessions; `state` is what all events until now come to, also those of this session.

    Raises:
        ExperimentError: The log is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self.state = ExperimentState()
        end = 0
        for event, behind in read_events(path):
            self.events.append(event)
            self.state.follow(event)
            end = behind
        self.torn = path.exists() and path.stat().st_size > end
        if self.torn:
            self._cut_off(end)
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
            place = f"{self.path}, line {len(self.events) + 1}"
            raise ExperimentError(f"{place} is damaged, and more stands behind it; mend that line or remove it")
        os.truncate(self.path, end)

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
