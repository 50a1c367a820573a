"""An experiment in MLflow: one MLflow experiment, a parent run, and a nested run for each training.

An arm of a study shares the study's MLflow experiment, and its parent run is nested in the study's.

Everything may be written twice without harm: MLflow drops a metric that comes again with the same step, time and
value, and times come from the log, never from the clock.
"""

import json
import math
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hpsearch.errors import TrackingError
from hpsearch.experiment.artifacts import artifact_files
from hpsearch.experiment.layout import ARTIFACTS, BEST, CONFIG, RESOLVED, SPACE, TRACKING, RunKind, run_kind, study_of
from hpsearch.experiment.reading import read_resolved
from hpsearch.records import Goal, Outcome
from hpsearch.tracking.entries import (
    DROPPED,
    OBJECTIVE,
    SECONDS,
    MirroredRun,
    MirroredSession,
    MirrorState,
    Point,
    Row,
    clean_key,
    run_title,
)
from hpsearch.tracking.mirror import ExperimentMirror, RunNews, Sink
from hpsearch.tracking.mlflow.store import FoundRun, Store, chosen_uri, guarded, param_text, remembered_uri
from hpsearch.tracking.mlflow.study import mirror_study

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
        self._store: Store  # since `open`

    def guarded(self) -> AbstractContextManager[None]:
        """Turn what goes wrong in MLflow into a TrackingError."""
        return guarded(self.uri)

    def open(self, state: MirrorState) -> MirrorState:
        """Open the store, and return the state that agrees with what it holds."""
        self._store = Store.open(self.uri, self.folder)
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
        row, objective = self._store.last_point(run.id, SECONDS), self._store.last_point(run.id, OBJECTIVE)
        if row and row.step > run.step:
            run.step = row.step
        if objective and objective.step > run.reported:
            run.reported, run.value = objective.step, objective.value

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


def parent_tags(resolved: dict[str, Any], folder: Path) -> dict[str, str]:
    """Return the experiment's objective and provenance: versions, commit, machine, seed and space."""
    tags = {"mlflow.source.name": "hpsearch", "hpsearch.folder": str(folder), "hpsearch.space": str(folder / SPACE)}
    tags |= {f"hpsearch.{name}": str(resolved["space"]["objective"][name]) for name in ("metric", "goal")}
    for name in ("family", "seed", "machine"):
        if resolved.get(name) is not None:
            tags[f"hpsearch.{name}"] = param_text(resolved[name])
    for name, version in (resolved.get("versions") or {}).items():
        tags[f"hpsearch.version.{name}"] = str(version)
    if git := resolved.get("git"):
        tags |= {"mlflow.source.git.commit": str(git["commit"]), "hpsearch.git.dirty": str(git["dirty"]).lower()}
    return tags


def conclusion(folder: Path, resolved: dict[str, Any], state: MirrorState) -> tuple[str | None, Row, dict[str, str]]:
    """Return the path of the best trial, and the metrics and the tags of the parent run."""
    trials = {
        path: run for path, run in state.runs.items() if run_kind(path) is RunKind.TRIAL and run.outcome != DROPPED
    }
    counts = Counter(run.outcome for run in trials.values())
    numbers: dict[str, float] = {f"trials/{outcome}": float(counts[outcome]) for outcome in Outcome}
    numbers["trials/unfinished"] = float(counts[None])
    tags: dict[str, str] = {}
    best = _best(trials, Goal(resolved["space"]["objective"]["goal"]))
    if best:
        numbers["best_objective"] = trials[best].value or 0.0
        tags["hpsearch.best_run"] = run_title(best)
        tags |= {f"hpsearch.best.{name}": param_text(value) for name, value in _params(folder / best).items()}
    finished = len(trials) - counts[None]
    return best, [Point(name, value, state.time, finished) for name, value in numbers.items()], tags


def _best(trials: dict[str, MirroredRun], direction: Goal) -> str | None:
    """Return the complete trial with the best value, the earliest of equals."""
    best: str | None = None
    value = math.nan
    for path, run in trials.items():
        if run.outcome != Outcome.COMPLETE or run.value is None or math.isnan(run.value):
            continue
        if best is None or direction.better(run.value, than=value):
            best, value = path, run.value
    return best


def _params(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    params: dict[str, Any] = json.loads(file.read_text()).get("params", {}) if file.exists() else {}
    return params
