"""The run of a study in MLflow, above the runs of its arms: what it asks, how it stands and what came out.

It is mirrored with each of its arms, by one process at a time. All of it follows from the folders of the study and its
arms, and writing it again changes nothing.
"""

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.experiment.layout import RESULT, STUDY, TRACKING
from hpsearch.experiment.studies import arm_folders, last_session, read_result, read_study_file
from hpsearch.tracking.entries import MirroredRun, Point, Status, clean_key, milliseconds, read_session, save_state
from hpsearch.tracking.mlflow.store import Store, chosen_uri, guarded, state_in

STUDY_TAG = "hpsearch.study_id"
LOCK = "tracking.lock"
REPORT = Path("report")
"""The folder of the report's files among the artifacts."""


class StudyMirror:
    """The mirror of a study's own run; its arms have mirrors of their own."""

    name = "mlflow"

    def __init__(self, folder: Path, tracking_uri: str | None = None) -> None:
        self.folder = folder.resolve()
        self.uri = chosen_uri(self.folder, tracking_uri)

    def catch_up(self, *, final: bool = False) -> None:  # noqa: ARG002 - an answer is mirrored when there is one
        """Mirror what is new.

        Raises:
            TrackingError: MLflow cannot be written.
            ExperimentError: the folder is no study, or is damaged.
        """
        read_study_file(self.folder)  # says so when the folder is no study
        with guarded(self.uri):
            mirror_study(Store.open(self.uri, self.folder), self.folder, uri=self.uri)

    def close(self) -> None:
        """Do nothing: no lock is held between two calls."""


def mirror_study(store: Store, folder: Path, *, uri: str) -> str:
    """Make a study's run what its folders say, creating it where it is missing; return its id. In `guarded`."""
    with (folder / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        study, state = read_study_file(folder), state_in(uri, folder)
        state.experiment = store.experiment
        run = _found(store, study) or _created(store, study, folder)
        if state.parent is None or state.parent.id != run.id:
            state.parent, state.concluded = run, -1
        if not run.deleted:
            store.log(run.id, tags=study_tags(study, folder))
            status, end = standing(folder)
            store.set_status(run.id, status, end=end)
            state.concluded = _log_answer(store, run.id, folder, concluded=state.concluded)
        save_state(folder / TRACKING, state)
        return run.id


def _found(store: Store, study: Mapping[str, Any]) -> MirroredRun | None:
    """Return the study's run in the store; one that the user has deleted there only where there is no other."""
    found = sorted(store.find_runs(STUDY_TAG, study["id"], path_tag=STUDY_TAG), key=lambda run: run.deleted)
    return MirroredRun(found[0].id, deleted=found[0].deleted) if found else None


def _created(store: Store, study: Mapping[str, Any], folder: Path) -> MirroredRun:
    start = round(study["created"] * 1000)
    return MirroredRun(store.create_run(folder.name, start=start, tags=study_tags(study, folder)))


def study_tags(study: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the study's question and provenance."""
    plan, result = study["latest"], read_result(folder)
    answer = [f"**{result['answer']}**"] if result else []
    tags = {
        STUDY_TAG: study["id"],
        "hpsearch.kind": "study",
        "hpsearch.question": plan["question"],
        "hpsearch.metric": plan["metric"]["name"],
        "hpsearch.goal": plan["metric"]["goal"],
        "hpsearch.seed": str(plan["seed"]),
        "hpsearch.study_file": study["file"],
        "hpsearch.folder": str(folder),
        "mlflow.source.name": "hpsearch",
        "mlflow.note.content": "\n\n".join([plan["question"], *answer]),
    }
    if result:
        tags |= {"hpsearch.answer": result["answer"], "hpsearch.confirmatory": json.dumps(result["confirmatory"])}
    return tags


def standing(folder: Path) -> tuple[Status, int]:
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
