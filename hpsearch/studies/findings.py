"""What the folders of a study's arms hold, as the report shows it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.comparing import Comparison, Question, compare_runs
from hpsearch.experiment.provenance import versions
from hpsearch.experiment.reading import read_experiment, read_resolved
from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.report.comparison.contents import Evidence
from hpsearch.report.wording import duration, plain
from hpsearch.search.importance import importance
from hpsearch.space import Confirm
from hpsearch.studies.factorial import INTERACTION, factor_reports, families, level_of
from hpsearch.studies.file.study import BaselineArm, SpaceArm, Study
from hpsearch.studies.plan_file import History
from hpsearch.studies.planned_runs import planned_runs
from hpsearch.studies.replication import WHAT_FOLDS_SAY, in_words, test_of
from hpsearch.studies.report import ArmReport, FactorReport, StudyReport

UNEQUAL = 1.1
"""From this ratio on the budgets that two searches have spent are called unequal."""
UNEQUAL_TIME = 1.5
"""The same for times, which a machine's other work changes."""
WORTH_TELLING = 60.0
"""Seconds below which a difference in time is not told."""


def report_of(study: Study, folder: Path, *, history: History, wanted: Confirm, command: str) -> StudyReport:
    """Return the report of a study whose arms are finished; `wanted` are the replicates that count."""
    records = {arm.name: read_experiment(folder / arm.name) for arm in study.searched}
    arms = [_arm_report(arm, records[arm.name]) for arm in study.searched]
    runs = [run for arm in study.arms for run in planned_runs(study, arm, folder, wanted)]
    decide = study.settings.decide
    asked = Question(study.metric, study.goal, margin=decide.margin, alpha=level_of(study), adjust=decide.adjust)
    comparison = compare_runs(runs, asked)
    factors = factor_reports(study, runs)
    same = "on the same test split" if wanted.folds is None else "which learns and is scored on the same folds"
    shares = {name: importance(record, read_resolved(folder / name)["space"]) for name, record in records.items()}
    return StudyReport(
        question=study.settings.question,
        evidence=Evidence(comparison, runs, shares),
        plan=plan_lines(study, wanted),
        arms=arms,
        baselines={
            arm.name: f"the classical method {arm.method}, {same} as {arm.beside}"
            for arm in study.arms
            if isinstance(arm, BaselineArm)
        },
        warnings=[*_warnings(arms), *_other_tests(comparison, test_of(wanted)), *_without_interaction(study, factors)],
        changes=_changes(history),
        confirmatory=history.confirmatory,
        quick=study.quick,
        command=command,
        versions=versions(),
        factors=factors,
    )


def _arm_report(arm: SpaceArm, record: ExperimentRecord) -> ArmReport:
    best = record.ranked[0]
    return ArmReport(
        name=arm.name,
        family=arm.space.family,
        fixed=arm.fixed,
        objective=f"{record.objective.metric}, {record.objective.goal}",
        ranges=len(arm.space.parameters),
        continuous=arm.space.continuous,
        combinations=arm.space.combinations,
        trials=len(record.trials),
        outcomes=Counter(str(trial.outcome or "unfinished") for trial in record.trials),
        unit=record.unit,
        search_steps=_steps(record.trials),
        confirm_steps=_steps(record.replicates),
        search_seconds=sum(trial.seconds for trial in record.trials),
        confirm_seconds=sum(replicate.seconds for replicate in record.replicates),
        winner=best.number,
        value=best.value,
        params=best.params,
    )


def _steps(runs: Iterable[RunRecord]) -> int:
    return sum(run.history[-1][0] for run in runs if run.history)


def _warnings(arms: Sequence[ArmReport]) -> list[str]:
    """Say where the arms' searches did not spend the same."""
    found = []
    budgets = {"trials": {arm.name: arm.trials for arm in arms}}
    if len({arm.unit for arm in arms}) == 1:
        budgets[f"{arms[0].unit}s of training"] = {arm.name: arm.search_steps for arm in arms}
    for what, spent in budgets.items():
        if max(spent.values()) > UNEQUAL * min(spent.values()):
            told = ", ".join(f"{name} {count}" for name, count in spent.items())
            found.append(f"the searches spent unequal budgets ({what}: {told}): the arm with more had more chances.")
    return found


def _other_tests(comparison: Comparison, planned: str) -> Iterator[str]:
    """Say where runs that are missing, or repeats that were added, made another test decide than the planned one."""
    for pair in comparison.pairs:
        if pair.test not in (None, planned):
            yield f"{pair.a} and {pair.b} were decided by {pair.test}, not by the planned {planned}: see their notes."


def _without_interaction(study: Study, factors: Sequence[FactorReport]) -> list[str]:
    if INTERACTION not in families(study) or any(each.name == INTERACTION for each in factors):
        return []
    return ["the interaction cannot be told: the replicates of a combination are missing."]


def time_warnings(arms: Sequence[ArmReport]) -> list[str]:
    """Say where the searches trained for unequal times; these stand in spent.json, not in the report."""
    spent = {arm.name: arm.search_seconds for arm in arms}
    longest, shortest = max(spent.values()), min(spent.values())
    if longest <= UNEQUAL_TIME * shortest or longest - shortest < WORTH_TELLING:
        return []
    told = ", ".join(f"{name} {duration(seconds)}" for name, seconds in spent.items())
    return [f"the searches trained for unequal times: {told}"]


def _changes(history: History) -> list[str]:
    """Return what was changed since the study started, and what that does to its claim."""
    found = []
    for change in history.changes:
        when = "after a result could be seen" if change.seen else "before any result could be seen"
        found += [f"{line} ({when})" for line in change.lines]
    if len(history.comparable_looks) > 1:
        told = " to ".join(map(str, history.comparable_looks))
        found.append(
            f"The number of replicates was extended from {told} after the earlier result had been seen. Whoever looks "
            "twice finds a difference by chance more often than alpha says, and the p-values here are not corrected "
            "for it: this result is exploratory."
        )
    elif not history.confirmatory:
        found.append("The plan was changed after a result could be seen: this result is exploratory.")
    return found


def plan_lines(study: Study, wanted: Confirm) -> list[tuple[str, str]]:
    """Return the plan in words."""
    settings, decide = study.settings, study.settings.decide
    margin = "none: equivalence is not tested" if decide.margin is None else f"{decide.margin:g}"
    time = "" if settings.budget.time is None else f", at most {duration(settings.budget.time)}"
    return [
        ("decided by", f"{study.metric}, {study.goal}"),
        ("smallest difference that matters", margin),
        ("error rate of all tests together", f"{decide.alpha:g}, adjusted by {decide.adjust}{_division(study)}"),
        *([("two kinds of claims", TWO_KINDS)] if decide.margin is not None else []),
        ("search of each arm", f"{settings.budget.trials} trials{time}"),
        ("replicates", in_words(wanted)),
        ("test of each pair", f"{test_of(wanted)}, two-sided"),
        *([("what folds say", WHAT_FOLDS_SAY)] if wanted.folds else []),
        *([("set in every arm", _written(study.common))] if study.common else []),
        ("seed", str(settings.seed)),
    ]


TWO_KINDS = (
    "differences and equivalences are families of tests of their own: wrong claims of a difference keep this error "
    "rate together, and so do wrong claims of equivalence"
)


def _written(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={plain(value)}" for name, value in values.items())


def _division(study: Study) -> str:
    named = families(study)
    if len(named) == 1:
        return ""
    return f"; {level_of(study):.3g} for each of {len(named)} families of tests: {', '.join(named)}"
