"""Mirror an experiment folder, run by run, in a tool that knows single runs only.

How far each run has been mirrored stands in a file of the folder, so that the next call goes on from there. A crash
between the tool's write and that of this file writes a stretch twice.
"""

import json
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from hpsearch.errors import TrackingError
from hpsearch.experiment.files import read_lines
from hpsearch.experiment.histograms import read_histograms
from hpsearch.experiment.layout import CONFIG, LOG, METRICS
from hpsearch.experiment.log import Event
from hpsearch.experiment.reading import read_resolved
from hpsearch.tracking.mlflow_entries import Row, flatten, milliseconds, read_changes, read_rows
from hpsearch.tracking.mlflow_place import mirror_lock
from hpsearch.tracking.mlflow_state import MirrorState, RunState, load_state, save_state

_EVENTS_AT_ONCE = 200


class Sink(Protocol):
    """The tool. Runs are named by their path in the experiment, such as `trials/0007`; times are in milliseconds."""

    name: str

    def begin(self, path: str, params: dict[str, Any], start: int) -> None:
        """Take in a run's parameters, by dotted names."""
        ...

    def write(self, path: str, rows: list[Row], looks: list[dict[str, Any]]) -> None:
        """Take in new metrics and histograms of a run, also of one that was begun in an earlier session."""
        ...

    def end(self, path: str, outcome: str, end: int) -> None:
        """Note how a run ended."""
        ...

    def flush(self) -> None:
        """Make sure that what was written stays."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class RunMirror:
    """The mirror of one folder in one sink."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        self.folder = folder.resolve()
        self.name = sink.name
        self._sink = sink
        self._state = MirrorState()
        self._lock: BinaryIO | None = None

    @property
    def _state_file(self) -> Path:
        return self.folder / f"tracking-{self.name}.json"

    def catch_up(self, *, final: bool = False) -> None:  # noqa: ARG002 - there is no conclusion here
        """Mirror what is new. Errors: TrackingError, ExperimentError."""
        read_resolved(self.folder)  # says so when the folder is no experiment
        try:
            self._take_lock()
            self._catch_up()
        except OSError as error:
            self.close()
            raise TrackingError(f"{self.name} cannot be written: {error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process mirror this folder."""
        self._sink.close()
        if self._lock:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        if self._lock:
            return
        self._lock = mirror_lock(self.folder / f"tracking-{self.name}.lock", self.name)
        self._state = load_state(self._state_file)

    def _catch_up(self) -> None:
        while chunk := list(islice(read_lines(self.folder / LOG, offset=self._state.log), _EVENTS_AT_ONCE)):
            runs: dict[str, list[Event]] = {}
            for event, _ in chunk:
                if "run" in event:
                    runs.setdefault(event["run"], []).append(event)
            for path, events in runs.items():
                self._mirror(path, events)
            self._state.log = chunk[-1][1]
            self._save()
        running = [path for path, run in self._state.runs.items() if run.outcome is None]
        news = [self._grow(path, self._state.runs[path], []) for path in running]
        if any(news):
            self._save()

    def _save(self) -> None:
        self._sink.flush()
        save_state(self._state_file, self._state)

    def _mirror(self, path: str, events: list[Event]) -> None:
        run = self._state.runs.setdefault(path, RunState(path, start=milliseconds(events[0])))
        if any(event["event"] == "exploit" for event in events):
            run.offset = 0  # its metrics are another run's from here on: another file
        changes = read_changes(events, run)
        self._grow(path, run, changes.rows, params=changes.params)
        run.reported, run.value = changes.reported, changes.value
        if changes.outcome and changes.outcome != run.outcome:
            self._sink.end(path, changes.outcome, changes.end)
        run.outcome = changes.outcome

    def _grow(self, path: str, run: RunState, rows: list[Row], params: dict[str, Any] | None = None) -> bool:
        """Mirror a run's configuration once, and what its files have more than before; say whether that was any."""
        file = self.folder / path / CONFIG
        if not run.configured and file.exists():
            config = flatten(json.loads(file.read_text())["config"])
            self._sink.begin(path, (params or {}) | config, run.start)
            run.configured = True
        found, run.offset, run.step = read_rows(self.folder / path / METRICS, run)
        looks = [look for look in read_histograms(self.folder / path) if look["step"] > run.look]
        run.look = looks[-1]["step"] if looks else run.look
        if found or rows or looks:
            self._sink.write(path, [*found, *rows], looks)
        return bool(found or looks)
