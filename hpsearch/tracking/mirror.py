"""The mirror of an experiment folder in another tool: one loop for all tools, and a sink for each.

Everything is read from the folder, from the places that a state file remembers. What was mirrored, but not yet noted
there when a crash came, is written again: MLflow drops what it has already, the other tools keep a stretch twice.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hpsearch.errors import TrackingError
from hpsearch.experiment.artifacts import read_histograms
from hpsearch.experiment.events import AskEvent, NoteEvent, RunEvent
from hpsearch.experiment.files import flatten, read_json, remove_leftovers
from hpsearch.experiment.layout import CONFIG, LOG, METRICS
from hpsearch.experiment.reading import read_resolved
from hpsearch.tracking.entries import (
    Changes,
    MirroredRun,
    MirroredSession,
    MirrorState,
    Row,
    milliseconds,
    read_changes,
    read_rows,
    read_stretch,
    save_state,
    state_of,
)


@dataclass(frozen=True)
class RunNews:
    """What a run has that is not in the tool yet; `path` is its folder in the experiment, such as `trials/0007`."""

    path: str
    changes: Changes
    config: dict[str, Any] | None
    """Its configuration by dotted names, once."""
    rows: list[Row]
    """Of its metrics, then of the log."""
    looks: list[dict[str, Any]]
    """Of its histograms, if the sink takes them."""
    first: bool
    """Whether the run was created a moment ago."""
    outcome: str | None
    """If it has ended since the last time."""


class Sink:
    """A tool that an experiment is written to: each has `write`, and the rest where the tool has a place for it.

    Times are in milliseconds; calls are made within `guarded`.
    """

    name: str
    """As `hpsearch sync --to` takes it."""
    title: str
    """As users read it."""
    state_file: str
    """In the experiment's folder, as is its lock."""
    takes_histograms = True
    remembered_uri: str | None = None
    """Of the store, as the state file has it."""

    def guarded(self) -> AbstractContextManager[None]:
        """Turn what goes wrong in the tool into a TrackingError."""
        return _files_guarded(self.title)

    def open(self, state: MirrorState) -> MirrorState:
        """Begin, with what an earlier mirror noted; return the state that holds."""
        return state

    def mirror_session(self, state: MirrorState, start: int, session: MirroredSession | None) -> None:
        """Take the state of the whole experiment; `start` is the time of the first event."""

    def create_run(self, state: MirrorState, path: str, start: int) -> str:  # noqa: ARG002 - only MLflow has its own ids
        """Create a run and return its id in the tool."""
        return path

    def write(self, run: MirroredRun, news: RunNews) -> None:
        """Take in what is new of a run, also of one that was begun in an earlier session."""
        raise NotImplementedError

    def conclude(self, state: MirrorState) -> None:
        """Take in what came out of the experiment so far."""

    def flush(self) -> None:
        """Make sure that what was written stays."""

    def close(self) -> None:
        """Let go of everything."""


class ExperimentMirror:
    """The mirror of one folder in one sink."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        self.folder = folder.resolve()
        self.name = sink.name
        self._sink = sink
        self._file = self.folder / sink.state_file
        self._state = MirrorState()
        self._lock: BinaryIO | None = None

    def catch_up(self, *, final: bool = False) -> None:
        """Mirror what is new; `final` also what came out. After an error the next call begins with the state file.

        Raises:
            TrackingError: the tool cannot be written, or another process mirrors this folder to it.
            ExperimentError: the folder is not an experiment, or is damaged.
        """
        read_resolved(self.folder)  # says so when the folder is not an experiment
        try:
            with self._sink.guarded():
                self._open()
                self._catch_up(final=final)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process mirror this folder."""
        self._sink.close()
        if self._lock:
            self._lock.close()
            self._lock = None

    def _open(self) -> None:
        if self._lock:
            return
        self._lock = _locked(self._file.with_suffix(".lock"), self._sink.title)
        remove_leftovers(self.folder, self._file.name)
        self._state = state_of(self._file, uri=self._sink.remembered_uri)
        self._save()  # the store is used again also if it is away now
        self._state = self._sink.open(self._state)

    def _catch_up(self, *, final: bool) -> None:
        while stretch := read_stretch(self.folder / LOG, offset=self._state.log, known=len(self._state.runs)):
            self._sink.mirror_session(self._state, stretch.start, stretch.session)
            for path, events in stretch.runs.items():
                self._mirror_run(path, events)
            self._state.log, self._state.time = stretch.offset, stretch.end
            final = final or (stretch.session is not None and stretch.session.ended)
            self._save()
        running = [path for path, run in self._state.runs.items() if run.outcome is None]
        news = [self._mirror_run(path, []) for path in running]
        if any(news):
            self._save()
        if final and self._state.concluded != self._state.log:
            self._sink.conclude(self._state)
            self._state.concluded = self._state.log
            self._save()
        self._sink.flush()

    def _save(self) -> None:
        self._sink.flush()
        save_state(self._file, self._state)

    def _mirror_run(self, path: str, events: Sequence[RunEvent | NoteEvent]) -> bool:
        """Mirror a stretch of one run's log, and what its files have more; say whether they had any."""
        run = self._state.runs.get(path)
        first = run is None
        if run is None:
            start = milliseconds(events[0].time)
            run = self._state.runs[path] = MirroredRun(self._sink.create_run(self._state, path, start), start=start)
        if run.deleted:
            return False
        if events:
            run.start = run.start or milliseconds(events[0].time)
        changes = read_changes(events, run)
        if changes.copied:
            run.offset = 0
        config = self._new_config(path, run, events)
        rows, run.offset, run.step = read_rows(self.folder / path / METRICS, run)
        looks = self._new_looks(path, run) if self._sink.takes_histograms else []
        ended = changes.outcome if changes.outcome != run.outcome else None
        self._sink.write(run, RunNews(path, changes, config, [*rows, *changes.rows], looks, first, ended))
        run.configured = run.configured or config is not None
        run.look = looks[-1]["step"] if looks else run.look
        run.reported, run.value, run.outcome = changes.reported, changes.value, changes.outcome
        return config is not None or bool(rows or looks)

    def _new_config(self, path: str, run: MirroredRun, events: Sequence[RunEvent | NoteEvent]) -> dict[str, Any] | None:
        """Return a configuration that was not mirrored yet; of a damaged one what the log has: what was searched."""
        file = self.folder / path / CONFIG
        if run.configured or not file.exists():
            return None
        try:
            return flatten(read_json(file)["config"])
        except (ValueError, TypeError, KeyError, AttributeError):
            return next((dict(event.params) for event in events if isinstance(event, AskEvent)), None)

    def _new_looks(self, path: str, run: MirroredRun) -> list[dict[str, Any]]:
        return [look for look in read_histograms(self.folder / path) if look["step"] > run.look]


@contextmanager
def _files_guarded(title: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrackingError(f"{title} cannot be written: {error}") from error


def _locked(path: Path, to: str) -> BinaryIO:
    """Hold a lock until it is closed. Raise TrackingError while another process holds it."""
    lock = path.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise TrackingError(f"another process is mirroring {path.parent} to {to}") from error
    return lock
