"""What pruning saved in a search, and what it risked: a pure function of the trials as the log tells them."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from hpsearch.records import ExperimentRecord, Outcome, RunRecord

ENOUGH = 5
"""How many trials must have come to the end before the agreement of an early step with it is told."""
RUNGS = 3
"""Of how many steps that is told at most: those at which the most trials were stopped."""


@dataclass(frozen=True)
class Agreement:
    """How far the order of trials at a step was that of the end, by Spearman's rank correlation over `trials`.

    They are those that came to the end, and so were let through at the step: among all the agreement is mostly higher.
    `stopped` ended there. The correlation is None where too few came to the end, or all are equal.
    """

    step: int
    stopped: int
    trials: int
    correlation: float | None


@dataclass(frozen=True)
class Pruning:
    """What pruning did: the steps that were trained and those that were saved, in the experiment's unit.

    Saved is what the pruned trials lack of the median length of the complete ones. `agreements` are in the order of
    the steps.
    """

    trained: int
    saved: int
    pruned: int
    complete: int
    agreements: tuple[Agreement, ...]

    @property
    def factor(self) -> float:
        """How many times more steps all trials at full length would have had."""
        return (self.trained + self.saved) / self.trained


def pruning_of(record: ExperimentRecord) -> Pruning | None:
    """Return what pruning did in a search; None where no trial was pruned, or nothing can be measured."""
    ended = [trial for trial in record.trials if trial.outcome is not None and trial.history]
    pruned = [trial for trial in ended if trial.outcome is Outcome.PRUNED]
    complete = [trial for trial in record.ranked if trial.history]
    trained = sum(map(_last, ended))
    if not pruned or not complete or not trained:
        return None
    whole = round(median(_last(trial) for trial in complete))
    stops = Counter(map(_last, pruned))
    rungs = sorted(sorted(stops, key=lambda step: (-stops[step], step))[:RUNGS])
    return Pruning(
        trained=trained,
        saved=sum(max(whole - _last(trial), 0) for trial in pruned),
        pruned=len(pruned),
        complete=len(complete),
        agreements=tuple(_agreement(step, stops[step], complete) for step in rungs),
    )


def _last(trial: RunRecord) -> int:
    return trial.history[-1][0]


def _agreement(step: int, stopped: int, complete: Sequence[RunRecord]) -> Agreement:
    pairs = [(dict(trial.history).get(step, math.nan), trial.value or 0.0) for trial in complete]
    pairs = [(early, value) for early, value in pairs if math.isfinite(early)]
    correlation = rank_correlation(pairs) if len(pairs) >= ENOUGH else None
    return Agreement(step, stopped, len(pairs), correlation)


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Spearman's rank correlation, equal values at their mean rank; None if all of a column are equal."""
    first, second = (_ranks([pair[place] for pair in pairs]) for place in (0, 1))
    middle = (len(pairs) + 1) / 2
    across = sum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    along = math.prod(sum((rank - middle) ** 2 for rank in ranks) for ranks in (first, second))
    return across / math.sqrt(along) if along else None


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + bisect_right(ordered, value) + 1) / 2 for value in values]
