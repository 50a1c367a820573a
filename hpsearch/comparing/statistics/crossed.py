"""The uncertainty of a difference over seeds and over test examples, from the scores of each seed on each example.

Every training is scored on the same examples, so that seeds and examples are crossed: with seeds i and examples j a
score is m + s_i + e_j + r_ij. The variance of the mean difference over further seeds and further examples is estimated
from the mean squares of the two-way random-effects analysis, with the degrees of freedom of Satterthwaite (1946), as
radiology does for readers and cases (Dorfman, Berbaum and Metz 1992; Hillis 2007). With few seeds its interval is wide
enough where that of the multi-bootstrap (Sellam et al. 2022, "The MultiBERTs", section 3) is not: resampling five
seeds shows 4/5 of their variance, and no t quantile.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import special

from hpsearch.comparing.statistics.arrays import LEVEL, Array, Tested, two_sided_p
from hpsearch.comparing.statistics.intervals import Interval, t_interval

Labels = npt.NDArray[np.int64]


class Population(StrEnum):
    """What a claim is about."""

    SEEDS = "further seeds on these data"
    EXAMPLES = "these trained models on further data"
    BOTH = "further seeds on further data"


@dataclass(frozen=True)
class Variance:
    """A variance of the mean and the degrees of freedom with which it is known."""

    value: float
    df: float


@dataclass(frozen=True)
class Crossed:
    """The mean difference and its variance by the source: seeds, examples, and what neither explains.

    Each of `seeds` and `examples` holds the residuals' part too, as a mean over further ones of the one kind would.
    """

    estimate: float
    seeds: Variance | None
    examples: Variance | None
    residual: Variance | None

    def variance(self, population: Population) -> Variance | None:
        """Return the variance of the mean for a population; None where one seed or one example shows none."""
        if population is Population.SEEDS:
            return self.seeds
        if population is Population.EXAMPLES:
            return self.examples
        if self.seeds is None or self.examples is None or self.residual is None:
            return None
        return _sum(self.seeds, self.examples, self.residual)

    def tested(self, population: Population) -> Tested | None:
        """Return the t test that the mean difference is 0; None without a variance above 0."""
        found = self.variance(population)
        if found is None or not found.value > 0:
            return None
        error = found.value**0.5
        return Tested(self.estimate / error, found.df, two_sided_p(self.estimate / error, found.df), error)

    def interval(self, population: Population, *, level: float = LEVEL) -> Interval | None:
        """Return the t interval of the mean difference; None without a variance above 0."""
        found = self.tested(population)
        if found is None or found.error is None or not isinstance(found.df, float):
            return None
        return t_interval(self.estimate, found.error, found.df, level=level)


def _sum(seeds: Variance, examples: Variance, residual: Variance) -> Variance:
    """Return the variance over both: each source at least as large as the residuals that it holds, which count once."""
    value = max(seeds.value, residual.value) + max(examples.value, residual.value) - residual.value
    squares = sum(part.value**2 / part.df for part in (seeds, examples, residual))
    return Variance(value, value**2 / squares if squares > 0 else seeds.df)


def crossed(a: Array, b: Array | None = None, *, clusters: Labels | None = None, paired: bool = True) -> Crossed:
    """Return the analysis of a's mean minus b's; without b, of the mean of a.

    Args:
        a: Scores, (seeds, examples).
        b: Scores on the same examples, (seeds of b, examples). A method without a seed has one row: it is no sample.
        clusters: The number of each example's cluster, such as its subject or document, (examples,): clusters, not
            examples, are then what is drawn.
        paired: Whether row i of a and of b share a seed.

    Raises:
        ValueError: The shapes do not fit.
    """
    groups = clusters if clusters is not None else np.arange(a.shape[1])
    if b is not None and (a.shape[1] != b.shape[1] or (paired and len(b) > 1 and len(a) != len(b))):
        raise ValueError("a and b need scores of the same examples, and paired ones of the same seeds")
    if len(groups) != a.shape[1]:
        raise ValueError("each example needs its cluster")
    if b is None or (paired and len(a) == len(b)):
        arms = [a if b is None else a - b]
    elif len(b) == 1 or len(a) == 1:
        arms = [a - b]
    else:
        arms = [a, -b]
    means = np.sum([arm.mean(axis=0) for arm in arms], axis=0)
    parts = [_within(arm, groups) for arm in arms]
    seeds = None if any(part is None for part in parts) else _together([part[0] for part in parts if part])
    residual = None if seeds is None else _together([part[1] for part in parts if part])
    return Crossed(float(means.mean()), seeds, _over(means, groups), residual)


def _within(arm: Array, groups: Labels) -> tuple[Variance, Variance] | None:
    """Return the variance of the mean over seeds, and the residuals' part of it; None for one seed."""
    n, count = len(arm), len(np.unique(groups))
    if n < 2 or count < 2:
        return None
    own = arm.mean(axis=1)
    left = arm - own[:, None] - arm.mean(axis=0) + arm.mean()
    squares = sum(float(np.sum(_sums(row, groups) ** 2)) for row in left)
    residual = squares / arm.shape[1] ** 2 / (n * (n - 1)) * count / (count - 1)
    return Variance(float(np.var(own, ddof=1)) / n, n - 1.0), Variance(residual, (n - 1.0) * (count - 1))


def _over(means: Array, groups: Labels) -> Variance | None:
    """Return the variance of the mean over clusters of examples (their sums are what varies); None for one cluster."""
    count = len(np.unique(groups))
    if count < 2:
        return None
    sums = _sums(means - means.mean(), groups) / len(means)
    return Variance(float(np.sum(sums**2)) * count / (count - 1), count - 1.0)


def _sums(values: Array, groups: Labels) -> Array:
    _, numbers = np.unique(groups, return_inverse=True)
    found: Array = np.bincount(numbers, values).astype(np.float64)
    return found


def _together(parts: list[Variance]) -> Variance:
    """Return the sum of independent variances with Satterthwaite's degrees of freedom."""
    value = sum(part.value for part in parts)
    squares = sum(part.value**2 / part.df for part in parts)
    return Variance(value, value**2 / squares if squares > 0 else sum(part.df for part in parts))


DRAWS, _AT_ONCE = 2_000, 100
"""Of the multi-bootstrap."""


def multi_bootstrap(
    a: Array,
    b: Array,
    *,
    seed: int,
    paired: bool = True,
    clusters: Labels | None = None,
    draws: int = DRAWS,
) -> Array:
    """Return the differences of the means with seeds and examples drawn with replacement (Sellam et al. 2022).

    Paired seeds are drawn once for both; examples always are. `a` and `b` are as in `crossed`.
    """
    generator = np.random.default_rng(seed)
    groups = clusters if clusters is not None else np.arange(a.shape[1])
    names, numbers = np.unique(groups, return_inverse=True)
    found = []
    for begin in range(0, draws, _AT_ONCE):
        size = min(_AT_ONCE, draws - begin)
        weights = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size)[:, numbers]
        total = weights.sum(axis=1)
        of_a = generator.multinomial(len(a), np.full(len(a), 1 / len(a)), size) / len(a)
        of_b = of_a if paired else generator.multinomial(len(b), np.full(len(b), 1 / len(b)), size) / len(b)
        found.append((np.sum(of_a * (weights @ a.T), axis=1) - np.sum(of_b * (weights @ b.T), axis=1)) / total)
    return np.concatenate(found)


def percentile_interval(samples: Array, *, level: float = LEVEL) -> Interval:
    """Return the percentile interval, as the multi-bootstrap was published: too short for few seeds."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def corrected_interval(samples: Array, estimate: float, *, seeds: int, level: float = LEVEL) -> Interval:
    """Return the multi-bootstrap's interval widened for few seeds: as if all of its variance were theirs.

    The standard deviation of the samples is that of a mean of n values with divisor n: sqrt(n / (n - 1)) times it is
    multiplied by Student's quantile of n - 1 degrees of freedom. It is for scores that are no means over examples.
    """
    error = float(np.std(samples)) * (seeds / (seeds - 1)) ** 0.5
    half = float(special.stdtrit(seeds - 1, 0.5 + level / 2)) * error
    return estimate - half, estimate + half
