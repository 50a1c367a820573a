"""Mirror an experiment folder in MLflow: one experiment, a parent run, and a nested run for each training.

An arm of a study shares the study's MLflow experiment, and its parent run is nested in the study's.

Everything is read from the folder, from remembered offsets, and may be written twice without harm: MLflow drops a
metric that comes again with the same step, time and value, and times come from the log, never from the clock.
"""

import json
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from hpsearch.errors import TrackingError
from hpsearch.experiment.artifacts import artifact_files
from hpsearch.experiment.files import read_lines
from hpsearch.experiment.layout import ARTIFACTS, BEST, CONFIG, LOG, METRICS, RESOLVED, SPACE, TRACKING, study_of
from hpsearch.experiment.log import Event
from hpsearch.experiment.reading import read_resolved
from hpsearch.tracking.mlflow_entries import (
    OBJECTIVE,
    SECONDS,
    SESSION_STATUSES,
    Changes,
    Point,
    clean_key,
    flatten,
    milliseconds,
    param_text,
    read_changes,
    read_rows,
    run_kind,
    run_title,
)
from hpsearch.tracking.mlflow_parent import conclusion, parent_tags
from hpsearch.tracking.mlflow_place import chosen_uri, mirror_lock, open_store, state_in
from hpsearch.tracking.mlflow_state import MirrorState, RunState, save_state
from hpsearch.tracking.mlflow_store import FoundRun, Store, guarded
from hpsearch.tracking.mlflow_study import mirror_study

EXPERIMENT_TAG = "hpsearch.experiment_id"
RUN_TAG = "hpsearch.run"
PARENT_TAG = "mlflow.parentRunId"
PARENT = "."
"""The value of RUN_TAG that marks the parent run."""
_LOCK = "tracking.lock"
_EVENTS_AT_ONCE = 200


class MlflowMirror:
    """The mirror of one folder. Without a URI: the store that was used last, at first that of all experiments."""

    name = "mlflow"

    def __init__(self, folder: Path, tracking_uri: str | None = None) -> None:
        self.folder = folder.resolve()
        self.uri = chosen_uri(self.folder, tracking_uri)
        self._state = MirrorState()
        self._store: Store | None = None
        self._lock: BinaryIO | None = None

    def catch_up(self, *, final: bool = False) -> None:
        """Mirror what is new; `final` also writes the best trial and the counts.

        After an error the next call goes on from what MLflow holds. Errors: TrackingError, ExperimentError.
        """
        read_resolved(self.folder)  # says so when the folder is no experiment
        try:
            with guarded(self.uri):
                self._take_lock()
                self._catch_up(final=final)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process mirror this folder; the next catch_up begins with what MLflow and tracking.json say."""
        self._store = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        if self._lock is None:
            self._lock = mirror_lock(self.folder / _LOCK, "MLflow")
            self._state = state_in(self.uri, self.folder)
            self._save()  # the store is used again also if it is away now

    def _catch_up(self, *, final: bool) -> None:
        if self._store is None:
            store = open_store(self.uri, self.folder)
            self._reconcile(store)
            self._state.experiment = store.experiment
            if self._state.parent and not self._state.parent.deleted and (tags := self._above(store)):
                store.log(self._state.parent.id, tags=tags)  # the study's run may be another than before
            self._store = store
        while chunk := list(islice(read_lines(self.folder / LOG, offset=self._state.log), _EVENTS_AT_ONCE)):
            events = [event for event, _ in chunk]
            self._mirror_session(self._store, events)
            for path, own in _by_run(events).items():
                self._mirror_run(self._store, path, own)
            self._state.log, self._state.time = chunk[-1][1], milliseconds(events[-1])
            final = final or any(event["event"] == "end" for event in events)
            self._save()
        if self._log_running(self._store):
            self._save()
        if final and self._state.parent and self._state.concluded != self._state.log:
            self._conclude(self._store, self._state.parent)
            self._save()

    def _save(self) -> None:
        save_state(self.folder / TRACKING, self._state)

    def _reconcile(self, store: Store) -> None:
        """Compare the state with what MLflow holds: a crash may have come between a write there and the state's."""
        found: dict[str, FoundRun] = {}
        for run in store.find_runs(EXPERIMENT_TAG, read_resolved(self.folder)["id"], path_tag=RUN_TAG):
            if run.path not in found or found[run.path].deleted:
                found[run.path] = run
        known = [*self._state.runs.values(), *([self._state.parent] if self._state.parent else [])]
        if not {run.id for run in known} <= {run.id for run in found.values()}:
            self._state = MirrorState(uri=self._state.uri)  # the store was emptied, or is another one
        for path, run in found.items():
            if path == PARENT:
                state = self._state.parent = self._state.parent or RunState(run.id)
            else:
                state = self._state.runs.setdefault(path, RunState(run.id))
            state.deleted = run.deleted
            if state.outcome is None and path != PARENT:
                _adopt(state, store.last_point(run.id, SECONDS), store.last_point(run.id, OBJECTIVE))

    def _mirror_session(self, store: Store, events: list[Event]) -> None:
        """Create the parent run, and mirror the beginning and the end of the sessions."""
        sessions = [event for event in events if event["event"] in ("session", "end")]
        if self._state.parent and not sessions:
            return
        tags = {EXPERIMENT_TAG: read_resolved(self.folder)["id"], RUN_TAG: PARENT, "hpsearch.kind": "experiment"}
        tags |= self._above(store)
        if self._state.parent is None:
            self._state.parent = RunState(store.create_run(self.folder.name, start=milliseconds(events[0]), tags=tags))
        parent = self._state.parent
        if not sessions or parent.deleted:
            return
        store.log(parent.id, tags=tags | parent_tags(read_resolved(self.folder), self.folder))
        for name in (SPACE, RESOLVED):
            if (self.folder / name).exists():
                store.log_file(parent.id, self.folder / name)
        last = sessions[-1]
        status = SESSION_STATUSES.get(last["why"], "FINISHED") if last["event"] == "end" else "RUNNING"
        store.set_status(parent.id, status, end=milliseconds(last))

    def _above(self, store: Store) -> dict[str, str]:
        """Bring the study's run up to date, if there is one, and return the tags that nest this experiment in it."""
        study = study_of(self.folder)
        return {"hpsearch.study": study.name, PARENT_TAG: mirror_study(store, study, uri=self.uri)} if study else {}

    def _mirror_run(self, store: Store, path: str, events: list[Event]) -> None:
        """Mirror a stretch of one run's log, and its metrics."""
        run = self._state.runs.get(path)
        fresh = run is None
        if run is None:
            run = self._state.runs[path] = RunState(self._create_run(store, path, milliseconds(events[0])))
        if run.deleted:
            return
        run.start = run.start or milliseconds(events[0])
        if any(event["event"] == "exploit" for event in events):
            run.offset = 0  # its metrics are another run's from here on: another file
        changes = read_changes(events, run)
        self._log(store, path, run, changes, fresh=fresh)
        if changes.outcome:
            for file in artifact_files(self.folder / path):
                store.log_file(run.id, file, folder=ARTIFACTS)
        if changes.outcome and run_kind(path) == "replicate":
            self._log_checkpoint(store, path, run)
        if changes.status:
            store.set_status(run.id, changes.status, end=changes.end)
        run.outcome = changes.outcome

    def _create_run(self, store: Store, path: str, start: int) -> str:
        if self._state.parent is None:
            raise TrackingError("a run was mirrored before its experiment")
        tags = {
            EXPERIMENT_TAG: read_resolved(self.folder)["id"],
            RUN_TAG: path,
            "hpsearch.kind": run_kind(path),
            PARENT_TAG: self._state.parent.id,
        }
        return store.create_run(run_title(path), start=start, tags=tags)

    def _log(self, store: Store, path: str, run: RunState, changes: Changes, *, fresh: bool = False) -> bool:
        """Write the changes, the new rows of metrics.jsonl, and the configuration; say whether there was any."""
        file = self.folder / path / CONFIG
        arrived = not run.configured and file.exists()
        config = flatten(json.loads(file.read_text())["config"]) if arrived else {}
        params = {clean_key(name): param_text(value) for name, value in (changes.params | config).items()}
        if params and not fresh:
            known = store.params(run.id)
            params = {name: text for name, text in params.items() if name not in known}
        rows, offset, step = read_rows(self.folder / path / METRICS, run)
        store.log(run.id, rows=[*rows, *changes.rows], params=params, tags=changes.tags)
        if arrived:
            store.log_file(run.id, file)
            run.configured = True
        run.offset, run.step, run.reported, run.value = offset, step, changes.reported, changes.value
        return arrived or bool(rows)

    def _log_running(self, store: Store) -> bool:
        """Mirror what the folders of the runs that go on hold; say whether there was any news."""
        running = [(path, run) for path, run in self._state.runs.items() if run.outcome is None and not run.deleted]
        news = False
        for path, run in running:
            news |= self._log(store, path, run, read_changes([], run))
        return news

    def _log_checkpoint(self, store: Store, path: str, run: RunState) -> None:
        file = self.folder / path / BEST
        if not run.checkpoint and not run.deleted and file.exists():
            store.log_file(run.id, file)
            run.checkpoint = True

    def _conclude(self, store: Store, parent: RunState) -> None:
        """Write the best trial, its checkpoint and the counts of the outcomes."""
        best, row, tags = conclusion(self.folder, read_resolved(self.folder), self._state)
        if best:
            self._log_checkpoint(store, best, self._state.runs[best])
        if not parent.deleted:
            store.log(parent.id, rows=[row], tags=tags)
        self._state.concluded = self._state.log


def _adopt(run: RunState, row: Point | None, objective: Point | None) -> None:
    """Set how far a run has been mirrored to what MLflow holds, where that is further."""
    if row and row.step > run.step:
        run.step = row.step
    if objective and objective.step > run.reported:
        run.reported, run.value = objective.step, objective.value


def _by_run(events: list[Event]) -> dict[str, list[Event]]:
    runs: dict[str, list[Event]] = {}
    for event in events:
        if "run" in event:
            runs.setdefault(event["run"], []).append(event)
    return runs
