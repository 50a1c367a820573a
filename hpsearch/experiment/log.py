"""The append-only log of an experiment: `log.jsonl`, one writer, one JSON object a line.

event     fields besides `time` (Unix seconds) and `elapsed` (seconds of running, over all sessions)
session   version, host                            a coordinator took the experiment up
ask       run, number, params, seed, rejected,     a configuration was decided on; `rejected` counts the sampler's
          start, [replicate,                       answers before this one that the space forbids, `start` is the entry
          folds, repeat, fold]                     of the space's list that it begins with; a replicate on a fold says
                                                   which: fold 0 to folds - 1 of the repeat-th division
begin     run, attempt                             a worker takes it up, from its checkpoint if there is one
report    run, step, metric, value, at, seconds,   the metric at a step; the objective by the rule, and its step;
          [final]                                  `final` when no other report follows
exploit   run, number, step, donor, params         the run goes on as a copy of the run `donor`, with these params; its
                                                   files were copied and its configuration rewritten before
lost      run, attempt, reason                     its process died; it will be taken up again
outcome   run, outcome, value, step, reason,       it ended; `scores` are a replicate's or a baseline's
          seconds, scores, [train_size,            and these the examples behind them; `data` is what was noted of the
          test_size, data, mistake]                data (families/data_watch.py); `mistake`: it could not begin (its
                                                   data, its program), and is tried again once it can
data      source                                   the digest of the data on which the session trains (data.json)
drop      run, reason                              a changed space has no place for this trial
adopt     run, params                              a changed space keeps this trial; its parameters as they are there
end       why                                      the session ended: finished, interrupted, time or failed

`run` is the run's folder in the experiment, see layout.py: `trials/0007`, `confirm/0007/seed-002`,
`confirm/0007/repeat-0-fold-3-of-5`, `confirm/baselines/sloreta`.
Non-finite numbers are the strings "nan", "inf" and "-inf" in the file, and floats in the events that are read from it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment import events
from hpsearch.experiment.files import decode_number, json_line, read_lines

Event = dict[str, Any]


class Log:
    """The log opened by its one writer. Opening drops a torn last line. Errors: ExperimentError for a damaged log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        end = 0
        for event, behind in read_lines(path):
            self.events.append(_decode(event))
            end = behind
        self.torn = path.exists() and path.stat().st_size > end
        if self.torn:
            self._cut_off(end)
        self._before = float(self.events[-1]["elapsed"]) if self.events else 0.0
        self._opened = time.monotonic()
        self._file = path.open("ab")

    def _cut_off(self, end: int) -> None:
        """Drop the torn last line; what stands behind a damaged line is no crash's doing, and is not ours to drop."""
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

    def append(self, event: str, *, durable: bool = False, **fields: Any) -> Event:
        """Write one event; with `durable` it is on the disk when this returns."""
        entry: Event = {"event": event, **fields, "time": time.time(), "elapsed": round(self.elapsed, 6)}
        self._file.write(json_line(entry))
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        return entry

    def close(self) -> None:
        """Flush to the disk and close."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()


def read_log(path: Path) -> Iterator[Event]:
    """Yield the events of a log, also while another process writes it."""
    for event, _ in read_lines(path):
        yield _decode(event)


def _decode(event: Event) -> Event:
    for name in ("value", "metric"):
        if name in event:
            event[name] = decode_number(event[name])
    if "scores" in event:
        event["scores"] = {name: decode_number(value) for name, value in event["scores"].items()}
    return event


def read_events(path: Path, *, offset: int = 0) -> "Iterator[tuple[events.Event, int]]":
    """Yield each event of a log and the offset behind it, from a byte offset on, also while another process writes it.

    Raises:
        ExperimentError: A line is JSON, but no event.

    """
    for content, behind in read_lines(path, offset=offset):
        try:
            yield events.decode(content), behind
        except events.MalformedEventError as error:
            with path.open("rb") as file:
                line = file.read(behind).count(b"\n")
            raise ExperimentError(f"{path}, line {line} is no event of a log: {error}") from error
