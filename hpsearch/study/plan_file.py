"""study.json: the plan as it was when the study started, every later change of it, and each look at the result.

A change of the rule, or more replicates, after the result was seen makes the result exploratory: the p-values were
computed as if there had been one look. Whether that happened must be known after any crash, so it is written first.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import is_experiment
from hpsearch.space import SpaceArm, Study, differences

PLAN = "study.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Change:
    """What a later plan has changed, a line each, and whether a result had been seen before."""

    lines: tuple[str, ...]
    seen: bool


@dataclass(frozen=True)
class History:
    """The first plan and the latest, what changed in between, and each number of replicates that was looked at."""

    first: Mapping[str, Any]
    latest: Mapping[str, Any]
    changes: tuple[Change, ...] = ()
    looks: tuple[int, ...] = ()

    @property
    def confirmatory(self) -> bool:
        """Whether the plan was kept from before the first look on, and there was one look."""
        return len(self.looks) < 2 and not any(change.seen for change in self.changes)


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
    return {**settings, "quick": study.quick, "arms": arms}


def take_up(folder: Path, plan: Mapping[str, Any]) -> History:
    """Fix the plan, or note how it differs from the one that was fixed. Errors: ExperimentError."""
    if not (folder / PLAN).exists():
        _refuse_strangers(folder)
        return _written(folder, History(plan, plan))
    history = read_history(folder)
    lines = tuple(differences(history.latest, plan))
    if not lines:
        return history
    return _written(
        folder, replace(history, latest=plan, changes=(*history.changes, Change(lines, seen=bool(history.looks))))
    )


def note_look(folder: Path, replicates: int) -> History:
    """Note that a result of so many replicates is going to be seen."""
    history = read_history(folder)
    if replicates in history.looks:
        return history
    return _written(folder, replace(history, looks=(*history.looks, replicates)))


def read_history(folder: Path) -> History:
    """Return what study.json tells. Errors: ExperimentError."""
    path = folder / PLAN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] > FORMAT_VERSION:
            raise ExperimentError(f"{path} was written by a newer hpsearch (format {content['version']})")
        changes = tuple(Change(tuple(each["lines"]), each["seen"]) for each in content["changes"])
        return History(content["first"], content["latest"], changes, tuple(content["looks"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{path} is damaged: {error}") from error


def _refuse_strangers(folder: Path) -> None:
    if is_experiment(folder):
        raise ExperimentError(f"{folder} is an experiment, not a study; choose another --name")
    if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ExperimentError(f"{folder} exists and is no study; choose another --name")


def _written(folder: Path, history: History) -> History:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExperimentError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    write_json(folder / PLAN, {"version": FORMAT_VERSION, **asdict(history)})
    return history
