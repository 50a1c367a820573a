"""Which hyperparameters mattered: PED-ANOVA (Watanabe et al. 2023), in its form for conditional parameters.

It is what Optuna's evaluator computes (a test compares the two), without loading Optuna and what that
loads: `show` is to answer at once, and the answer is a few sums over 50 points for each parameter.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from hpsearch.experiment.reading import written_range
from hpsearch.records import ExperimentRecord, RunRecord, is_number, label

FEWEST_TRIALS = 10
"""With fewer complete trials the answer would be noise."""
TOP_TRIALS = 5
"""Optuna advises at least this many trials in the better part that is separated from the rest."""
LOG_RATIO = 30.0
"""Positive floats that span a larger ratio are taken to be searched on a log scale, where the space is not known."""
GRID = 50
"""The most parts that a numeric range is divided into."""
FEWEST_THERE = 2
"""A parameter that exists in fewer trials says nothing."""


@dataclass(frozen=True)
class Numbers:
    """The range of a number, both ends included; `whole` numbers only."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def size(self) -> int:
        """How many parts it has."""
        if self.low == self.high:
            return 1
        if not self.whole:
            return GRID
        count = round(self.high - self.low) + 1
        return min(math.ceil(math.log(count) / math.log(2)) + 1 if self.log else count, GRID)

    def parts(self, values: Iterable[Any]) -> list[int]:
        """Return the part that each value lies in; the lower one of two that are equally near."""
        low, high, values = self.low, self.high, list(values)
        if self.log:
            low, high, values = math.log(low), math.log(high), [math.log(value) for value in values]
        last = self.size - 1
        width = (high - low) / last
        return [min(max(math.ceil((value - low) / width - 0.5), 0), last) for value in values]

    def density(self, counts: Sequence[int]) -> list[float]:
        """Estimate the probability of each part from how many trials there are in it; a uniform prior counts as one.

        A discrete normal distribution around each part that has trials, as wide as Scott's rule says (Scott 1992).
        """
        parts = [part for part, count in enumerate(counts) if count]
        weights = [counts[part] for part in parts]
        width = max(_scott(parts, weights), 0.5 / 1.64)  # 90 % of the mass within the part
        kernels = [(float(part), width, count) for part, count in zip(parts, weights, strict=True)]
        kernels.append(((self.size - 1) / 2, float(self.size), 1))
        size, total = self.size, sum(weights) + 1
        density = [0.0] * size
        for mean, deviation, count in kernels:
            whole = _mass(-0.5, size - 0.5, mean, deviation)
            for part in range(size):
                density[part] += count / total * _mass(part - 0.5, part + 0.5, mean, deviation) / whole
        return density


@dataclass(frozen=True)
class Options:
    """Values that are no numbers, by their labels."""

    labels: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.labels)

    def parts(self, values: Iterable[Any]) -> list[int]:
        """Return which of them each value is."""
        known = {name: index for index, name in enumerate(self.labels)}
        return [known[label(value)] for value in values]

    def density(self, counts: Sequence[int]) -> list[float]:
        """Estimate the probability of each option; the prior is one trial, spread over all of them."""
        kernels, total = sum(count > 0 for count in counts) + 1, sum(counts) + 1
        spread = 1 / kernels  # a kernel is the option that was taken, and this much of each
        seen = [count / total / (1 + self.size * spread) for count in counts]
        return [1 / total / self.size + own + spread * sum(seen) for own in seen]


def _scott(parts: Sequence[int], weights: Sequence[int]) -> float:
    """Return a width by Scott's rule, from the smaller of the deviation and the distance of the quartiles."""
    total, reached = sum(weights), list(accumulate(weights))
    mean = sum(part * weight for part, weight in zip(parts, weights, strict=True)) / total
    squares = sum((part - mean) ** 2 * weight for part, weight in zip(parts, weights, strict=True))
    first = next(index for index, count in enumerate(reached) if count >= total // 4)
    third = next((index for index, count in enumerate(reached) if count > total * 3 // 4), len(parts) - 1)
    between = parts[third] - parts[first]
    return float(1.059 * min(between / 1.34, math.sqrt(squares / max(1, total - 1))) * total**-0.2)


def _mass(low: float, high: float, mean: float, deviation: float) -> float:
    """Return the probability of an interval under a normal distribution; of a far one without losing its digits."""
    left, right = ((end - mean) / deviation / math.sqrt(2) for end in (low, high))
    if left > 0:
        left, right = -right, -left
    return (math.erfc(-right) - math.erfc(-left)) / 2 if right <= 0 else (math.erf(right) - math.erf(left)) / 2


Range = Numbers | Options


def importance(record: ExperimentRecord, space: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Return each searched parameter's share (they sum to 1) in what tells the best tenth of the trials from the rest.

    The best tenth, but at least 5 trials, of the complete ones: values of pruned trials are of another budget. A pruner
    therefore narrows what can be seen. `space` is the `space` section of resolved.json; without it the ranges are those
    of the values that were tried. A parameter that exists only under an option counts where it exists. The result is
    ordered, and empty with fewer than 10 complete trials, or when nothing tells good trials from bad ones.
    """
    trials = record.ranked
    if len(trials) < FEWEST_TRIALS:
        return {}
    last = trials[math.ceil(min(0.5, max(0.1, TOP_TRIALS / len(trials))) * len(trials)) - 1]
    top = sum(1 for _ in _until(trials, last.value))
    found = {path: _importance(path, trials, top, space) for path in _paths(trials)}
    total = sum(found.values())
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return {path: value / total for path, value in ordered} if total > 0 else {}


def _until(trials: Iterable[RunRecord], value: float | None) -> Iterable[RunRecord]:
    """Yield ranked trials up to the last one of a value."""
    met = False
    for trial in trials:
        if met and trial.value != value:
            return
        met = met or trial.value == value
        yield trial


def _paths(trials: Iterable[RunRecord]) -> list[str]:
    return list(dict.fromkeys(path for trial in trials for path in trial.params))


def _importance(path: str, trials: Sequence[RunRecord], top: int, space: Mapping[str, Any] | None) -> float:
    """Return how far the density of a parameter in the first `top` trials is from that in all (Pearson's divergence).

    Where it does not exist in all trials: times its share of the top, squared, over its share of all (Theorem 4.2 of
    the conditional form, Optuna's reference arXiv:2601.20800).
    """
    values = [trial.params[path] for trial in trials if path in trial.params]
    better = sum(path in trial.params for trial in trials[:top])
    known = range_of(path, values, space)
    if known.size == 1 or len(values) < FEWEST_THERE or not better:
        return 0.0
    parts = known.parts(values)
    pairs = zip(_density(known, parts[:better]), _density(known, parts), strict=True)
    divergence = sum(whole * (part / whole - 1) ** 2 for part, whole in pairs)
    return (better / top) ** 2 / (len(values) / len(trials)) * divergence


def _density(known: Range, parts: Iterable[int]) -> list[float]:
    counts = Counter(parts)
    return [probability + 1e-12 for probability in known.density([counts[part] for part in range(known.size)])]


def range_of(path: str, values: Sequence[Any], space: Mapping[str, Any] | None) -> Range:
    """Return the range of a parameter as the space has it, widened to the values that were tried, or else of those."""
    written = {} if space is None else written_range(path, space)
    if not all(map(is_number, values)) or "choice" in written:
        return Options(tuple(sorted({label(value) for value in values})))
    bounds: list[Any] = next((written[kind] for kind in ("int", "log", "float") if kind in written), [])
    low, high = min([*values, *bounds]), max([*values, *bounds])
    if all(isinstance(value, int) for value in values) and ("int" in written or not written):
        return Numbers(low, high, log=bool(written.get("log", False)) and low > 0, whole=True)
    guessed = low > 0 and high / low > LOG_RATIO
    return Numbers(low, high, log=low > 0 and ("log" in written if written else guessed))
