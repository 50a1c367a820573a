"""study.json: the plan as it was when the study started, every later change of it, and each look at the result.

A change of the rule, or more replicates, after the result was seen makes the result exploratory: the p-values were
computed as if there had been one look. Whether that happened must be known after any crash, so it is written first.
"""

import fcntl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import STUDY, STUDY_LOCK, is_experiment, is_study
from hpsearch.experiment.studies import STUDY_VERSION, read_study_file
from hpsearch.space import SpaceArm, Study, differences


@dataclass(frozen=True)
class Change:
    """What a later plan has changed, a line each, and whether a result had been seen before."""

    lines: tuple[str, ...]
    seen: bool


@dataclass(frozen=True)
class History:
    """The first plan and the latest, what changed in between, and each number of replicates that was looked at.

    `file` is the study's file; `created` is in Unix seconds.
    """

    first: Mapping[str, Any]
    latest: Mapping[str, Any]
    changes: tuple[Change, ...] = ()
    looks: tuple[int, ...] = ()
    file: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: float = field(default_factory=time.time)

    @property
    def confirmatory(self) -> bool:
        """Whether the plan was kept from before the first look on, and there was one look."""
        return len(self.looks) < 2 and not any(change.seen for change in self.changes)

    @property
    def comparable_looks(self) -> tuple[int, ...]:
        """The looks, where all were at replicates of one kind: seeds, or folds of one number."""
        kinds = {plan["replicates"].get("folds") for plan in (self.first, self.latest)}
        return self.looks if len(kinds) == 1 else ()


def plan_of(study: Study) -> dict[str, Any]:
    """Return everything that decides the study's result, as plain data."""
    settings = study.settings.model_dump(mode="json")
    arms: dict[str, Any] = {}
    for arm in study.arms:
        if isinstance(arm, SpaceArm):
            space = arm.space.resolved()
            del space["confirm"]  # the replicates are the study's
            space["search"] = {name: space["search"][name] for name in ("sampler", "pruner", "trial_time")}
            arms[arm.name] = space
        else:
            arms[arm.name] = {"baseline": arm.method, "beside": arm.beside}
    settings["metric"]["goal"] = study.goal.value  # also where the file leaves it to the family
    return {**settings, "quick": study.quick, "arms": arms}


def take_up(folder: Path, study: Study) -> History:
    """Fix the plan, or note how it differs from the one that was fixed. Errors: ExperimentError."""
    plan, file = plan_of(study), str(study.path.resolve())
    if not is_study(folder):
        _refuse_strangers(folder)
    with _alone(folder):
        if not is_study(folder):
            return _written(folder, History(plan, plan, file=file))
        history = read_history(folder)
        lines = tuple(differences(history.latest, plan))
        if not lines:
            return history
        changes = (*history.changes, Change(lines, seen=bool(history.looks)))
        return _written(folder, replace(history, latest=plan, changes=changes, file=file))


def note_look(folder: Path, replicates: int) -> History:
    """Note that a result of so many replicates is going to be seen."""
    with _alone(folder):
        history = read_history(folder)
        if replicates in history.looks:
            return history
        return _written(folder, replace(history, looks=(*history.looks, replicates)))


def read_history(folder: Path) -> History:
    """Return what study.json tells. Errors: ExperimentError."""
    content = read_study_file(folder)
    try:
        del content["version"]
        changes = tuple(Change(tuple(each["lines"]), each["seen"]) for each in content.pop("changes"))
        return History(**content | {"changes": changes, "looks": tuple(content["looks"])})
    except (KeyError, TypeError) as error:
        raise ExperimentError(f"{folder / STUDY} is damaged: {error}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time read and write the plan: arms may be started side by side."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / STUDY_LOCK).open("w", encoding="utf-8")
    except OSError as error:
        raise ExperimentError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_strangers(folder: Path) -> None:
    if is_experiment(folder):
        raise ExperimentError(f"{folder} is an experiment, not a study; choose another --name")
    if folder.is_dir() and any(not path.name.startswith((".", STUDY_LOCK)) for path in folder.iterdir()):
        raise ExperimentError(f"{folder} exists and is no study; choose another --name")


def _written(folder: Path, history: History) -> History:
    write_json(folder / STUDY, {"version": STUDY_VERSION, **asdict(history)})
    return history
