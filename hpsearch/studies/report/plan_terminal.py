"""The plan of a study as a person reads it in a terminal."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from hpsearch.report.fitted_table import Column, FittedTable
from hpsearch.report.wording import UNKNOWN, assignments, number, one_line, rough_duration, rough_size, short_names
from hpsearch.studies.report.plan import PowerPlan, Span, StudyPlan, total
from hpsearch.studies.report.sections import equality


def show_study_plan(plan: StudyPlan) -> RenderableType:
    """Return the plan for a terminal: what is compared, what it costs, what it can show."""
    parts: list[RenderableType] = [Text(one_line(plan.question), "bold"), Text(), _spaces(plan)]
    parts += [Text(equality(plan.arms), "dim"), Text(), _costs(plan)]
    parts += [Text(one_line(note), "dim") for note in plan.notes]
    parts += [Text(), *_power(plan)]
    parts += [Text(f"warning: {one_line(warning)}", "yellow") for warning in plan.warnings]
    return Group(*parts)


def _spaces(plan: StudyPlan) -> FittedTable:
    names = short_names(path for arm in plan.arms for path in arm.fixed)
    fixed = [assignments(arm.fixed, names) or "nothing" for arm in plan.arms]
    blank = [""] * len(plan.baselines)
    return FittedTable(
        [
            Column("arm", [*(arm.name for arm in plan.arms), *plan.baselines], justify="left"),
            Column("ranges", [*(str(arm.ranges) for arm in plan.arms), *blank]),
            Column("continuous", [*(str(arm.continuous) for arm in plan.arms), *blank], rank=2),
            Column("combinations", [*(str(arm.combinations) for arm in plan.arms), *blank], rank=1),
            Column("sets", [*fixed, *plan.baselines.values()], justify="left", flexible=True),
        ]
    )


def _costs(plan: StudyPlan) -> FittedTable:
    trials, replicates = ([getattr(arm, what) for arm in plan.arms] for what in ("trials", "replicates"))
    return FittedTable(
        [
            Column("arm", [*(arm.name for arm in plan.arms), "all"], justify="left"),
            Column("trials", [*map(str, trials), str(sum(trials))]),
            Column("replicates", [*map(str, replicates), str(sum(replicates))]),
            Column("epochs", _spans([arm.all_epochs for arm in plan.arms], lambda count: f"{count:,.0f}")),
            Column("time", _spans([arm.seconds for arm in plan.arms], rough_duration)),
            Column("disk", _spans([arm.bytes for arm in plan.arms], rough_size)),
        ]
    )


def _spans(spans: Sequence[Span | None], said: Callable[[float], str]) -> list[str]:
    """Return each span and their sum: `3 - 5 min`, `40 s - 2 min`, or one number where both ends look alike."""
    return [UNKNOWN if span is None else _span(*map(said, span)) for span in (*spans, total(spans))]


def _span(low: str, high: str) -> str:
    if low == high:
        return high
    amount, _, unit = low.partition(" ")
    return f"{amount if unit == high.partition(' ')[2] else low} - {high}"


def _power(plan: StudyPlan) -> list[RenderableType]:
    """Return what is seen with the power planned for, in words, then the replicates needed, then what is known."""
    power = plan.power
    tests = "the test" if power.tests == 1 else f"each of {power.tests} tests"
    planned = f"{power.replicates} {power.unit}, {tests} of {one_line(plan.metric)} at the level {power.level:.2g}"
    opening = f"With {planned} has a power of 80%"
    if power.margin is None:
        lines = [f"{opening} for a difference of {power.effect:.2g} standard deviations of the paired differences."]
    else:
        lines = [
            f"{opening} where the paired differences have a standard deviation of at most",
            f"  {power.largest_sd:.2g}  for a difference of the margin, {power.margin:g}",
            f"  {power.largest_sd_equivalence:.2g}  for equal arms to be found equivalent",
        ]
    parts: list[RenderableType] = [*map(Text, lines), *(Text(one_line(note), "dim") for note in power.notes)]
    if power.margin is not None and power.needed:
        parts += [Text(), _needed(power.needed, power.margin, power.unit)]
    if power.observed:
        parts += [Text(), _observed(power)]
    return parts


def _needed(needed: Mapping[float, int | None], margin: float, unit: str) -> FittedTable:
    return FittedTable(
        [
            Column("if the deviation is", [f"{unit} needed for the margin"], justify="left"),
            *(Column(number(sd * margin), ["> 100,000" if n is None else str(n)]) for sd, n in needed.items()),
        ]
    )


def _observed(power: PowerPlan) -> FittedTable:
    pairs = power.observed
    columns = [
        Column("replicates so far", [f"{pair.a} - {pair.b}" for pair in pairs], justify="left", flexible=True),
        Column("pairs", [str(pair.n) for pair in pairs]),
        Column("standard deviation", [number(pair.sd) for pair in pairs]),
    ]
    if power.margin is not None:
        columns.append(Column("power", [UNKNOWN if pair.power is None else f"{pair.power:.0%}" for pair in pairs]))
    if any(pair.needed for pair in pairs):
        columns.append(
            Column("needed", [UNKNOWN if pair.needed is None else str(pair.needed) for pair in pairs], rank=1)
        )
    return FittedTable(columns)
