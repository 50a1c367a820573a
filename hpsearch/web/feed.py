"""An experiment as the page follows it: its log is read on from where it was left, and each change is told once.

A browser has everything up to a byte offset of the log (`Feed.whole`), and asks for what changed since (`Feed.since`).
The answer is as large as what changed. Whoever watched another log than the one that is there now, as after a folder
was made anew, is told to begin again.
"""

import contextlib
import os
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from hpsearch.console.search_state import SearchState
from hpsearch.console.trainings import Training
from hpsearch.experiment.activity import in_use, told_moment
from hpsearch.experiment.events import (
    AdoptEvent,
    AskEvent,
    DropEvent,
    Event,
    ExploitEvent,
    MomentNotice,
    NoteEvent,
    OutcomeEvent,
    RefuseEvent,
    ReportEvent,
    RunEvent,
    SessionEvent,
    StopEvent,
)
from hpsearch.experiment.files import LinesRead, collector_resting
from hpsearch.experiment.layout import LOG, PROGRESS, RunKind, raced_trial, run_kind
from hpsearch.experiment.log import read_events
from hpsearch.experiment.orders import pending
from hpsearch.experiment.reading import experiment_of, read_resolved
from hpsearch.plain_files import open_plain
from hpsearch.records import ExperimentRecord
from hpsearch.web.axes import Axes
from hpsearch.web.resting import Resting
from hpsearch.web.rows import head_of, row_of
from hpsearch.web.target import target_of

Json = dict[str, Any]
REFUSALS = 3
"""Orders that were refused of which the page tells, the newest."""
_FIRST_LINE = 4096
"""Bytes of a log's first line that are looked at."""


@dataclass
class Curve:
    """The metric of a trial at its steps, and where in the log each point was written last.

    Who knows the log up to less than `born` has another curve of the trial, if any.
    """

    born: int
    steps: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    written: "array[int]" = field(default_factory=lambda: array("q"))
    places: dict[int, int] = field(default_factory=dict)

    def put(self, step: int, value: float, behind: int) -> None:
        """Take in a report; of two at one step the later one counts."""
        place = self.places.setdefault(step, len(self.steps))
        if place == len(self.steps):
            self.steps.append(step)
            self.values.append(value)
            self.written.append(behind)
        else:
            self.values[place], self.written[place] = value, behind

    def since(self, offset: int) -> tuple[bool, list[int], list[float]]:
        """Return whether the curve replaces what was told before, and its points that are new behind an offset."""
        if offset < self.born:
            return True, self.steps.tolist(), self.values.tolist()
        new = [place for place, behind in enumerate(self.written) if behind > offset]
        return False, [self.steps[place] for place in new], [self.values[place] for place in new]


class Feed:
    """One experiment. Its methods may be called from several threads.

    Raises:
        ExperimentError: The folder is not an experiment, or its resolved.json cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.generation = 0
        """How often the log has been another one than before."""
        self._lock = Lock()
        self._identity: tuple[int, bytes] | None = None
        self._told_at: float | None = None
        self._begin()

    def _begin(self) -> None:
        resolved = read_resolved(self.folder)
        self.offset, self.live, self._last = 0, False, 0.0
        self.axes = Axes(resolved["space"])
        self.search = SearchState(target_of(self.folder, resolved), clock=self._clock)
        self._curves: dict[str, Curve] = {}
        self._changed: dict[str, int] = {}
        """The offsets behind the newest event of each trial, the trial that changed last being the last."""
        self._gone: dict[int, int] = {}
        self._axes_stale = False
        """Whether values that no trial has any more may be within the scales."""
        self._after: dict[str, float] = {}
        """After how many seconds of the search, without its confirmations, trials ended."""
        self._confirmed = 0
        """The offset behind the newest event of a replicate or a classical method."""
        self._resolved = resolved
        self._latest: Event | None = None
        self._refused: deque[RefuseEvent] = deque(maxlen=REFUSALS)
        self._heard: dict[str, float] = {}
        self._resting = Resting(self.folder)

    def _clock(self) -> float:
        """Return the time of what is being told; then of now while it runs, or of the end of what has ended."""
        if self._told_at is not None:
            return self._told_at
        return time.time() if self.live else self._last

    def advance(self) -> None:
        """Read what has been written since the last time."""
        with self._lock:
            self._advance()

    def _advance(self) -> None:
        log = self.folder / LOG
        size, identity = _identified(log)
        self._told_at = None
        if self._identity not in (None, identity) or size < self.offset:
            self.generation += 1
            self._begin()
        self._identity = identity
        if size > self.offset:
            with collector_resting():
                for event, behind in read_events(log, offset=self.offset, read=LinesRead()):
                    self._take(event, behind)
            self._told_at = None
            if self._axes_stale:
                self._axes_stale = False
                self.axes.note_again(trial.params for trial in self._trials())
        self.live = in_use(self.folder)
        if self.live:
            self._look_at_running()

    def _take(self, event: Event, behind: int) -> None:
        self.offset = behind
        repeated, self._latest = event == self._latest, event
        if repeated or self.search.state.misfit(event):  # left out, as wherever a log is read
            return
        self._told_at = self._last = event.time
        if isinstance(event, SessionEvent):
            self._follow_space()
        elif isinstance(event, RefuseEvent):
            self._refused.append(event)
        self.search.follow(event)
        self._resting.follow(event)
        if isinstance(event, RunEvent | StopEvent | NoteEvent) and event.run is not None:
            if run_kind(event.run) is RunKind.TRIAL:
                self._take_trial(event, event.run, behind)
            elif (trial := raced_trial(event.run)) is not None:
                if self._changed.pop(trial, None) is not None:
                    self._changed[trial] = behind  # its mean may be another
            else:
                self._confirmed = behind

    def _follow_space(self) -> None:
        """Take up what a new session may have changed: budget, ranges, length."""
        with contextlib.suppress(OSError):
            self._resolved = read_resolved(self.folder)
        self.search.target = target_of(self.folder, self._resolved)
        self.axes.declare(self._resolved["space"])

    def _take_trial(self, event: Event, run: str, behind: int) -> None:
        self._changed.pop(run, None)
        self._changed[run] = behind
        if isinstance(event, AskEvent):
            self.axes.note(event.params)
            self._curves[run] = Curve(behind)
        elif isinstance(event, AdoptEvent):
            self.axes.note(event.params)
            self._axes_stale = True
        elif isinstance(event, ExploitEvent):
            self.axes.note(event.params)
            donor, self._curves[run] = self._curves.get(event.donor), Curve(behind)
            if donor is not None:
                for step, value in zip(donor.steps, donor.values, strict=True):
                    self._curves[run].put(step, value, behind)
        elif isinstance(event, ReportEvent) and run in self._curves:
            self._curves[run].put(event.step, event.metric, behind)
        elif isinstance(event, DropEvent) and run in self._curves:
            del self._curves[run], self._changed[run]
            self._gone[self.search.state.runs[run].number] = behind
            self._axes_stale = True
        elif isinstance(event, OutcomeEvent):
            self._after[run] = self.search.state.search_seconds

    def _look_at_running(self) -> None:
        """Hear what the workers have written of the trainings that run now, once it is known which do."""
        self._resting.look(self.search, self._resolved["space"])
        for run in [*self.search.running]:
            path = self.folder / run / PROGRESS
            with contextlib.suppress(OSError):
                written = path.stat().st_mtime
                if written > self._heard.get(run, 0.0):
                    self._heard[run] = written
                    if (moment := told_moment(self.folder / run)) is not None:
                        self._told_at = min(written, time.time())
                        self.search.follow(MomentNotice(run, moment))
            self._told_at = None

    def _mark(self) -> Json:
        head = head_of(self.search, live=self.live, refused=self._refused, waiting=len(pending(self.folder)))
        return {"generation": self.generation, "offset": self.offset, "head": head}

    def glance(self) -> Json:
        """Return what a list of searches shows of one."""
        with self._lock:
            self._advance()
            ended = sum(trial.outcome is not None for trial in self._trials())
            return {**self._about(), "head": self._mark()["head"], "ended": ended}

    def whole(self) -> Json:
        """Return all that the page begins with; the curves, which are most of it, come by `curves`."""
        with self._lock:
            self._advance()
            rows = [self._row(each) for each in self._trials()]
            return {**self._mark(), **self._about(), "axes": self.axes.told(), "rows": rows}

    def _about(self) -> Json:
        target = self.search.target
        return {"metric": target.metric, "goal": str(target.goal), "unit": target.unit}

    def _row(self, trial: Training) -> list[Any]:
        return row_of(trial, self.axes, self._after.get(trial.run))

    def _trials(self) -> list[Training]:
        trials = [self.search.trainings[run] for run in self._curves if run in self.search.trainings]
        return sorted(trials, key=lambda trial: trial.number)

    def curves(self) -> Json:
        """Return the learning curves of all trials: number, steps, values."""
        with self._lock:
            found = [
                [self.search.trainings[run].number, curve.steps.tolist(), curve.values.tolist()]
                for run, curve in self._curves.items()
                if curve.steps and run in self.search.trainings
            ]
            return {"generation": self.generation, "offset": self.offset, "curves": found}

    def since(self, generation: int, offset: int) -> Json | None:
        """Return what has changed behind an offset; None for who has to begin again."""
        with self._lock:
            self._advance()
            if generation != self.generation or offset > self.offset:
                return None
            rows, points = [], []
            for run in self._changed_since(offset):
                training, curve = self.search.trainings[run], self._curves[run]
                rows.append(self._row(training))
                anew, steps, values = curve.since(offset)
                if anew or steps:
                    points.append([training.number, anew, steps, values])
            gone = [number for number, behind in self._gone.items() if behind > offset]
            changes: Json = {**self._mark(), "rows": rows, "points": points, "gone": gone}
            if self._confirmed > offset:
                changes["confirmed"] = True
            if rows:
                changes["axes"] = self.axes.told()
            return changes

    def _changed_since(self, offset: int) -> list[str]:
        found = []
        for run in reversed(self._changed):
            if self._changed[run] <= offset:
                break
            if run in self.search.trainings and run in self._curves:
                found.append(run)
        return found[::-1]

    def record(self) -> ExperimentRecord:
        """Return the record of the experiment as far as it has been told; curves of ended trials have only their ends.

        The log is not read again for it.
        """
        with self._lock:
            self._advance()
            return experiment_of(self.folder, self.search.state)


def _identified(log: Path) -> tuple[int, tuple[int, bytes] | None]:
    """Return how large a log is, and what tells it from another: a new file often has the number of a removed one."""
    with contextlib.suppress(OSError), open_plain(log) as file:
        told, first = os.fstat(file.fileno()), file.readline(_FIRST_LINE)
        whole = first.endswith(b"\n") or len(first) == _FIRST_LINE
        return told.st_size, (told.st_ino, first) if whole else None
    return 0, None
