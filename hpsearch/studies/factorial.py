"""A factorial design: each factor's levels compared over all others, and how two factors of two levels interact.

The runs of one seed are averaged over the other factors before anything is tested, so that the unit stays the seed: the
cells of a design are no independent repetitions. The error rate is divided evenly among the families of tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpsearch.comparing import Comparison, Question, compare_runs
from hpsearch.records import FinishedRun, Measurement
from hpsearch.studies.file.factors import factor_titles, level_text
from hpsearch.studies.file.study import Study
from hpsearch.studies.report import FactorReport

INTERACTION = "interaction"


def families(study: Study) -> tuple[str, ...]:
    """Return the families of tests that the study makes: the arms' pairs, and those of its factors."""
    titles = factor_titles(study.factors) if len(study.factors) > 1 else {}  # the levels of one factor are the arms
    return ("all pairs of arms", *titles.values(), *([INTERACTION] if _interact(study.factors) else []))


def level_of(study: Study) -> float:
    """Return the error rate of each family of tests."""
    return study.settings.decide.alpha / len(families(study))


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
    asked = Question(study.metric, study.goal, margin=decide.margin, alpha=level_of(study), adjust=decide.adjust)
    found = [
        FactorReport(
            titles[path],
            f"By {titles[path]}",
            f"Each replicate's mean over {' and '.join(titles[other] for other in titles if other != path)}.",
            compare_runs(cells, replace(asked, by=titles[path])),
        )
        for path in study.factors
    ]
    effects = list(_effects(study, cells)) if _interact(study.factors) else []
    if len({run.experiment for run in effects}) == 2:
        found.append(_interaction(study, compare_runs(effects, asked)))
    return found


def _interact(factors: Mapping[str, Sequence[Any]]) -> bool:
    return [len(levels) for levels in factors.values()] == [2, 2]


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
