"""Writing the report of a study: what `compare` writes, with the study around it, and the numbers for programs."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.report.comparison.files import compare_json, markdown_of, write_report
from hpsearch.studies.report.contents import StudyReport
from hpsearch.studies.report.sections import SPENT, cover_of


def write_study_report(report: StudyReport, folder: Path, formats: Iterable[str]) -> list[Path]:
    """Write the report in these formats, compare.json always. Equal studies give equal bytes, but for spent.json.

    Errors: as for `write_report`.
    """
    evidence = replace(report.evidence, cover=cover_of(report))
    written = write_report(evidence, folder, dict.fromkeys([*formats, "json"]))
    texts = {f"compare-{each.name}.json": compare_json(each.comparison) for each in report.factors}
    texts[SPENT] = json.dumps(_times(report), indent=2) + "\n"
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise HpsearchError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    return [*written, *(folder / name for name in texts)]


def study_markdown(report: StudyReport) -> str:
    """Return report.md; times, which no two runs share, stand in spent.json."""
    return markdown_of(replace(report.evidence, cover=cover_of(report)))


def study_json(report: StudyReport) -> dict[str, Any]:
    """Return what `hpsearch study --json` prints; `comparison` is compare.json."""
    return {
        "question": report.question,
        "answer": report.answer,
        "confirmatory": report.confirmatory,
        "quick": report.quick,
        "warnings": list(report.warnings),
        "changes": list(report.changes),
        "winners": {arm.name: {"trial": arm.winner, "params": dict(arm.params)} for arm in report.arms},
        "spent": _times(report),
        "comparison": json.loads(compare_json(report.evidence.comparison)),
        "factors": {each.name: json.loads(compare_json(each.comparison)) for each in report.factors},
    }


def _times(report: StudyReport) -> dict[str, Any]:
    """Return what was spent on each arm, in trials, steps and seconds of training."""
    return {
        arm.name: {
            "trials": arm.trials,
            f"search_{arm.unit}s": arm.search_steps,
            f"confirm_{arm.unit}s": arm.confirm_steps,
            "search_seconds": round(arm.search_seconds, 3),
            "confirm_seconds": round(arm.confirm_seconds, 3),
        }
        for arm in report.arms
    }
