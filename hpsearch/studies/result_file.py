"""result.json of a study's folder: what its last report said, for whoever goes on from the study."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import RESULT
from hpsearch.experiment.studies import RESULT_VERSION, read_result
from hpsearch.studies.report import StudyReport, study_json


def write_result(folder: Path, report: StudyReport) -> None:
    """Keep what a report says, as `hpsearch study --json` prints it, with the command that makes it and the time.

    A result that says the same as before keeps its time.
    """
    said = {"version": RESULT_VERSION, **study_json(report), "command": report.command}
    before = read_result(folder) or {}
    if before | said != before:
        write_json(folder / RESULT, {**said, "time": time.time()})


def note_report(folder: Path, *, place: Path, files: Sequence[Path]) -> None:
    """Note which files below `place` are the report of the result."""
    result: dict[str, Any] = read_result(folder) or {}
    names = sorted(str(file.relative_to(place)) for file in files)
    report = {"folder": str(place.resolve()), "files": names}
    before = result.get("report", {})
    if before | report != before:
        write_json(folder / RESULT, {**result, "report": {**report, "time": time.time()}})
