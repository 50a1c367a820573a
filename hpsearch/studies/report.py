"""The report of a study: what it says, the sections around its comparison, its files and result.json."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.comparing import Comparison
from hpsearch.comparing.conclusion import conclude, details, headline, pair_sentence
from hpsearch.comparing.question import Unit
from hpsearch.errors import HpsearchError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import RESULT
from hpsearch.experiment.studies import RESULT_VERSION, read_result
from hpsearch.report.comparison.contents import Cover, ReportContents, Section
from hpsearch.report.comparison.files import compare_json, markdown_of, write_report
from hpsearch.report.comparison.rows import PAIR_TITLES, SCORE_TITLES, caption, pair_rows, ranking, score_rows
from hpsearch.report.wording import duration, number, plain
from hpsearch.studies.study import Form

SPENT = "spent.json"
ONE_SEARCH = (
    "Each search was run once. The intervals above hold for these winners on {further}; how much another search would "
    "have found another winner is not in them."
)
SEARCHES = (
    "Each arm was searched several times, and each search found a winner of its own. The intervals above hold for "
    "further searches: how much the choice of hyperparameters varies is in them."
)
UNEQUAL_TIME = 1.5
"""From this ratio on the searches' times are called unequal; smaller ones are due to a machine's other work."""
WORTH_TELLING = 60.0
"""Seconds below which a difference in time is not told."""

SpaceSize = tuple[int, int, int]
"""How many ranges a space has, how many of them are continuous, and how many combinations the others have."""


@dataclass(frozen=True)
class ArmReport:
    """One search of an arm, and what its trainings took in steps and in seconds of training.

    `name` is that of its folder, which is the `arm`'s unless it is a second or later search of it.
    `ranges`, `continuous` and `combinations`: see `SpaceSize`. `outcomes` counts its trials by outcome; `trials` counts
    trainings on further seeds, too, if seeds were `raced`.
    """

    name: str
    family: str
    fixed: Mapping[str, Any]
    objective: str
    ranges: int
    continuous: int
    combinations: int
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
    arm: str = ""
    raced: bool = False

    @property
    def space_size(self) -> SpaceSize:
        """What the spaces of arms are compared by."""
        return self.ranges, self.continuous, self.combinations


@dataclass(frozen=True)
class FactorReport:
    """A family of tests of a factorial design: the levels of one factor over the others, or how two interact."""

    name: str
    title: str
    says: str
    comparison: Comparison

    @property
    def answer(self) -> str:
        """What the comparison says in one sentence."""
        pairs = self.comparison.pairs
        sentence = pair_sentence(pairs[0], self.comparison) if len(pairs) == 1 else conclude(self.comparison)[0]
        return f"{self.title}: {sentence}"


@dataclass(frozen=True)
class StudyReport:
    """What there is to say of a study; everything in it but the seconds follows from the study's files and seeds."""

    question: str
    evidence: ReportContents
    plan: Sequence[tuple[str, str]]
    arms: Sequence[ArmReport]
    baselines: Mapping[str, str]
    warnings: Sequence[str]
    changes: Sequence[str]
    confirmatory: bool
    form: Form
    command: str
    versions: Mapping[str, str]
    factors: Sequence[FactorReport] = ()

    @property
    def answer(self) -> str:
        """The answer as one text."""
        return " ".join(self.answers)

    @property
    def answers(self) -> tuple[str, ...]:
        """The first sentence of each comparison, those of factors first, and what takes away from them."""
        found = [each.answer for each in self.factors]
        cells = ["Combinations:"] if self.factors else []
        found.append(" ".join([*cells, conclude(self.evidence.comparison)[0]]))
        found += self._of_searched_arms()
        limits = [] if self.confirmatory else ["This is exploratory, not confirmatory: see the changes of the plan."]
        return (*found, *limits)

    @property
    def time_warnings(self) -> list[str]:
        """Which searches trained for unequal times; shown in a terminal, but not in the files, which have no times."""
        spent = {arm.name: arm.search_seconds for arm in self.arms}
        longest, shortest = max(spent.values()), min(spent.values())
        if longest <= UNEQUAL_TIME * shortest or longest - shortest < WORTH_TELLING:
            return []
        listed = ", ".join(f"{name} {duration(seconds)}" for name, seconds in spent.items())
        return [f"the searches trained for unequal times: {listed}"]

    def _of_searched_arms(self) -> list[str]:
        """Return the headline of the searched arms by themselves, where a classical method is ahead of all of them."""
        comparison, names = self.evidence.comparison, {arm.arm or arm.name for arm in self.arms}
        if ranking(comparison)[0].name in names or len(names) < 2:
            return []
        searched = replace(
            comparison,
            experiments=tuple(each for each in comparison.experiments if each.name in names),
            pairs=tuple(pair for pair in comparison.pairs if {pair.a, pair.b} <= names),
        )
        return [f"Of the searched arms: {headline(searched)}"]


def cover_of(report: StudyReport) -> Cover:
    """Return the sections around the comparison; nothing in them depends on how long the study took."""
    before = [Section("Warnings", points=report.warnings)] if report.warnings else []
    before += [Section("Changes of the plan", points=report.changes)] if report.changes else []
    before.append(Section("The plan", points=[f"{name}: {said}" for name, said in report.plan]))
    after = [section for factor in report.factors for section in _factor(factor)]
    after += [_spaces(report), _spent(report), _winners(report), _made(report)]
    return Cover(report.question, _scale(report), report.answers, before, after)


def _scale(report: StudyReport) -> str:
    if report.form is Form.FULL:
        return ""
    trials = max(arm.trials for arm in report.arms)
    steps: Counter[str] = Counter()
    for arm in report.arms:
        steps[arm.unit] += arm.search_steps + arm.confirm_steps
    spent = " and ".join(f"{count} {unit}s" for unit, count in steps.items())
    count = len(_once(report.arms))
    searches = "" if count == len(report.arms) else f", searched {len(report.arms) // count} times,"
    size = f"with {trials} trials for each of {count} searched arms{searches} and {spent} of training in all"
    if report.form is Form.STANDARD:
        return (
            f"This is the standard form of the study, {size}: models, data and trainings are as large as a CPU does "
            "within about an hour. At full size the answer may be another."
        )
    return (
        f"On a small scale: this is the quick form of the study, {size}, made to run in minutes. It shows how the "
        "question is answered; it does not settle the question at full size."
    )


def _once(arms: Sequence[ArmReport]) -> list[ArmReport]:
    """Return the first search of each arm: the others are of the same space."""
    return list({arm.arm: arm for arm in reversed(arms)}.values())[::-1]


def _factor(factor: FactorReport) -> Iterable[Section]:
    comparison = factor.comparison
    scores = [row.cells for row in score_rows(comparison)]
    yield Section(factor.title, [factor.says], details(comparison), SCORE_TITLES, scores, remark=caption(comparison))
    yield Section(columns=PAIR_TITLES, rows=[row.cells for row in pair_rows(comparison)])


def _spaces(report: StudyReport) -> Section:
    rows = []
    for arm in _once(report.arms):
        fixed = ", ".join(f"{name}={plain(value)}" for name, value in arm.fixed.items()) or "nothing"
        sizes = (str(arm.ranges), str(arm.continuous), str(arm.combinations))
        rows.append((arm.name, arm.family, fixed, arm.objective, *sizes))
    titles = ("arm", "family", "sets", "is searched by", "ranges", "of them continuous", "combinations of the others")
    floors = " ".join(f"{name} is {said}." for name, said in report.baselines.items())
    return Section(
        "The spaces", [equality(arm.space_size for arm in report.arms)], columns=titles, rows=rows, remark=floors
    )


def equality(sizes: Iterable[SpaceSize]) -> str:
    """Return the sentence that says whether the arms' spaces are equally large."""
    if len(set(sizes)) == 1:
        return "The arms' spaces are equally large."
    return (
        "The arms' spaces are not equally large: with the same number of trials a larger one is searched less densely."
    )


def _spent(report: StudyReport) -> Section:
    rows = []
    for arm in report.arms:
        ends = ", ".join(f"{count} {outcome}" for outcome, count in arm.outcomes.items())
        steps = (f"{arm.search_steps} {arm.unit}s", f"{arm.confirm_steps} {arm.unit}s")
        rows.append((arm.name, str(arm.trials), ends, *steps))
    titles = ("arm", "trials", "of which", "search", "replicates")
    remark = f"The time that it took is in {SPENT}, as it differs from run to run."
    if any(arm.raced for arm in report.arms):
        remark += " Trials are trainings, those on further seeds among them."
    return Section("What was spent", columns=titles, rows=rows, remark=remark)


def _winners(report: StudyReport) -> Section:
    rows = []
    for arm in report.arms:
        params = ", ".join(f"{name}={plain(value)}" for name, value in arm.params.items()) or "as set"
        rows.append((arm.name, str(arm.winner), number(arm.value), params))
    comparison = report.evidence.comparison
    if comparison.unit is Unit.SEARCH:
        remark = SEARCHES
    else:
        further = "further samples of this data set" if comparison.unit is Unit.FOLD else "further seeds"
        remark = ONE_SEARCH.format(further=further)
    return Section("Winners", columns=("arm", "trial", "objective", "configuration"), rows=rows, remark=remark)


def _made(report: StudyReport) -> Section:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return Section("How it was made", code=report.command, remark=f"With {versions}.")


def write_study_report(report: StudyReport, folder: Path, formats: Iterable[str]) -> list[Path]:
    """Write the report in these formats, compare.json always. Equal studies give equal bytes, but for spent.json.

    Raises:
        UnknownNameError: There is no such format.
        HpsearchError: The folder cannot be written.

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
    """Return report.md; times, which differ from run to run, are in spent.json."""
    return markdown_of(replace(report.evidence, cover=cover_of(report)))


def study_json(report: StudyReport) -> dict[str, Any]:
    """Return the JSON object of `hpsearch study --json`; `comparison` is compare.json."""
    return {
        "question": report.question,
        "answer": report.answer,
        "confirmatory": report.confirmatory,
        "quick": report.form is Form.QUICK,
        "standard": report.form is Form.STANDARD,
        "warnings": list(report.warnings),
        "changes": list(report.changes),
        "winners": {arm.name: {"trial": arm.winner, "params": dict(arm.params)} for arm in report.arms},
        "spent": _times(report),
        "comparison": json.loads(compare_json(report.evidence.comparison)),
        "factors": {each.name: json.loads(compare_json(each.comparison)) for each in report.factors},
    }


def _times(report: StudyReport) -> dict[str, Any]:
    """Return the cost of each arm in trials, steps and seconds of training."""
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


def write_result(folder: Path, report: StudyReport) -> None:
    """Keep what a report says, as `hpsearch study --json` prints it, with the command that makes it and the time.

    A result that says the same as before keeps its time.
    """
    content = {"version": RESULT_VERSION, **study_json(report), "command": report.command}
    before = read_result(folder) or {}
    if before | content != before:
        write_json(folder / RESULT, {**content, "time": time.time()})


def note_report(folder: Path, *, place: Path, files: Sequence[Path]) -> None:
    """Note which files below `place` are the report of the result."""
    result: dict[str, Any] = read_result(folder) or {}
    names = sorted(str(file.relative_to(place)) for file in files)
    report = {"folder": str(place.resolve()), "files": names}
    before = result.get("report", {})
    if before | report != before:
        write_json(folder / RESULT, {**result, "report": {**report, "time": time.time()}})
