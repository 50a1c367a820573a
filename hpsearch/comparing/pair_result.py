"""What is known of one experiment against another: a pair's entry in compare.json, and what the pictures need.

A difference is always a minus b in the metric's own unit, and so are the signs of statistics and effects; `verdict` and
`p_superiority` speak of a and know the goal. None is what could not be computed; the notes say why.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hpsearch.comparing.question import Test
from hpsearch.comparing.statistics.adjustment import Hold
from hpsearch.comparing.statistics.inversion import ByStudent, Interval, Inversion


class Verdict(StrEnum):
    """What may be said of a against b."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Effect:
    """A standardised difference: `d_z` of paired, `hedges_g` of unpaired values."""

    name: str
    value: float | None
    ci95: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        return {"name": self.name, "value": self.value, "ci95": self.ci95}


@dataclass(frozen=True)
class AlsoTest:
    """A second test of the same pair, shown and not decisive. A test without a statistic of its own has only its p."""

    test: Test
    p: float | None
    statistic: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        statistic = {} if self.statistic is None else {"statistic": self.statistic}
        return {"test": self.test, **statistic, "p": self.p}


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests against a margin given beforehand; `equivalent` says it after the family's adjustment."""

    margin: float
    p: float | None
    equivalent: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        return {"margin": self.margin, "p": self.p, "equivalent": self.equivalent}


@dataclass(frozen=True)
class Check:
    """An assumption looked at, shown and never used to choose the test. `p` is None where a check has none."""

    assumption: str
    test: str
    p: float | None
    says: str


@dataclass(frozen=True)
class Rope:
    """Bayesian probabilities that a is worse than b by more than the region `rope`, within it, better by more."""

    test: str
    rope: float
    worse: float
    within: float
    better: float


@dataclass(frozen=True)
class PairResult:
    """Experiment a against experiment b.

    `ci95` is that of the deciding test for this pair alone. `ci_adjusted` agrees with the verdict: it excludes 0 just
    if a is better or worse after the adjustment, and of equivalent ones lies within the margin; `ci_adjusted_level` is
    its own confidence. `hodges_lehmann` is the difference that intervals of signed ranks are of; others are of the
    mean.

    Beyond: the `units`, a's and b's values and (paired) their differences in the same order; how `ci95` was made, and
    at any other level (`inversion`; `student` for the t test of equivalence); for what `ci_adjusted` holds
    (`ci_holds`); the `direction` that the deciding test sees, by its sign; the assumption `checks`; the Bayesian
    `rope`; the almost stochastic order's `aso` (violation ratio of "a is better"; below 0.2 a dominates); `power` of
    this design to see the observed difference.
    """

    a: str
    b: str
    paired: bool
    n: int
    mean_difference: float | None = None
    ci95: Interval | None = None
    ci_adjusted: Interval | None = None
    ci_adjusted_level: float | None = None
    hodges_lehmann: float | None = None
    test: Test | None = None
    sided: int = 2
    statistic: float | None = None
    df: float | tuple[float, float] | None = None
    p: float | None = None
    p_adjusted: float | None = None
    smallest_possible_p: float | None = None
    effect: Effect | None = None
    cliffs_delta: float | None = None
    p_superiority: float | None = None
    also: tuple[AlsoTest, ...] = ()
    equivalence: Equivalence | None = None
    verdict: Verdict = Verdict.NOT_TESTABLE
    seeds_needed: int | None = None
    notes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    a_values: tuple[float, ...] = ()
    b_values: tuple[float, ...] = ()
    differences: tuple[float, ...] = ()
    ci_method: str | None = None
    ci_holds: Hold = Hold.ALONE
    inversion: Inversion | None = None
    student: ByStudent | None = None
    direction: float | None = None
    checks: tuple[Check, ...] = ()
    rope: Rope | None = None
    aso: float | None = None
    power: float | None = None

    @property
    def shown_difference(self) -> float | None:
        """What `ci_adjusted` is an interval of: the mean difference, or that of the signed ranks where they decide."""
        if self.hodges_lehmann is None or self.verdict is Verdict.EQUIVALENT:
            return self.mean_difference
        return self.hodges_lehmann

    @property
    def identical(self) -> bool:
        """Whether a and b have the very same value in each of two or more pairs: then there is nothing to test."""
        return len(self.differences) > 1 and not any(self.differences)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        names = "a b paired n mean_difference ci95 ci_adjusted ci_adjusted_level hodges_lehmann test sided statistic df"
        names += " p p_adjusted smallest_possible_p"
        return {name: getattr(self, name) for name in names.split()} | {
            "effect": None if self.effect is None else self.effect.to_json(),
            "cliffs_delta": self.cliffs_delta,
            "p_superiority": self.p_superiority,
            "also": [test.to_json() for test in self.also],
            "equivalence": None if self.equivalence is None else self.equivalence.to_json(),
            "verdict": str(self.verdict),
            "seeds_needed": self.seeds_needed,
            "notes": list(self.notes),
        }
