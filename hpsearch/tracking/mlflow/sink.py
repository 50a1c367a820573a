"""An experiment in MLflow: one MLflow experiment, a parent run, and a nested run for each training.

An arm of a study shares the study's MLflow experiment, and its parent run is nested in the study's. That run says what
the study asks, its state and what came out. It is mirrored with each of its arms, by one process at a time. All of it
follows from the folders of the study and its arms, and writing it again changes nothing.
"""

import fcntl
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from hpsearch.errors import TrackingError
from hpsearch.experiment.artifacts import artifact_files
from hpsearch.experiment.layout import (
    ARTIFACTS,
    BEST,
    CONFIG,
    RESOLVED,
    RESULT,
    SPACE,
    STUDY,
    TRACKING,
    RunKind,
    run_kind,
    study_of,
)
from hpsearch.experiment.reading import read_resolved
from hpsearch.experiment.studies import arm_folders, last_session, read_result, read_study_file
from hpsearch.tracking.entries import (
    SECONDS,
    MirroredRun,
    MirroredSession,
    MirrorState,
    Point,
    Status,
    clean_key,
    milliseconds,
    read_session,
    run_title,
    save_state,
)
from hpsearch.tracking.mirror import ExperimentMirror, RunNews, Sink
from hpsearch.tracking.mlflow.store import chosen_uri, guarded, open_store, remembered_uri, state_in
from hpsearch.tracking.mlflow.tags import (
    BEST_RUN_TAG,
    BEST_TAG,
    DESCRIPTION_TAG,
    STUDY_TAG,
    conclusion,
    experiment_tags,
    parent_tags,
    study_tags,
    values_by_seed,
)
from hpsearch.tracking.mlflow.writing import FoundRun, Store, param_text

EXPERIMENT_TAG = "hpsearch.experiment_id"
RUN_TAG = "hpsearch.run"
PARENT_TAG = "mlflow.parentRunId"
PARENT = "."
"""The value of RUN_TAG that marks the parent run."""


def mlflow_mirror(folder: Path, tracking_uri: str | None = None) -> ExperimentMirror:
    """Return the mirror of an experiment; without a URI in the store used last, at first that of all experiments."""
    return ExperimentMirror(folder, MlflowSink(folder, tracking_uri))


class MlflowSink(Sink):
    """The runs of one experiment folder in an MLflow store."""

    name, title, state_file = "mlflow", "MLflow", TRACKING
    takes_histograms = False

    def __init__(self, folder: Path, tracking_uri: str | None = None) -> None:
        self.folder = folder.resolve()
        self.uri = chosen_uri(self.folder, tracking_uri)
        """The URI of the store."""
        self.remembered_uri = remembered_uri(self.uri, self.folder)
        self._opened: Store | None = None

    @property
    def _store(self) -> Store:
        assert self._opened is not None  # noqa: S101 -- ours: `open` comes first
        return self._opened

    def guarded(self) -> AbstractContextManager[None]:
        """Turn what goes wrong in MLflow into a TrackingError."""
        return guarded(self.uri)

    def open(self, state: MirrorState) -> MirrorState:
        """Open the store, and return the state that agrees with what it holds."""
        self._opened = open_store(self.uri, self.folder)
        state = self._reconciled(state)
        state.experiment = self._store.experiment
        if state.parent and not state.parent.deleted and (tags := self._above()):
            self._store.log(state.parent.id, tags=tags)  # the study's run may be another than before
        return state

    def _reconciled(self, state: MirrorState) -> MirrorState:
        """Compare the state with what MLflow holds: a crash may have come between a write there and the state's."""
        found: dict[str, FoundRun] = {}
        for run in self._store.find_runs(EXPERIMENT_TAG, read_resolved(self.folder)["id"], path_tag=RUN_TAG):
            if run.path not in found or found[run.path].deleted:
                found[run.path] = run
        known = [*state.runs.values(), *([state.parent] if state.parent else [])]
        if not {run.id for run in known} <= {run.id for run in found.values()}:
            state = MirrorState(uri=state.uri)  # the store was emptied, or is another one
        for path, run in found.items():
            if path == PARENT:
                state.parent = state.parent or MirroredRun(run.id)
                state.parent.deleted = run.deleted
                continue
            own = state.runs.setdefault(path, MirroredRun(run.id))
            own.deleted = run.deleted
            if own.outcome is None:
                self._adopt(own)
        return state

    def _adopt(self, run: MirroredRun) -> None:
        """Set how far a run has been mirrored to what MLflow holds, where that is further."""
        row = self._store.last_point(run.id, SECONDS)
        if row and row.step > run.step:
            run.step = row.step

    def mirror_session(self, state: MirrorState, start: int, session: MirroredSession | None) -> None:
        """Create the parent run, and mirror the beginning and the end of the sessions."""
        if state.parent and not session:
            return
        resolved = read_resolved(self.folder)
        tags = {EXPERIMENT_TAG: resolved["id"], RUN_TAG: PARENT, "hpsearch.kind": "experiment", **self._above()}
        if state.parent is None:
            state.parent = MirroredRun(self._store.create_run(self.folder.name, start=start, tags=tags))
        parent = state.parent
        if not session or parent.deleted:
            return
        self._store.log(parent.id, tags=tags | parent_tags(resolved, self.folder))
        if study_of(self.folder) is None:
            self._store.describe(experiment_tags(resolved, self.folder))
        for name in (SPACE, RESOLVED):
            if (self.folder / name).exists():
                self._store.log_file(parent.id, self.folder / name)
        self._store.set_status(parent.id, session.status, end=session.time)

    def _above(self) -> dict[str, str]:
        """Bring the study's run up to date, if there is one, and return the tags that nest this experiment in it."""
        study = study_of(self.folder)
        if study is None:
            return {}
        return {"hpsearch.study": study.name, PARENT_TAG: mirror_study(self._store, study, uri=self.uri)}

    def create_run(self, state: MirrorState, path: str, start: int) -> str:
        """Create the run of a training below the parent, and return its id."""
        if state.parent is None:
            raise TrackingError("a run was mirrored before its experiment")
        tags = {
            EXPERIMENT_TAG: read_resolved(self.folder)["id"],
            RUN_TAG: path,
            "hpsearch.kind": run_kind(path).value,
            PARENT_TAG: state.parent.id,
        }
        return self._store.create_run(run_title(path), start=start, tags=tags)

    def write(self, run: MirroredRun, news: RunNews) -> None:
        """Write parameters, metrics and tags; the configuration's file; of a run that ended its files and status."""
        changes = news.changes
        params = {clean_key(name): param_text(value) for name, value in (changes.params | (news.config or {})).items()}
        if params and not news.first:
            known = self._store.params(run.id)
            params = {name: text for name, text in params.items() if name not in known}
        self._store.log(run.id, rows=news.rows, params=params, tags=changes.tags)
        if news.config is not None:
            self._store.log_file(run.id, self.folder / news.path / CONFIG)
        if changes.outcome:
            for file in artifact_files(self.folder / news.path):
                self._store.log_file(run.id, file, folder=ARTIFACTS)
            if run_kind(news.path) is RunKind.REPLICATE:
                self._log_checkpoint(news.path, run)
        if changes.status:
            self._store.set_status(run.id, changes.status, end=changes.end)

    def _log_checkpoint(self, path: str, run: MirroredRun) -> None:
        file = self.folder / path / BEST
        if not run.checkpoint and not run.deleted and file.exists():
            self._store.log_file(run.id, file)
            run.checkpoint = True

    def conclude(self, state: MirrorState) -> None:
        """Write the best trial, its checkpoint and the counts of the outcomes."""
        if state.parent is None:
            return
        best, row, tags = conclusion(self.folder, read_resolved(self.folder), state)
        if best:
            self._log_checkpoint(best, state.runs[best])
        if not state.parent.deleted:
            self._store.log(state.parent.id, rows=[row], tags=tags)
        if best and study_of(self.folder) is None:
            values = values_by_seed(state.runs)[best]
            value = math.fsum(values) / len(values)
            told = experiment_tags(read_resolved(self.folder), self.folder, best=(best, value))
            self._store.describe({name: told[name] for name in (DESCRIPTION_TAG, BEST_TAG, BEST_RUN_TAG)})

    def flush(self) -> None:
        """Make sure that what was written stays."""
        if self._opened is not None:
            self._opened.flush()

    def close(self) -> None:
        """Let go of the store; what was not flushed is lost."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


LOCK = "tracking.lock"
REPORT = Path("report")
"""The folder of the report's files among the artifacts."""


class StudyMirror:
    """The mirror of a study's own run; its arms have their own mirrors."""

    name = "mlflow"

    def __init__(self, folder: Path, tracking_uri: str | None = None) -> None:
        self.folder = folder.resolve()
        self.uri = chosen_uri(self.folder, tracking_uri)

    def catch_up(self, *, final: bool = False) -> None:  # noqa: ARG002 - an answer is mirrored when there is one
        """Mirror what is new.

        Raises:
            TrackingError: MLflow cannot be written.
            ExperimentError: the folder is not a study, or is damaged.
        """
        read_study_file(self.folder)  # says so when the folder is not a study
        with guarded(self.uri), closing(open_store(self.uri, self.folder)) as store:
            mirror_study(store, self.folder, uri=self.uri)

    def close(self) -> None:
        """Do nothing: no lock is held between two calls."""


def mirror_study(store: Store, folder: Path, *, uri: str) -> str:
    """Make a study's run what its folders say, creating it where it is missing; return its id. In `guarded`."""
    store.flush()  # whoever waits for the lock must hold nothing that others wait for
    with (folder / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        study, state = read_study_file(folder), state_in(uri, folder)
        state.experiment = store.experiment
        run = _found(store, study) or _created(store, study, folder)
        if state.parent is None or state.parent.id != run.id:
            state.parent, state.concluded = run, -1
        if not run.deleted:
            tags = study_tags(study, folder)
            store.log(run.id, tags=tags)
            store.describe({name: text for name, text in tags.items() if name != "mlflow.source.name"})
            status, end = status_of(folder)
            store.set_status(run.id, status, end=end)
            state.concluded = _log_answer(store, run.id, folder, concluded=state.concluded)
        store.flush()
        save_state(folder / TRACKING, state)
        return run.id


def _found(store: Store, study: Mapping[str, Any]) -> MirroredRun | None:
    """Return the study's run in the store; one that the user has deleted there only where there is no other."""
    found = sorted(store.find_runs(STUDY_TAG, study["id"], path_tag=STUDY_TAG), key=lambda run: run.deleted)
    return MirroredRun(found[0].id, deleted=found[0].deleted) if found else None


def _created(store: Store, study: Mapping[str, Any], folder: Path) -> MirroredRun:
    start = round(study["created"] * 1000)
    return MirroredRun(store.create_run(folder.name, start=start, tags=study_tags(study, folder)))


def status_of(folder: Path) -> tuple[Status, int]:
    """Return the status of a study, and the time in milliseconds at which it was reached, as its arms have it.

    It is running until it has its answer, unless an arm failed or was interrupted and none goes on.
    """
    events = [last for arm in arm_folders(folder) if (last := last_session(arm))]
    sessions = [session for event in events if (session := read_session([event]))]
    statuses = {session.status for session in sessions}
    end = max((session.time for session in sessions), default=0)
    result = read_result(folder)
    if Status.RUNNING not in statuses:
        for status in (Status.FAILED, Status.STOPPED):
            if status in statuses:
                return status, end
        if result:
            return Status.FINISHED, max(end, milliseconds(result["time"]))
    return Status.RUNNING, end


def _log_answer(store: Store, run: str, folder: Path, *, concluded: int) -> int:
    """Write the arms' scores and the report's files, unless those are there; return the time of the newest of them."""
    result = read_result(folder)
    if result is None:
        return concluded
    report = result.get("report", {"time": 0, "folder": "", "files": []})
    newest = max(milliseconds(result["time"]), milliseconds(report["time"]))
    if newest == concluded:
        return concluded
    comparison = result["comparison"]
    points = [
        Point(clean_key(f"{comparison['metric']}/{arm['name']}"), arm["mean"], milliseconds(result["time"]), arm["n"])
        for arm in comparison["experiments"]
        if arm["mean"] is not None
    ]
    store.log(run, rows=[points])
    for file in map(Path, report["files"]):
        if (report["folder"] / file).is_file():
            store.log_file(run, report["folder"] / file, folder=(REPORT / file.parent).as_posix())
    for name in (STUDY, RESULT):
        store.log_file(run, folder / name)
    return newest
