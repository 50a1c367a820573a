"""The sections around the comparison in the report of a study."""

from collections import Counter
from collections.abc import Iterable

from hpsearch.comparing.conclusion import details
from hpsearch.comparing.question import Unit
from hpsearch.report.comparison.contents import Cover, Section
from hpsearch.report.comparison.rows import PAIR_TITLES, SCORE_TITLES, caption, pair_rows, score_rows
from hpsearch.report.wording import number, plain
from hpsearch.studies.report.contents import ArmReport, FactorReport, StudyReport
from hpsearch.studies.report.plan import ArmPlan

SPENT = "spent.json"
ONE_SEARCH = (
    "Each search was run once. The intervals above hold for these winners on {further}; how much another search would "
    "have found another winner is not in them."
)


def cover_of(report: StudyReport) -> Cover:
    """Return what stands around the comparison; nothing in it depends on how long the study took."""
    before = [Section("Warnings", points=report.warnings)] if report.warnings else []
    before += [Section("Changes of the plan", points=report.changes)] if report.changes else []
    before.append(Section("The plan", points=[f"{name}: {said}" for name, said in report.plan]))
    after = [section for factor in report.factors for section in _factor(factor)]
    after += [_spaces(report), _spent(report), _winners(report), _made(report)]
    return Cover(report.question, _scale(report), report.answers, before, after)


def _scale(report: StudyReport) -> str:
    if not report.quick:
        return ""
    trials = max(arm.trials for arm in report.arms)
    steps: Counter[str] = Counter()
    for arm in report.arms:
        steps[arm.unit] += arm.search_steps + arm.confirm_steps
    spent = " and ".join(f"{count} {unit}s" for unit, count in steps.items())
    return (
        f"On a small scale: this is the quick form of the study, with {trials} trials for each of {len(report.arms)} "
        f"searched arms and {spent} of training in all, made to run in minutes. It shows how the question is answered; "
        "it does not settle the question at full size."
    )


def _factor(factor: FactorReport) -> Iterable[Section]:
    comparison = factor.comparison
    scores = [row.cells for row in score_rows(comparison)]
    yield Section(factor.title, [factor.says], details(comparison), SCORE_TITLES, scores, remark=caption(comparison))
    yield Section(columns=PAIR_TITLES, rows=[row.cells for row in pair_rows(comparison)])


def _spaces(report: StudyReport) -> Section:
    rows = []
    for arm in report.arms:
        fixed = ", ".join(f"{name}={plain(value)}" for name, value in arm.fixed.items()) or "nothing"
        sizes = (str(arm.ranges), str(arm.continuous), str(arm.combinations))
        rows.append((arm.name, arm.family, fixed, arm.objective, *sizes))
    titles = ("arm", "family", "sets", "is searched by", "ranges", "of them continuous", "combinations of the others")
    floors = " ".join(f"{name} is {said}." for name, said in report.baselines.items())
    return Section("The spaces", [equality(report.arms)], columns=titles, rows=rows, remark=floors)


def equality(arms: Iterable[ArmReport | ArmPlan]) -> str:
    """Say whether the arms' spaces are equally large."""
    sizes = {(arm.ranges, arm.continuous, arm.combinations) for arm in arms}
    if len(sizes) == 1:
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
    remark = f"The time that it took stands in {SPENT}: no two runs share it."
    return Section("What was spent", columns=titles, rows=rows, remark=remark)


def _winners(report: StudyReport) -> Section:
    rows = []
    for arm in report.arms:
        params = ", ".join(f"{name}={plain(value)}" for name, value in arm.params.items()) or "as set"
        rows.append((arm.name, str(arm.winner), number(arm.value), params))
    further = "further samples of this data set" if report.evidence.comparison.unit is Unit.FOLD else "further seeds"
    remark = ONE_SEARCH.format(further=further)
    return Section("Winners", columns=("arm", "trial", "objective", "configuration"), rows=rows, remark=remark)


def _made(report: StudyReport) -> Section:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return Section("How it was made", code=report.command, remark=f"With {versions}.")
