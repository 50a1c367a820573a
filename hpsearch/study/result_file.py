"""result.json of a study's folder: what its last report said, for whoever goes on from the study."""

import json
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import write_json
from hpsearch.report.study import StudyReport, study_json
from hpsearch.study.plan_file import PLAN

RESULT = "result.json"
FORMAT_VERSION = 1


def is_study(folder: Path) -> bool:
    """Say whether a folder holds a study."""
    return (folder / PLAN).is_file()


def write_result(folder: Path, report: StudyReport) -> None:
    """Keep what a report says, as `hpsearch study --json` prints it, with the command that makes it."""
    write_json(folder / RESULT, {"version": FORMAT_VERSION, **study_json(report), "command": report.command})


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return what the last report said; None where there is none yet. Errors: ExperimentError."""
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        newer = content["version"] > FORMAT_VERSION
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{path} is damaged: {error}") from error
    if newer:
        raise ExperimentError(f"{path} was written by a newer hpsearch (format {content['version']})")
    return content
