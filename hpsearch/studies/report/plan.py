"""What a study is going to cost and to see, before anything is spent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Span = tuple[float, float]
"""The least and the most that is expected."""


@dataclass(frozen=True)
class ArmPlan:
    """One arm that is searched. `epochs` are those of one training; what nobody knows is None, `trouble` says why.

    Its space is as in `ArmReport`. `seconds` are those of the whole arm on this machine with so many `workers`;
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
    epochs: tuple[int, int] | None = None
    seconds: Span | None = None
    capped: bool = False
    bytes: Span | None = None
    done: int = 0
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

    The level is `alpha`, shared by so many `families` of tests, and by the tests of one as far as `adjust` asks for it.

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
class StudyPlan:
    """A whole study. `baselines` says of each classical arm what it is; `free` are the bytes left on the disk."""

    question: str
    metric: str
    arms: Sequence[ArmPlan]
    baselines: Mapping[str, str]
    power: PowerPlan
    free: int
    probed: bool
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
