"""From the folders of a study's arms to its report: the planned replicates compared, with their warnings.

In a factorial design each factor's levels are compared over all others, as well as how two factors of two levels
interact. The runs of one seed are averaged over the other factors before anything is tested, so that the unit stays the
seed: the cells of a design are no independent repetitions.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.comparing import Comparison, Question, compare_runs
from hpsearch.comparing.background import Plan
from hpsearch.experiment.provenance import versions
from hpsearch.experiment.reading import read_experiment, read_resolved
from hpsearch.records import ExperimentRecord, FinishedRun, Measurement, RunRecord
from hpsearch.report.comparison.background import background_of
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.methods import with_methods
from hpsearch.report.wording import duration, plain
from hpsearch.search.importance import importance
from hpsearch.space import Confirm
from hpsearch.studies.history import StudyHistory
from hpsearch.studies.replicates import WHAT_FOLDS_SAY, in_words, planned_runs, test_of, varied_in
from hpsearch.studies.report import SPENT, ArmReport, FactorReport, StudyReport
from hpsearch.studies.study import INTERACTION, BaselineArm, SpaceArm, Study, factor_titles, level_text

UNEQUAL = 1.1
"""From this ratio on the budgets that two searches have spent are called unequal."""
TWO_KINDS = (
    "differences and equivalences are separate families of tests: wrong claims of a difference keep this error "
    "rate together, and so do wrong claims of equivalence"
)


def report_of(study: Study, folder: Path, *, history: StudyHistory, wanted: Confirm, command: str) -> StudyReport:
    """Return the report of a study whose arms are finished; `wanted` are the replicates that count."""
    records = {arm.folder: read_experiment(folder / arm.folder) for arm in study.searches}
    arms = [_arm_report(arm, records[arm.folder]) for arm in study.searches]
    runs = [run for arm in study.arms for run in planned_runs(study, arm, folder, wanted)]
    decide = study.settings.decide
    asked = Question(study.metric, study.goal, margin=decide.margin, alpha=study.level, adjust=decide.adjust)
    comparison = compare_runs(runs, asked)
    known = background_of(runs, records.values(), plan=_kept_plan(study, history, command))
    comparison = with_methods(comparison, runs, known)
    factors = factor_reports(study, runs)
    same = "on the same test split" if wanted.folds is None else "which learns and is scored on the same folds"
    if study.settings.replicates.vary == "all":
        same = "which learns and is scored on the data of each search, the same"
    shares = {name: importance(record, read_resolved(folder / name)["space"]) for name, record in records.items()}
    return StudyReport(
        question=study.settings.question,
        evidence=ReportContents(comparison, runs, shares),
        plan=plan_lines(study, wanted),
        arms=arms,
        baselines={
            arm.name: f"the classical method {arm.method}, {same} as {arm.partner}"
            for arm in study.arms
            if isinstance(arm, BaselineArm)
        },
        warnings=[
            *_warnings(arms),
            *_other_tests(comparison, test_of(wanted, study)),
            *_without_interaction(study, factors),
        ],
        changes=_changes(history),
        confirmatory=history.confirmatory,
        form=study.form,
        command=command,
        versions=versions(),
        factors=factors,
    )


def _kept_plan(study: Study, history: StudyHistory, command: str) -> Plan:
    return Plan(
        looks=history.comparable_looks,
        changes=Counter(change.seen for change in history.changes),
        level=study.settings.decide.alpha,
        families=study.test_families,
        command=command,
        times=SPENT,
    )


def _arm_report(arm: SpaceArm, record: ExperimentRecord) -> ArmReport:
    best = record.ranked[0]
    return ArmReport(
        name=arm.folder,
        arm=arm.name,
        family=arm.space.family,
        fixed=arm.fixed,
        objective=f"{record.objective.metric}, {record.objective.goal}",
        ranges=len(arm.space.parameters),
        continuous=arm.space.continuous,
        combinations=arm.space.combinations,
        trials=len(record.trials) + record.reruns,
        raced=bool(record.most_seeds),
        outcomes=Counter(str(trial.outcome or "unfinished") for trial in record.trials),
        unit=record.unit,
        search_steps=_steps(record.trials) + record.rerun_steps,
        confirm_steps=_steps(record.replicates),
        search_seconds=sum(trial.seconds for trial in record.trials) + record.rerun_seconds,
        confirm_seconds=sum(replicate.seconds for replicate in record.replicates),
        winner=best.number,
        value=best.value,
        params=best.params,
    )


def _steps(runs: Iterable[RunRecord]) -> int:
    return sum(run.history[-1][0] for run in runs if run.history)


def _warnings(arms: Sequence[ArmReport]) -> list[str]:
    """List the arms whose searches spent unequal budgets."""
    found = []
    budgets = {"trials": {arm.name: arm.trials for arm in arms}}
    if len({arm.unit for arm in arms}) == 1:
        budgets[f"{arms[0].unit}s of training"] = {arm.name: arm.search_steps for arm in arms}
    for what, spent in budgets.items():
        if max(spent.values()) > UNEQUAL * min(spent.values()):
            counts = ", ".join(f"{name} {count}" for name, count in spent.items())
            found.append(f"the searches spent unequal budgets ({what}: {counts}): the arm with more had more chances.")
    return found


def _other_tests(comparison: Comparison, planned: str) -> Iterator[str]:
    """Name the pairs whose test is not the planned one because runs are missing or were added."""
    for pair in comparison.pairs:
        if pair.test not in (None, planned):
            yield f"{pair.a} and {pair.b} were decided by {pair.test}, not by the planned {planned}: see their notes."


def _without_interaction(study: Study, factors: Sequence[FactorReport]) -> list[str]:
    if INTERACTION not in study.test_families or any(each.name == INTERACTION for each in factors):
        return []
    return ["the interaction cannot be estimated: the replicates of a combination are missing."]


def _changes(history: StudyHistory) -> list[str]:
    """List the changes since the study started, and their effect on its claim."""
    found = []
    for change in history.changes:
        when = "after a result could be seen" if change.seen else "before any result could be seen"
        found += [f"{line} ({when})" for line in change.lines]
    if len(history.comparable_looks) > 1:
        looks = " to ".join(map(str, history.comparable_looks))
        found.append(
            f"The number of replicates was extended from {looks} after the earlier result had been seen. Whoever looks "
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
        (_searches(settings.replicates.searches), f"{settings.budget.trials} trials{time}"),
        ("replicates", in_words(wanted, study)),
        ("sources of variance that are varied", ", ".join(varied_in(study, wanted))),
        ("test of each pair", f"{test_of(wanted, study)}, two-sided"),
        *([("what folds say", WHAT_FOLDS_SAY)] if wanted.folds else []),
        *([("set in every arm", _written(study.common))] if study.common else []),
        ("seed", str(settings.seed)),
    ]


def _searches(count: int) -> str:
    return "search of each arm" if count == 1 else f"each of {count} searches of each arm"


def _written(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={plain(value)}" for name, value in values.items())


def _division(study: Study) -> str:
    named = study.test_families
    if len(named) == 1:
        return ""
    return f"; {study.level:.3g} for each of {len(named)} families of tests: {', '.join(named)}"


def factor_reports(study: Study, runs: Sequence[FinishedRun]) -> list[FactorReport]:
    """Return the comparisons of two or more factors; `runs` are named after the study's arms."""
    if len(study.factors) < 2:
        return []
    titles = factor_titles(study.factors)
    levels = {
        arm.name: {titles[path]: level for path, level in arm.levels.items()} for arm in study.searched if arm.levels
    }
    cells = [
        replace(run, experiment="design", params=levels[run.experiment], trial=None)
        for run in runs
        if run.experiment in levels and run.search is None
    ]
    decide = study.settings.decide
    asked = Question(study.metric, study.goal, margin=decide.margin, alpha=study.level, adjust=decide.adjust)
    found = [
        FactorReport(
            titles[path],
            f"By {titles[path]}",
            f"Each replicate's mean over {' and '.join(titles[other] for other in titles if other != path)}.",
            compare_runs(cells, replace(asked, by=titles[path])),
        )
        for path in study.factors
    ]
    effects = list(_effects(study, cells)) if study.tests_interaction else []
    if len({run.experiment for run in effects}) == 2:
        found.append(_interaction(study, compare_runs(effects, asked)))
    return found


def _effects(study: Study, cells: Sequence[FinishedRun]) -> Iterator[FinishedRun]:
    """Yield what the step from the second factor's first level to its second does, at each level of the first factor.

    The difference of these differences is the interaction.
    """
    first, second = factor_titles(study.factors).values()
    _, (low, high) = study.factors.values()
    by_cell: dict[tuple[Any, ...], dict[Any, FinishedRun]] = {}
    for run in cells:
        by_cell.setdefault((run.seed, run.fold, run.repeat, run.params[first]), {})[run.params[second]] = run
    for (*_, level), pair in by_cell.items():
        values = [pair[each].metrics.get(study.metric) for each in (low, high) if each in pair]
        if len(values) == 2 and values[0] is not None and values[1] is not None:
            value = float(values[1].value) - float(values[0].value)
            name = f"the change of {second} at {first}={level_text(level)}"
            yield replace(pair[high], experiment=name, params={}, metrics={study.metric: Measurement(value)})


def _interaction(study: Study, comparison: Comparison) -> FactorReport:
    first, second = factor_titles(study.factors).values()
    _, (low, high) = study.factors.values()
    says = (
        f"What the step from {second}={level_text(low)} to {level_text(high)} does to {study.metric}, "
        f"at each {first}: the score after it minus the score before."
    )
    return FactorReport(INTERACTION, f"Interaction of {first} and {second}", says, comparison)
