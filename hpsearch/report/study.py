"""The report of a study: the question and its answer, the plan, what was spent, and the comparison below."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.compare.conclusion import conclude
from hpsearch.errors import HpsearchError
from hpsearch.report.comparison.files import compare_json, figures_of, write_report
from hpsearch.report.comparison.gallery import Evidence
from hpsearch.report.comparison.markdown import as_markdown, escaped, table
from hpsearch.report.wording import number, plain

SPENT = "spent.json"
QUICK = (
    "This is the quick form of the study: small models, few data and short trainings, so that it can be run in "
    "minutes. It shows how the question is answered; it does not settle the question at full size."
)
ONE_SEARCH = (
    "Each search was run once. The intervals above hold for these winners on further seeds; how much another search "
    "would have found another winner is not in them."
)


@dataclass(frozen=True)
class ArmReport:
    """One arm that was searched. `ranges` and `size` tell how large its space is; `steps` what its trainings took.

    `outcomes` counts its trials by outcome. `seconds` is training time.
    """

    name: str
    family: str
    fixed: Mapping[str, Any]
    objective: str
    ranges: int
    size: str
    trials: int
    outcomes: Mapping[str, int]
    unit: str
    search_steps: int
    confirm_steps: int
    search_seconds: float
    confirm_seconds: float
    winner: int
    value: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class StudyReport:
    """What there is to say of a study; everything in it but the seconds follows from the study's files and seeds."""

    question: str
    evidence: Evidence
    plan: Sequence[tuple[str, str]]
    arms: Sequence[ArmReport]
    baselines: Mapping[str, str]
    warnings: Sequence[str]
    changes: Sequence[str]
    confirmatory: bool
    quick: bool
    command: str
    versions: Mapping[str, str]

    @property
    def answer(self) -> str:
        """The first sentence of the comparison, with what takes away from it."""
        sentence = conclude(self.evidence.comparison)[0]
        limits = [] if self.confirmatory else ["This is exploratory, not confirmatory: see the changes of the plan."]
        return " ".join([sentence, *limits])


def write_study_report(report: StudyReport, folder: Path, formats: Iterable[str]) -> list[Path]:
    """Write the report in these formats, compare.json always. Equal studies give equal bytes, but for spent.json.

    Errors: as for `write_report`.
    """
    written = write_report(report.evidence, folder, dict.fromkeys([*formats, "json"]))
    try:
        if folder / "report.md" in written:
            (folder / "report.md").write_text(study_markdown(report), encoding="utf-8")
        (folder / SPENT).write_text(json.dumps(_times(report), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise HpsearchError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    return [*written, folder / SPENT]


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


def study_markdown(report: StudyReport) -> str:
    """Return report.md; times, which no two runs share, stand in spent.json."""
    opening = [f"# {escaped(report.question)}", f"**{escaped(report.answer)}**", *_scale(report)]
    if report.warnings:
        opening.append("\n".join(f"- **Warning:** {escaped(warning)}" for warning in report.warnings))
    if report.changes:
        opening.append("## Changes of the plan\n\n" + "\n".join(f"- {escaped(line)}" for line in report.changes))
    body = as_markdown(report.evidence.comparison, figures=figures_of(report.evidence), headline=False)
    closing = ["## The plan", "\n".join(f"- {escaped(name)}: {escaped(said)}" for name, said in report.plan)]
    closing += [_spaces(report), "## What was spent", _spent(report), "## Winners", _winners(report), _made(report)]
    return "\n\n".join([*opening, body.replace("# ", "## ", 1).rstrip("\n"), *closing]) + "\n"


def _scale(report: StudyReport) -> list[str]:
    if not report.quick:
        return []
    return [QUICK]


def _spaces(report: StudyReport) -> str:
    rows = []
    for arm in report.arms:
        fixed = ", ".join(f"{name}={plain(value)}" for name, value in arm.fixed.items()) or "nothing"
        rows.append((arm.name, arm.family, fixed, arm.objective, str(arm.ranges), arm.size))
    shown = table(("arm", "family", "sets", "is searched by", "ranges", "configurations"), rows)
    floors = [f"{name} is {said}." for name, said in report.baselines.items()]
    return "\n\n".join([shown, *map(escaped, floors)])


def _spent(report: StudyReport) -> str:
    rows = []
    for arm in report.arms:
        ends = ", ".join(f"{count} {outcome}" for outcome, count in arm.outcomes.items())
        steps = (f"{arm.search_steps} {arm.unit}s", f"{arm.confirm_steps} {arm.unit}s")
        rows.append((arm.name, str(arm.trials), ends, *steps))
    shown = table(("arm", "trials", "of which", "search", "replicates"), rows)
    return f"{shown}\n\nThe time that it took stands in [{SPENT}]({SPENT}): no two runs share it."


def _winners(report: StudyReport) -> str:
    rows = []
    for arm in report.arms:
        params = ", ".join(f"{name}={plain(value)}" for name, value in arm.params.items())
        rows.append((arm.name, str(arm.winner), number(arm.value), params))
    return table(("arm", "trial", "objective", "configuration"), rows) + f"\n\n{ONE_SEARCH}"


def _made(report: StudyReport) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return f"## How it was made\n\n```sh\n{report.command}\n```\n\nWith {escaped(versions)}."
