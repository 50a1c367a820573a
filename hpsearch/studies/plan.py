"""What a study is going to cost and to see, before anything is spent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.jupyter import JupyterMixin
from rich.text import Text

from hpsearch.cleaning import one_line
from hpsearch.report.fitted_table import Column, FittedTable
from hpsearch.report.wording import UNKNOWN, assignments, number, rough_duration, rough_size, short_names
from hpsearch.studies.report import SpaceSize, equality

Span = tuple[float, float]
"""The least and the most that is expected."""


@dataclass(frozen=True)
class ArmPlan:
    """One arm that is searched, as often as `searches`; `trials` and `replicates` are those of one search.

    `epochs` are those of one training, `steps` its optimizer steps where it has so many.

    What nobody knows is None, `trouble` says why.

    Its space is as in `ArmReport`. `seconds` are those of the whole arm on this machine with `workers` at a time;
    `capped` says that the budget's time ends its search. `bytes` stay on the disk. `done` trainings have ended already.
    """

    name: str
    family: str
    fixed: Mapping[str, Any]
    ranges: int
    continuous: int
    combinations: int
    trials: int
    replicates: int
    workers: int
    epochs: Span | None = None
    steps: tuple[int, int] | None = None
    seconds: Span | None = None
    capped: bool = False
    bytes: Span | None = None
    done: int = 0
    searches: int = 1
    trouble: Sequence[str] = ()

    @property
    def space_size(self) -> SpaceSize:
        """What the spaces of arms are compared by."""
        return self.ranges, self.continuous, self.combinations

    @property
    def trainings(self) -> int:
        """The trials of all searches and the replicates of their winners."""
        return self.searches * (self.trials + self.replicates)

    @property
    def all_epochs(self) -> Span | None:
        """The epochs of all trainings together."""
        return None if self.epochs is None else (self.trainings * self.epochs[0], self.trainings * self.epochs[1])

    @property
    def all_steps(self) -> Span | None:
        """The optimizer steps of all trainings together, where their number is set."""
        return None if self.steps is None else (self.trainings * self.steps[0], self.trainings * self.steps[1])


@dataclass(frozen=True)
class ObservedPair:
    """What replicates that are there already say: the spread of the differences, and the power for the margin."""

    a: str
    b: str
    n: int
    sd: float
    power: float | None
    needed: int | None


@dataclass(frozen=True)
class PowerPlan:
    """What the replicates will be able to show with a power of 0.8, each of `tests` tests at `level`.

    The level is `alpha`, shared by the `families` of tests, and by the tests of one as far as `adjust` asks for it.

    `effect` is the smallest difference that is seen, in standard deviations of the paired differences; `largest_sd` the
    largest such deviation at which a difference of the margin is seen, `largest_sd_equivalence` the one at which
    equal arms are shown to be equivalent. `needed` maps deviations, in margins, to the replicates that would do.
    """

    unit: str
    replicates: int
    tests: int
    families: int
    alpha: float
    adjust: str
    level: float
    effect: float
    margin: float | None = None
    largest_sd: float | None = None
    largest_sd_equivalence: float | None = None
    needed: Mapping[float, int | None] = field(default_factory=dict)
    observed: Sequence[ObservedPair] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class StudyPlan(JupyterMixin):
    """A whole study. `baselines` says of each classical arm what it is; `free` are the bytes left on the disk.

    A notebook shows it as a terminal does.
    """

    question: str
    metric: str
    arms: Sequence[ArmPlan]
    baselines: Mapping[str, str]
    power: PowerPlan
    free: int
    probed: bool
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __rich__(self) -> RenderableType:
        return show_study_plan(self)


def total(spans: Iterable[Span | None]) -> Span | None:
    """Return the sum of spans, None if one of them is not known."""
    known = list(spans)
    if any(span is None for span in known):
        return None
    return sum(span[0] for span in known if span), sum(span[1] for span in known if span)


def study_plan_json(plan: StudyPlan) -> dict[str, Any]:
    """Return the plan as plain data; spans are [least, most]."""
    arms = [
        {**asdict(arm), "trainings": arm.trainings, "all_epochs": arm.all_epochs, "fixed": dict(arm.fixed)}
        for arm in plan.arms
    ]
    power = asdict(plan.power)
    power["needed"] = [{"sd_in_margins": sd, "replicates": n} for sd, n in plan.power.needed.items()]
    return {
        **{name: getattr(plan, name) for name in ("question", "metric", "probed", "free")},
        "arms": arms,
        "baselines": dict(plan.baselines),
        "total": {
            "trainings": sum(arm.trainings for arm in plan.arms),
            "epochs": total(arm.all_epochs for arm in plan.arms),
            "seconds": total(arm.seconds for arm in plan.arms),
            "bytes": total(arm.bytes for arm in plan.arms),
        },
        "power": power,
        "warnings": list(plan.warnings),
        "notes": list(plan.notes),
    }


def show_study_plan(plan: StudyPlan) -> RenderableType:
    """Return the plan for a terminal: what is compared, what it costs, what it can show."""
    parts: list[RenderableType] = [Text(one_line(plan.question), "bold"), Text(), _spaces(plan)]
    parts += [Text(equality(arm.space_size for arm in plan.arms), "dim"), Text(), _costs(plan)]
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
    trials, replicates = ([arm.searches * getattr(arm, what) for arm in plan.arms] for what in ("trials", "replicates"))
    searches = [
        Column("searches", [*(str(arm.searches) for arm in plan.arms), str(sum(arm.searches for arm in plan.arms))])
    ]
    steps = [Column("steps", _spans([arm.all_steps for arm in plan.arms], lambda count: f"{count:,.0f}"))]
    return FittedTable(
        [
            Column("arm", [*(arm.name for arm in plan.arms), "all"], justify="left"),
            *(searches if any(arm.searches > 1 for arm in plan.arms) else ()),
            Column("trials", [*map(str, trials), str(sum(trials))]),
            Column("replicates", [*map(str, replicates), str(sum(replicates))]),
            Column("epochs", _spans([arm.all_epochs for arm in plan.arms], lambda count: f"{count:,.0f}")),
            *(steps if any(arm.steps for arm in plan.arms) else ()),
            Column("time", _spans([arm.seconds for arm in plan.arms], rough_duration)),
            Column("disk", _spans([arm.bytes for arm in plan.arms], rough_size)),
        ]
    )


def _spans(spans: Sequence[Span | None], text: Callable[[float], str]) -> list[str]:
    """Return each span and their sum: `3 - 5 min`, `40 s - 2 min`, or one number where both ends look alike."""
    return [UNKNOWN if span is None else _span(*map(text, span)) for span in (*spans, total(spans))]


def _span(low: str, high: str) -> str:
    if low == high:
        return high
    amount, _, unit = low.partition(" ")
    return f"{amount if unit == high.partition(' ')[2] else low} - {high}"


def _power(plan: StudyPlan) -> list[RenderableType]:
    """Return the detectable effect in words, the replicates needed, and what is known."""
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
