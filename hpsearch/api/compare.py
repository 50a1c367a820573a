"""From paths to a comparison: runs are read, grouped and compared. `hpsearch.compare`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import StrPath, find_experiment
from hpsearch.api.compared import ComparedGroup, ComparedRuns
from hpsearch.api.survey import Surveyed, survey
from hpsearch.comparing import Comparison, Question, compare_runs
from hpsearch.comparing.candidates import CandidateKind, other_settings
from hpsearch.comparing.groups import Alone, Group, SortedOut, sort_out
from hpsearch.comparing.metric_choice import choose_goal, choose_metric, goal_warnings
from hpsearch.comparing.question import Over, goal_named, over_named, unit_named
from hpsearch.errors import DataError, ExperimentError, HpsearchError, UnknownNameError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.readers import Wanted
from hpsearch.readers.shelf import Found, read_sources
from hpsearch.records import ExperimentRecord, FinishedRun, Outcome
from hpsearch.report.comparison.background import background_of
from hpsearch.report.comparison.grouped import LonelyOne
from hpsearch.report.comparison.methods import with_methods


def compare(
    paths: StrPath | Iterable[StrPath],
    *,
    metric: str | None = None,
    goal: str | None = None,
    by: str | None = None,
    baseline: str | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    adjust: str = "holm",
    unit: str = "auto",
    wide: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    step: int | None = None,
    over: str = "seeds",
    stochastic_order: bool = False,
    seed: int = 0,
) -> ComparedRuns:
    """Compare finished runs: which is better, by how much, and how certain that is; `hpsearch compare` in Python.

    Example:
        compared = hpsearch.compare("experiments", metric="test/accuracy", margin=0.01)
        compared.pairs[0].verdict
        compared.to_frame()
        compared.save("reports/mine")

    Args:
        paths: Experiments, studies, folders or tables of runs, sqlite:/// and http:// stores, of any tools.
        metric: The metric to compare; by default what the runs are about.
        goal: "minimize" or "maximize", if the metric's name leaves it open.
        by: Group the runs by a parameter, such as "model.temporal".
        baseline: Compare every experiment with this one only.
        margin: The smallest difference that matters; with it, equivalence is tested.
        alpha: The error rate of the whole family of tests.
        adjust: For several tests: holm, hommel, bh or none.
        unit: What counts as one observation: auto, seed, search, fold, dataset or trial.
        wide: What the rows of tables are that have a column for each method: seed, fold or dataset.
        separator: What separates the columns of tables that leave it open.
        decimal: The decimal mark of tables that leave it open.
        step: Take the metric at this step of every run.
        over: What a verdict is about where runs kept their scores by example: further seeds, examples, or both.
        stochastic_order: Add the almost stochastic order (slower).
        seed: Of everything random: resampling, permutations.

    Returns:
        One comparison if all can be compared with one another or a metric is given, else several groups.

    Raises:
        DataError: There are no runs in these places.
        UnknownNameError: For the metric, the parameter, the baseline or another name.
        HpsearchError: The metric or its goal must be given, or `paths` are not paths.
    """
    question = Question(
        metric,
        goal_named(goal),
        by=by,
        baseline=baseline,
        margin=margin,
        alpha=alpha,
        adjust=adjust,
        unit=unit_named(unit),
        step=step,
        over=over_named(over),
        stochastic_order=stochastic_order,
        seed=seed,
    )
    sources = _sources(paths)
    found = compare_sources(sources, question, wide=wide, separator=separator, decimal=decimal)
    return replace(found, sources=tuple(map(without_secrets, sources)))


def _sources(paths: StrPath | Iterable[StrPath]) -> list[str]:
    """Return what is to be compared, as text.

    Raises:
        HpsearchError: These are not paths, or there are none.

    """
    listed = [paths] if isinstance(paths, str | PathLike) else paths
    if hasattr(listed, "to_csv"):
        raise HpsearchError(
            f"paths is a {type(paths).__name__}; write it to a file and compare that: "
            "frame.to_parquet('runs.parquet'), or frame.to_csv('runs.csv', index=False)"
        )
    if not isinstance(listed, Iterable) or isinstance(listed, Mapping):
        raise HpsearchError(f"paths={paths!r}: expected a path or several paths")
    sources = [*listed]
    if not sources:
        raise HpsearchError("there is nothing to compare: name an experiment, a folder or a table of runs")
    for source in sources:
        if not isinstance(source, str | PathLike):
            raise HpsearchError(f"paths holds a {type(source).__name__}; expected a path or several paths")
    return [_named(fspath(source)) for source in sources]


def _named(source: str) -> str:
    """Return a source, or the folder of the experiment or study whose name it is.

    Raises:
        HpsearchError: It may only be such a name, and nothing is called so.
    """
    place = Path(source).expanduser()
    if "://" in source or place.exists() or not source:
        return source
    named = EXPERIMENTS / place
    if named.exists():
        return str(named)
    if place.parent == Path() and not place.suffix:
        try:
            find_experiment(source)
        except ExperimentError as error:
            raise DataError(f"{source} does not exist; {error}") from None
    return source


def compare_sources(
    sources: Sequence[StrPath],
    question: Question,
    *,
    wide: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
) -> ComparedRuns:
    """Read runs of any origin and compare the experiments that they belong to, group by group.

    Raises:
        DataError: If the sources have no runs.
        UnknownNameError: If the metric, the parameter or the baseline is not there.
        HpsearchError: If metric or goal must be given.

    """
    asked = Wanted(question.metric, by=question.by, separator=separator, decimal=decimal)
    found = read_sources([fspath(source) for source in sources], wide=wide, asked=asked)
    surveyed = survey(found, question.goal)
    places = sort_out([each.candidate for each in surveyed])
    if question.metric is not None or places.is_one or _is_plain(found):
        return _in_one(found, surveyed, question)
    if all(each.candidate.kind is CandidateKind.RUNS for each in surveyed):
        try:
            return _in_one(found, surveyed, question)
        except HpsearchError:
            if not places.groups:
                raise
    return _in_groups(found, surveyed, places, question)


def _is_plain(found: Found) -> bool:
    """Check whether all is of one place, and something of it has come to an end."""
    return len(found.parts) == 1 and any(run.metrics and run.outcome is Outcome.COMPLETE for run in found.runs)


def _in_one(found: Found, surveyed: Sequence[Surveyed], question: Question) -> ComparedRuns:
    metric = choose_metric(found.runs, found.main, question.metric)
    goal = choose_goal(metric, found.goals, question.goal, disputed=found.disputed)
    said = [why for _, why in found.unread]
    if question.metric is not None:
        said += other_settings([each.candidate for each in surveyed])
    said += [*found.warnings, *goal_warnings(metric, goal, found.goals, disputed=found.disputed)]
    comparison = compare_runs(found.runs, replace(question, metric=metric, goal=goal), warnings=said)
    comparison = _with_methods(comparison, found.runs, found.experiments, question)
    return ComparedRuns(found, (ComparedGroup(metric, comparison, found.runs, found.experiments),))


def _in_groups(found: Found, surveyed: Sequence[Surveyed], places: SortedOut, question: Question) -> ComparedRuns:
    """Compare each group by itself; a group that the options do not fit is left alone, unless they fit none."""
    known = {each.candidate.name: each for each in surveyed}
    _check_names(found.runs, question)
    groups, unfit, refused = [], [], []
    for group in places.groups:
        try:
            groups.append(_group(group, known, question))
        except HpsearchError as error:
            unfit += [Alone(each, f"in {group.name}: {error}") for each in group.members]
            refused.append(error)
    if refused and not groups:
        raise refused[0]
    inside = {group.name: [each.name for each in group.members] for group in places.groups}
    inside = {group.name: inside[group.name] for group in groups}
    return ComparedRuns(
        found,
        tuple(groups),
        overview=tuple(
            replace(entry, groups=tuple(name for name, names in inside.items() if each.candidate.name in names))
            for each in surveyed
            for entry in each.entries
        ),
        alone=tuple(_lonely(each, known, question) for each in (*places.alone, *unfit)),
        not_compared=places.not_compared,
        warnings=tuple(_warnings(found, groups, question)),
    )


def _check_names(runs: Sequence[FinishedRun], question: Question) -> None:
    """Refuse a parameter or baseline that is nowhere; where only some groups have it, it counts for them."""
    params = {name for run in runs for name in run.params}
    if question.by is not None and question.by not in params:
        raise UnknownNameError("parameter", question.by, params)
    names = {run.experiment for run in runs}
    if question.baseline is not None and question.by is None and question.baseline not in names:
        raise UnknownNameError("baseline", question.baseline, names)


def _group(group: Group, known: Mapping[str, Surveyed], question: Question) -> ComparedGroup:
    members = [known[each.name] for each in group.members]
    runs = [run for each in members for run in each.reading.runs if not group.searches or run.search is not None]
    asked = replace(
        question,
        metric=group.metric,
        goal=group.goal or choose_goal(group.metric, {}, question.goal),
        by=question.by if any(question.by in run.params for run in runs) else None,
        baseline=question.baseline if question.by or any(run.experiment == question.baseline for run in runs) else None,
        **(_planned(members[0].plan, question)),
    )
    comparison = compare_runs(runs, asked)
    if group.searches:  # of pairs there is nothing to say
        comparison = replace(comparison, pairs=())
    records = tuple(record for each in members for record in each.reading.records)
    comparison = _with_methods(comparison, runs, records, asked)
    return ComparedGroup(group.name, comparison, tuple(runs), records, group.why)


def _with_methods(
    comparison: Comparison, runs: Sequence[FinishedRun], records: Iterable[ExperimentRecord], asked: Question
) -> Comparison:
    return with_methods(comparison, runs, background_of(runs, records, by=asked.by, step=asked.step))


def _planned(plan: Mapping[str, Any], question: Question) -> dict[str, Any]:
    """Return the test settings of a study's plan, overridden by what the user asks for."""
    asked = {name: getattr(question, name) for name in plan}
    return {name: plan[name] if asked[name] == getattr(Question, name) else asked[name] for name in plan}


def _lonely(alone: Alone, known: Mapping[str, Surveyed], question: Question) -> LonelyOne:
    """Return the ungrouped experiments with their scores, if any."""
    each, runs = alone.member, known[alone.member.name].reading.runs
    metric = each.tested or each.metric
    if each.goal is None or not any(metric in run.metrics for run in runs):
        return LonelyOne(each.name, alone.why, None)
    asked = replace(question, metric=metric, goal=each.goal, by=None, baseline=None, unit=None, over=Over.SEEDS)
    return LonelyOne(each.name, alone.why, compare_runs(runs, asked))


def _warnings(found: Found, groups: Sequence[ComparedGroup], question: Question) -> list[str]:
    said = list(found.warnings)
    if question.margin is not None and len({group.comparison.metric for group in groups}) > 1:
        said.append(f"the margin {question.margin:g} is taken in every group, in the unit of its own metric")
    if question.goal is not None and found.experiments:
        said.append(f"--goal {question.goal} counts for metrics whose origin names no direction, and for no others")
    return said
