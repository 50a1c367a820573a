"""A champion's title in MLflow: a run for the title, with every champion's quoted score, and one for each challenge.

The ledger in the title's folder is the truth. What is written follows from the history that `hpsearch champion --json`
prints; writing it again changes nothing, and a challenge that has gone on is brought up to date.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from hpsearch.cleaning import markdown
from hpsearch.experiment.layout import TRACKING
from hpsearch.tracking.entries import Point, Status, clean_key, milliseconds, save_state
from hpsearch.tracking.mlflow.sink import LOCK, PARENT_TAG, RUN_TAG
from hpsearch.tracking.mlflow.store import chosen_uri, guarded, open_store, state_in
from hpsearch.tracking.mlflow.tags import DESCRIPTION_TAG
from hpsearch.tracking.mlflow.writing import FoundRun, Store, param_text

TITLE_TAG = "hpsearch.title_id"
TITLE_RUN = "title"
_STATUSES = {None: Status.RUNNING, "failed": Status.FAILED, "abandoned": Status.STOPPED}
"""Of a challenge by its decision; all others have FINISHED."""
_NUMBERS = ("estimate", "evidence", "level", "seeds_used")
_PARAMS = ("contender", "against", "by")
History = Mapping[str, Any]


class TitleMirror:
    """The mirror of a title, as its history tells it."""

    name = "mlflow"

    def __init__(self, folder: Path, history: History, tracking_uri: str | None = None) -> None:
        """`history` is what `hpsearch champion --json` prints, version 1."""
        self.folder = folder.resolve()
        self.uri = chosen_uri(self.folder, tracking_uri)
        self._history = history

    def catch_up(self, *, final: bool = False) -> None:  # noqa: ARG002 - a history has no unwritten rest
        """Make the runs of the title what the history says.

        Raises:
            TrackingError: MLflow cannot be written.
        """
        with guarded(self.uri), closing(open_store(self.uri, self.folder)) as store:
            store.flush()  # whoever waits for the lock must hold nothing that others wait for
            with (self.folder / LOCK).open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._mirror(store)
                state = state_in(self.uri, self.folder)
                state.experiment = store.experiment
                save_state(self.folder / TRACKING, state)

    def close(self) -> None:
        """Do nothing: no lock is held between two calls."""

    def _mirror(self, store: Store) -> None:
        history, first = self._history, self._history["reigns"][0]
        own = f"{history['title']} {first['since']:.6f}"
        known = {each.path: each for each in sorted(store.find_runs(TITLE_TAG, own, path_tag=RUN_TAG), key=_deleted)}
        common = {TITLE_TAG: own, "hpsearch.metric": history["metric"], "hpsearch.goal": history["goal"]}
        tags = {**common, RUN_TAG: TITLE_RUN, "hpsearch.kind": "title", **_title_tags(history, self.folder)}
        parent = _run(store, known, TITLE_RUN, self.folder.name, milliseconds(first["since"]), tags)
        if not parent.deleted:
            metric = clean_key(history["metric"])
            points = [
                Point(metric, reign["quoted"]["mean"], _measured_at(reign), reign["reign"])
                for reign in history["reigns"]
                if reign["quoted"]["mean"] is not None
            ]
            store.log(parent.id, tags=tags, rows=[points] if points else ())
            store.describe({DESCRIPTION_TAG: tags[DESCRIPTION_TAG]})
            store.set_status(parent.id, Status.FINISHED, end=_end(history))
        for told in history["challenges"]:
            self._challenge(store, known, told, {**common, PARENT_TAG: parent.id})
        store.flush()

    def _challenge(
        self, store: Store, known: Mapping[str, FoundRun], told: Mapping[str, Any], tags: dict[str, str]
    ) -> None:
        path, start = f"challenges/{told['number']:04d}", milliseconds(told["time"])
        decision = told["decision"] or "open"
        tags |= {
            RUN_TAG: path,
            "hpsearch.kind": "challenge",
            "hpsearch.decision": decision,
            DESCRIPTION_TAG: markdown(f"{told['note']}: {told['reason']}" if told["note"] else told["reason"]),
        }
        run = _run(store, known, path, f"challenge {told['number']}: {decision}", start, tags)
        if run.deleted:
            return
        numbers = {name: told[name] for name in _NUMBERS} | dict(
            zip(("low", "high"), told["interval"] or (), strict=False)
        )
        given = store.params(run.id)
        params = {name: param_text(told[name]) for name in _PARAMS if name not in given}
        points = [
            Point(name, float(value), start, told["seeds_used"]) for name, value in numbers.items() if value is not None
        ]
        tags["mlflow.runName"] = f"challenge {told['number']}: {decision}"
        store.log(run.id, rows=[points], params=params, tags=tags)
        store.set_status(run.id, _STATUSES.get(told["decision"], Status.FINISHED), end=start)


def _measured_at(reign: Mapping[str, Any]) -> int:
    """Return a time that grows with the seeds which a score rests on: of two of one time MLflow shows the larger."""
    return milliseconds(reign["since"]) + int(reign["quoted"]["seeds"])


def _deleted(run: FoundRun) -> bool:
    """Sort what the user has deleted first, so that another run of the same challenge comes after it."""
    return not run.deleted


def _run(
    store: Store, known: Mapping[str, FoundRun], path: str, title: str, start: int, tags: Mapping[str, str]
) -> FoundRun:
    return known.get(path) or FoundRun(store.create_run(title, start=start, tags=tags), path, deleted=False)


def _end(history: History) -> int:
    times = [reign["since"] for reign in history["reigns"]] + [told["time"] for told in history["challenges"]]
    return milliseconds(max(times))


def _title_tags(history: History, folder: Path) -> dict[str, str]:
    """Return what the page of the title says: who has it, and every challenge in a table."""
    champion = history["champion"]
    return {
        "mlflow.source.name": "hpsearch",
        "hpsearch.folder": str(folder),
        "hpsearch.champion": str(champion["contender"]),
        DESCRIPTION_TAG: "\n".join(_page(history, champion)),
    }


def _page(history: History, champion: Mapping[str, Any]) -> Iterator[str]:
    quoted = champion["quoted"]
    score = "not measured yet" if quoted["mean"] is None else f"{quoted['mean']:.5g} on {quoted['seeds']} fresh seeds"
    goal = f"{history['goal']} {markdown(history['metric'])}"
    yield f"{goal}: the champion is contender {champion['contender']}, {score}."
    yield ""
    yield "| challenge | decision | improvement | seeds | note |"
    yield "|---|---|---|---|---|"
    for told in history["challenges"]:
        gain = "" if told["estimate"] is None else f"{told['estimate']:+.4g}"
        yield (
            f"| {told['number']} | {told['decision'] or 'open'} | {gain} | {told['seeds_used']} | "
            f"{markdown(told['note'])} |"
        )
