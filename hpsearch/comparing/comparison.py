"""The result of a comparison: what the report shows, and compare.json (version 1).

A difference is always a minus b in the metric's own unit, and so are the signs of statistics and effects; `verdict` and
`p_superiority` speak of a and know the goal. None is what could not be computed; the notes say why. Fields that a
docstring names after "Beyond" are for the pictures and not in compare.json.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hpsearch.comparing.background import Methods
from hpsearch.comparing.over_examples import OverExamples
from hpsearch.comparing.question import Test, Unit
from hpsearch.comparing.statistics.adjustment import Hold
from hpsearch.comparing.statistics.intervals import ByStudent, Interval, Inversion
from hpsearch.records import Goal

VERSION = 1


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
    """An assumption looked at, shown and never used to choose the test. `p` is None if a check has none."""

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
class PairValues:
    """The values behind a pair: its `units`, a's and b's values and (paired) their differences in the same order."""

    units: tuple[str, ...] = ()
    a: tuple[float, ...] = ()
    b: tuple[float, ...] = ()
    differences: tuple[float, ...] = ()


@dataclass(frozen=True)
class VerdictBasis:
    """From what the intervals at any level and the verdict are made.

    `inversion` is that of the deciding test, `method` its name as the report says it; `student` is the t test of
    equivalence. `holds` says for what `ci_adjusted` holds. `direction` is the difference as the deciding test sees it,
    by its sign.
    """

    method: str | None = None
    holds: Hold = Hold.ALONE
    inversion: Inversion | None = None
    student: ByStudent | None = None
    direction: float | None = None


@dataclass(frozen=True)
class Further:
    """What is shown in addition, and decides nothing.

    The assumption `checks`; the Bayesian `rope`; the almost stochastic order's `aso` (violation ratio of "a is better";
    below 0.2 a dominates); `power` of this design to see the observed difference.
    """

    checks: tuple[Check, ...] = ()
    rope: Rope | None = None
    aso: float | None = None
    power: float | None = None


@dataclass(frozen=True)
class PairResult:
    """Experiment a against experiment b: the entry of compare.json, and three parts beyond it.

    `ci95` is that of the deciding test for this pair alone. `ci_adjusted` agrees with the verdict: it excludes 0 just
    if a is better or worse after the adjustment, and of equivalent ones lies within the margin; `ci_adjusted_level` is
    its own confidence. `hodges_lehmann` is the difference that intervals of signed ranks are of; others are of the
    mean.

    Beyond: the `values` behind it, the `basis` of its intervals and verdict, and what is shown `further`.
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
    over_examples: OverExamples | None = None
    values: PairValues = PairValues()
    basis: VerdictBasis = VerdictBasis()
    further: Further = Further()

    @property
    def shown_difference(self) -> float | None:
        """What `ci_adjusted` is an interval of: the mean difference, or that of the signed ranks where they decide."""
        if self.hodges_lehmann is None or self.verdict is Verdict.EQUIVALENT:
            return self.mean_difference
        return self.hodges_lehmann

    @property
    def identical(self) -> bool:
        """Whether a and b have the very same value in each of two or more pairs: then there is nothing to test."""
        return len(self.values.differences) > 1 and not any(self.values.differences)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        names = "a b paired n mean_difference ci95 ci_adjusted ci_adjusted_level hodges_lehmann test sided statistic df"
        names += " p p_adjusted smallest_possible_p"
        examples = {} if self.over_examples is None else {"over_examples": self.over_examples.to_json()}
        return {name: getattr(self, name) for name in names.split()} | {
            "effect": None if self.effect is None else self.effect.to_json(),
            "cliffs_delta": self.cliffs_delta,
            "p_superiority": self.p_superiority,
            "also": [test.to_json() for test in self.also],
            "equivalence": None if self.equivalence is None else self.equivalence.to_json(),
            "verdict": str(self.verdict),
            "seeds_needed": self.seeds_needed,
            "notes": list(self.notes),
            **examples,
        }


@dataclass(frozen=True)
class DroppedRun:
    """A run that does not count, by name, with the reason."""

    run: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        return {"run": self.run, "why": self.why}


@dataclass(frozen=True)
class ExperimentSummary:
    """One experiment (or one group of its runs). `n` counts units; `sd` divides by n - 1.

    Beyond: `units` with their `values` in the order of the units, `runs` that went into them, the `steps` each was
    trained (None if they differ or are not known) and the `seconds` of all of them.
    """

    name: str
    n: int
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    iqm: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    ci95: Interval | None = None
    ci_method: str | None = None
    runs_dropped: tuple[DroppedRun, ...] = ()
    units: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    runs: tuple[str, ...] = ()
    steps: int | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        shown = {name: getattr(self, name) for name in ("name", "n", "mean", "sd", "median", "iqm")}
        shown |= {"min": self.minimum, "max": self.maximum, "ci95": self.ci95, "ci_method": self.ci_method}
        return shown | {"runs_dropped": [run.to_json() for run in self.runs_dropped]}


@dataclass(frozen=True)
class Omnibus:
    """A test of all methods at once. `df` is one number (Friedman) or two (Iman and Davenport's F)."""

    statistic: float | None
    df: float | tuple[float, float]
    p: float | None


@dataclass(frozen=True)
class WinsTiesLosses:
    """On how many data sets a method beats, equals and loses to the others, counted over all others."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class AcrossDatasets:
    """Several methods on the same data sets; rank 1 is the best. Display: the pairs' tests decide (rule 6).

    Beyond: the `datasets` and each method's `values` on them, `cliques` of methods that Nemenyi's test at `alpha` does
    not tell apart (a bar of the critical-difference diagram each), the performance `profiles`: method -> for each
    threshold the share of data sets on which it is at least as good.
    """

    average_ranks: Mapping[str, float]
    friedman: Omnibus
    iman_davenport: Omnibus
    nemenyi_cd: float | None
    wins_ties_losses: Mapping[str, WinsTiesLosses]
    tie_corrected: bool = True
    datasets: tuple[str, ...] = ()
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    cliques: tuple[tuple[str, ...], ...] = ()
    thresholds: tuple[float, ...] = ()
    profiles: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        friedman, iman_davenport = self.friedman, self.iman_davenport
        return {
            "average_ranks": dict(self.average_ranks),
            "friedman": {
                "statistic": friedman.statistic,
                "df": friedman.df,
                "p": friedman.p,
                "tie_corrected": self.tie_corrected,
            },
            "iman_davenport": {
                "statistic": iman_davenport.statistic,
                "df": iman_davenport.df,
                "p": iman_davenport.p,
            },
            "nemenyi_cd": self.nemenyi_cd,
            "wins_ties_losses": {
                name: [each.wins, each.ties, each.losses] for name, each in self.wins_ties_losses.items()
            },
        }


@dataclass(frozen=True)
class ExpectedBest:
    """The expected best of n trials of an experiment. `estimator` is `with replacement` or `unbiased`.

    Beyond: the `metric` it is of, and the bootstrap `band` (95%).
    """

    name: str
    n: int
    mean: float
    estimator: str
    metric: str = ""
    band: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        return {"name": self.name, "n": self.n, "mean": self.mean, "estimator": self.estimator}


@dataclass(frozen=True)
class Optimism:
    """By how much the best of n scores overstates (`bias`, in the metric's unit): sd x E[max of n standard normals]."""

    name: str
    metric: str
    n: int
    best: float
    bias: float


@dataclass(frozen=True)
class Comparison:
    """Everything that was computed; `methods` says it for a paper, where somebody has written it.

    Beyond: why the `unit` was chosen, `baseline`, `margin`, `seed`, `optimism`; `varied` names the sources of
    variance in which the runs of an arm differ.
    """

    metric: str
    goal: Goal
    unit: Unit
    alpha: float
    family_size: int
    adjust: str
    experiments: tuple[ExperimentSummary, ...]
    pairs: tuple[PairResult, ...]
    across_datasets: AcrossDatasets | None = None
    expected_best: tuple[ExpectedBest, ...] = ()
    warnings: tuple[str, ...] = ()
    unit_reason: str = ""
    baseline: str | None = None
    margin: float | None = None
    seed: int = 0
    optimism: tuple[Optimism, ...] = ()
    varied: tuple[str, ...] = ()
    methods: Methods | None = field(default=None, compare=False)  # it tells times, which differ from run to run

    def to_json(self) -> dict[str, Any]:
        """Return compare.json. Infinite and undefined numbers have no place in JSON: they become None."""
        shown: dict[str, Any] = _finite(
            {
                "version": VERSION,
                "metric": self.metric,
                "goal": str(self.goal),
                "unit": str(self.unit),
                "alpha": self.alpha,
                "family_size": self.family_size,
                "adjust": self.adjust,
                "varied": list(self.varied),
                "experiments": [each.to_json() for each in self.experiments],
                "pairs": [pair.to_json() for pair in self.pairs],
                "across_datasets": None if self.across_datasets is None else self.across_datasets.to_json(),
                "expected_best": [each.to_json() for each in self.expected_best],
                "warnings": list(self.warnings),
                **({} if self.methods is None else {"methods": self.methods.to_json()}),
            }
        )
        return shown


def _finite(value: Any) -> Any:
    """Return plain data that JSON holds: tuples as lists, numbers that are not finite as None."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
