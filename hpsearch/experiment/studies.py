"""A study as its folder shows it: its plan, its arms with their outcomes, its result. See layout.py."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.events import EndEvent, SessionEvent
from hpsearch.experiment.layout import LOG, RESULT, STUDY, is_experiment, is_study
from hpsearch.experiment.log import read_state

STUDY_VERSION = 1
RESULT_VERSION = 1


def read_study_file(folder: Path) -> dict[str, Any]:
    """Return study.json.

    Raises:
        ExperimentError: if the folder is not a study, or the file is damaged or too new.
    """
    if not is_study(folder):
        raise ExperimentError(f"{folder} is not a study: it has no {STUDY}")
    return _document(folder / STUDY, newest=STUDY_VERSION)


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the conclusion of the last report, or None if there is no report yet.

    Raises:
        ExperimentError: as above.
    """
    path = folder / RESULT
    return _document(path, newest=RESULT_VERSION) if path.is_file() else None


def _document(path: Path, *, newest: int) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        newer = content["version"] > newest
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{path} is damaged: {error}") from error
    if newer:
        raise ExperimentError(f"{path} was written by a newer hpsearch (format {content['version']})")
    return content


def search_folder(arm: str, search: int) -> str:
    """Return the folder, in that of its study, of an arm's experiment: of its first search, or of a later one.

    No arm's name has an @.
    """
    return arm if search == 1 else f"{arm}@{search}"


def searches_of(plan: Mapping[str, Any]) -> int:
    """Return how often each arm is searched by a plan of study.json."""
    return int(plan.get("replicates", {}).get("searches", 1))


def arm_names(folder: Path) -> list[str]:
    """Return the folders of a study's searches, in the order of its plan, begun or not: arm by arm."""
    plan = read_study_file(folder)["latest"]
    arms = [name for name, arm in plan["arms"].items() if "baseline" not in arm]
    return [search_folder(arm, number) for arm in arms for number in range(1, searches_of(plan) + 1)]


def arm_folders(folder: Path) -> list[Path]:
    """Return the experiments that a study's arms have so far, in the order of its plan."""
    return [folder / name for name in arm_names(folder) if is_experiment(folder / name)]


def last_session(folder: Path) -> SessionEvent | EndEvent | None:
    """Return the last beginning or end of a session of an experiment, see `ExperimentState.last_session`."""
    return read_state(folder / LOG).last_session
