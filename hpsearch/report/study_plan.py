"""What a study is going to cost and to see, before anything is spent: for the terminal and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hpsearch.report.fitted_table import Column, FittedTable
from hpsearch.report.wording import UNKNOWN, duration, number, one_line, plain

Span = tuple[float, float]
"""The least and the most that is expected."""


@dataclass(frozen=True)
class ArmPlan:
    """One arm that is searched. `epochs` are those of one training; what nobody knows is None, `trouble` says why.

    `size` is the number of configurations, None for a continuum. `seconds` are those of the whole arm on this machine
    with so many `workers`; `capped` says that the budget's time ends its search. `bytes` stay on the disk.
    """

    name: str
    family: str
    fixed: Mapping[str, Any]
    ranges: int
    size: int | None
    trials: int
    replicates: int
    workers: int
    epochs: tuple[int, int] | None = None
    seconds: Span | None = None
    capped: bool = False
    bytes: Span | None = None
    trouble: Sequence[str] = ()

    @property
    def trainings(self) -> int:
        """The trials of the search and the replicates of its winner."""
        return self.trials + self.replicates

    @property
    def all_epochs(self) -> Span | None:
        """The epochs of all trainings together."""
        return None if self.epochs is None else (self.trainings * self.epochs[0], self.trainings * self.epochs[1])


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

    `effect` is the smallest difference that is seen, in standard deviations of the paired differences; `largest_sd` the
    largest such deviation at which a difference of the margin is seen, `largest_sd_equivalence` the one at which
    equal arms are shown to be equivalent. `needed` maps deviations, in margins, to the replicates that would do.
    """

    unit: str
    replicates: int
    tests: int
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
class StudyPlan:
    """A whole study. `baselines` says of each classical arm what it is; `free` are the bytes left on the disk.

    `unequal` says how the arms' spaces differ in size, if they do.
    """

    question: str
    metric: str
    arms: Sequence[ArmPlan]
    baselines: Mapping[str, str]
    power: PowerPlan
    free: int
    probed: bool
    unequal: str | None = None
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()


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
        **{name: getattr(plan, name) for name in ("question", "metric", "probed", "unequal", "free")},
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
    if plan.unequal:
        parts.append(Text(one_line(plan.unequal), "yellow"))
    parts += [Text(), _costs(plan), *(Text(one_line(note), "dim") for note in plan.notes)]
    parts += [Text(), *_power(plan)]
    parts += [Text(f"warning: {one_line(warning)}", "yellow") for warning in plan.warnings]
    return Group(*parts)


def _spaces(plan: StudyPlan) -> FittedTable:
    fixed = [", ".join(f"{name}={plain(value)}" for name, value in arm.fixed.items()) or "nothing" for arm in plan.arms]
    blank = [""] * len(plan.baselines)
    return FittedTable(
        [
            Column("arm", [*(arm.name for arm in plan.arms), *plan.baselines], justify="left"),
            Column("ranges", [*(str(arm.ranges) for arm in plan.arms), *blank]),
            Column("configurations", [*map(_size, plan.arms), *blank], rank=1),
            Column("sets", [*fixed, *plan.baselines.values()], justify="left", flexible=True),
        ]
    )


def _size(arm: ArmPlan) -> str:
    return "a continuum" if arm.size is None else str(arm.size)


def _costs(plan: StudyPlan) -> FittedTable:
    arms = plan.arms
    sums = {
        "trials": sum(arm.trials for arm in arms),
        "replicates": sum(arm.replicates for arm in arms),
    }
    return FittedTable(
        [
            Column("arm", [*(arm.name for arm in arms), "all"], justify="left"),
            Column("trials", [*(str(arm.trials) for arm in arms), str(sums["trials"])]),
            Column("replicates", [*(str(arm.replicates) for arm in arms), str(sums["replicates"])]),
            Column("epochs", _spans([arm.all_epochs for arm in arms], lambda value: f"{value:,.0f}")),
            Column("time", _spans([arm.seconds for arm in arms], rough_duration)),
            Column("disk", _spans([arm.bytes for arm in arms], rough_size)),
        ]
    )


def _spans(spans: Sequence[Span | None], said: Any) -> list[str]:
    return [_span(span, said) for span in (*spans, total(spans))]


def _span(span: Span | None, said: Any) -> str:
    if span is None:
        return UNKNOWN
    low, high = said(span[0]), said(span[1])
    return str(high) if low == high else f"{low} - {high}"


def rough_duration(seconds: float) -> str:
    """Return a time as roughly as it is known: 8 s, 25 min, 3.5 h, 2 d 4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else duration(seconds)


def rough_size(count: float) -> str:
    """Return an amount of bytes with two digits: 34 kB, 1.2 GB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 10 * scale else f"{count / scale:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _power(plan: StudyPlan) -> list[RenderableType]:
    """Return what is seen with the power planned for, in words, then the replicates needed, then what is known."""
    power, alpha = plan.power, f"{plan.power.alpha:g}"
    level = alpha if power.level == power.alpha else f"{alpha} / {power.tests} ({power.adjust})"
    tests = "the test" if power.tests == 1 else f"each of {power.tests} tests"
    opening = f"With {power.replicates} {power.unit}, {tests} of {one_line(plan.metric)} at {level} has a power of 80%"
    if power.margin is None:
        lines = [f"{opening} for a difference of {power.effect:.2g} standard deviations of the paired differences."]
    else:
        lines = [
            f"{opening} where the paired differences have a standard deviation of at most",
            f"  {power.largest_sd:.2g}  for a difference of the margin, {power.margin:g}",
            f"  {power.largest_sd_equivalence:.2g}  for equal arms to be found equivalent",
        ]
    parts: list[RenderableType] = [Text(line) for line in lines]
    if power.margin is not None and power.needed:
        parts += [Text(), _needed(power.needed, power.margin, power.unit)]
    if power.observed:
        parts += [Text(), _observed(power)]
    return [*parts, *(Text(one_line(note), "dim") for note in power.notes)]


def _needed(needed: Mapping[float, int | None], margin: float, unit: str) -> FittedTable:
    return FittedTable(
        [
            Column("if it is", [f"{unit} needed for the margin"], justify="left"),
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
