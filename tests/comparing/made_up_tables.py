"""Tables of runs whose true differences are known, and how often a comparison claims what is wrong of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.comparing.comparison import Comparison, PairResult, Verdict
from hpsearch.records import FinishedRun
from tests.comparing.arms import compare, run

DESIGNS = ("seeds", "folds", "folds with seeds", "data sets")
NAMES = "abcdefgh"
SEEDS = 3
"""Of each fold, where folds are trained with several."""


def table(design: str, generator: np.random.Generator, *, n: int, means: Sequence[float]) -> list[FinishedRun]:
    """Return the runs of arms with these true means, on n units; what an arm adds to a unit's value has variance 1.

    What arms add to folds is correlated by 1/n, as Nadeau and Bengio take it for n-fold cross-validation.
    """
    shared = 10 + generator.normal(0, 2, n)
    found = []
    for arm, mean in zip(NAMES, means, strict=False):
        own = generator.normal(size=n)
        if design.startswith("folds"):
            own = (1 / n) ** 0.5 * generator.normal() + (1 - 1 / n) ** 0.5 * own
        for unit, value in enumerate(shared + mean + own):
            if design == "seeds":
                found.append(run(arm, float(value), seed=unit))
            elif design == "folds":
                found.append(run(arm, float(value), fold=unit))
            elif design == "data sets":
                found.append(run(arm, float(value), dataset=f"d{unit}"))
            else:
                noise = generator.normal(0, 0.2, SEEDS)
                found += [run(arm, float(value + each), fold=unit, seed=seed) for seed, each in enumerate(noise)]
    return found


@dataclass(frozen=True)
class Wrong:
    """In how many of so many tables a difference was claimed wrongly, an equivalence, or either."""

    tables: int = 0
    differences: int = 0
    equivalences: int = 0
    either: int = 0

    def __add__(self, other: "Wrong") -> "Wrong":
        return Wrong(*(own + more for own, more in zip(vars(self).values(), vars(other).values(), strict=True)))


def wrong_claims(comparison: Comparison, means: Sequence[float]) -> Wrong:
    """Return what is wrong in one comparison, as the counts of a single table."""
    truth = dict(zip(NAMES, means, strict=False))
    wrong = [_wrong(pair, truth[pair.a] - truth[pair.b]) for pair in comparison.pairs]
    difference, equivalence = any(each == "difference" for each in wrong), any(each == "equal" for each in wrong)
    return Wrong(1, int(difference), int(equivalence), int(difference or equivalence))


def _wrong(pair: PairResult, true: float) -> str | None:
    if pair.verdict is Verdict.EQUIVALENT and pair.equivalence is not None:
        return "equal" if abs(true) >= pair.equivalence.margin else None
    better = {Verdict.BETTER: true <= 0, Verdict.WORSE: true >= 0}
    return "difference" if better.get(pair.verdict, False) else None


def simulate(
    design: str, generator: np.random.Generator, *, sizes: Iterable[int], arms: int, margin: float | None, tables: int
) -> Wrong:
    """Return the wrong claims of so many tables of each size; all arms are equal, or with a margin half by it apart."""
    found = Wrong()
    for n in sizes:
        means = [0.0 if margin is None or place % 2 else margin for place in range(arms)]
        for _ in range(tables):
            comparison = compare(table(design, generator, n=n, means=means), margin=margin)
            found += wrong_claims(comparison, means)
    return found
