"""The result of a comparison: what the report shows, and compare.json (version 1) as DESIGN 7 writes it.

None is what could not be computed; the notes say why.
Fields marked "beyond" are for the pictures and not in compare.json.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpsearch.comparing.pair_result import PairResult
from hpsearch.comparing.question import Unit
from hpsearch.comparing.statistics.inversion import Interval
from hpsearch.records import Goal

VERSION = 1


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
    trained (None where they differ or nobody knows) and the `seconds` of all of them.
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
    """Everything that was computed. Beyond: why the `unit` was chosen, `baseline`, `margin`, `seed`, `optimism`."""

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
                "experiments": [each.to_json() for each in self.experiments],
                "pairs": [pair.to_json() for pair in self.pairs],
                "across_datasets": None if self.across_datasets is None else self.across_datasets.to_json(),
                "expected_best": [each.to_json() for each in self.expected_best],
                "warnings": list(self.warnings),
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
