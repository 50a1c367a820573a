"""On data without a difference the error rate is alpha: simulations with binomial bounds (99.9%)."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from hpsearch.comparing.comparison import Comparison, Verdict
from hpsearch.comparing.statistics.intervals import mean_interval
from hpsearch.comparing.statistics.two_samples import corrected_t, paired_t, sign_flip, signed_rank_interval, wilcoxon
from tests.comparing.arms import compare, run, seeds
from tests.comparing.made_up_tables import DESIGNS, simulate, table

pytestmark = pytest.mark.slow


def false_alarms(times: int, simulate: Callable[[np.random.Generator], Comparison]) -> int:
    """Return how many of so many comparisons call anything better or worse."""
    generator = np.random.default_rng(0)
    found = (simulate(generator) for _ in range(times))
    return sum(any(pair.verdict in (Verdict.BETTER, Verdict.WORSE) for pair in each.pairs) for each in found)


def bounds(times: int, rate: float) -> tuple[int, int]:
    """Return the counts between which a rate stays in 99.9% of all simulations."""
    low, high = stats.binom.interval(0.999, times, rate)
    return int(low), int(high)


def test_paired_seeds() -> None:
    def simulate(generator: np.random.Generator) -> Comparison:
        shared = generator.normal(0, 0.02, 5)
        a, b = (0.9 + shared + generator.normal(0, 0.01, 5) for _ in range(2))
        return compare(seeds("a", a) + seeds("b", b))

    low, high = bounds(2000, 0.05)
    assert low <= false_alarms(2000, simulate) <= high


def test_unpaired_seeds_with_unequal_variances() -> None:
    def simulate(generator: np.random.Generator) -> Comparison:
        a, b = generator.normal(0.9, 0.01, 8), generator.normal(0.9, 0.03, 8)
        return compare(seeds("a", a) + seeds("b", b, start=50))

    low, high = bounds(1000, 0.05)
    assert low <= false_alarms(1000, simulate) <= high


def test_eight_equal_methods_under_holm() -> None:
    """28 tests: without adjustment far more than 5% of such reports name a winner; Holm keeps it at 5% or below."""

    def simulate(generator: np.random.Generator, adjust: str = "holm") -> Comparison:
        shared = generator.normal(0, 0.02, 6)
        runs = [each for name in "abcdefgh" for each in seeds(name, shared + generator.normal(0, 0.01, 6))]
        return compare(runs, adjust=adjust)

    assert false_alarms(150, simulate) <= bounds(150, 0.05)[1]
    assert false_alarms(30, lambda generator: simulate(generator, "none")) > bounds(30, 0.05)[1]


def test_signs_and_ranks() -> None:
    """Exact tests never exceed alpha; with 10 pairs they come near it."""
    generator = np.random.default_rng(0)
    samples = generator.laplace(size=(4000, 10))
    low, high = bounds(4000, 0.05)
    assert low <= sum(sign_flip(each, seed=0) <= 0.05 for each in samples) <= high
    assert bounds(4000, 0.04)[0] <= sum(wilcoxon(each).p <= 0.05 for each in samples) <= high


def test_corrected_folds_on_correlated_data() -> None:
    """Three times ten folds of one sample: the training sets overlap, and the naive t finds differences everywhere.

    Two nearest-mean classifiers, each blind to one of two equally informative features: equal over all samples.
    """
    generator = np.random.default_rng(0)
    naive = corrected = 0
    times = 300
    for _ in range(times):
        differences = _resampled_differences(generator, examples=60, folds=10, repeats=3)
        if np.ptp(differences) == 0:
            continue
        naive += paired_t(differences).p <= 0.05
        corrected += corrected_t(differences, test_to_train=1 / 9).p <= 0.05
    assert naive > bounds(times, 0.2)[0]
    assert corrected <= bounds(times, 0.08)[1]  # Nadeau and Bengio: about 5%, and the published 7% on null data


def _resampled_differences(generator: np.random.Generator, *, examples: int, folds: int, repeats: int) -> np.ndarray:
    """Return the differences in accuracy of two equally good learners over repeated cross-validation of one sample."""
    labels = np.arange(examples) % 2
    features = generator.normal(size=(examples, 2)) + 0.8 * labels[:, None]
    found = []
    for _ in range(repeats):
        order = generator.permutation(examples)
        for test in np.array_split(order, folds):
            train = np.setdiff1d(order, test)
            middle = (
                features[train][labels[train] == 0].mean(axis=0) + features[train][labels[train] == 1].mean(axis=0)
            ) / 2
            right = (features[test] > middle) == (labels[test] == 1)[:, None]
            found.append(right[:, 0].mean() - right[:, 1].mean())
    return np.array(found)


@pytest.mark.parametrize("repeats", [3, 10])
@pytest.mark.parametrize("noted", ["seed", "repeat"])
def test_folds_that_are_trained_several_times_through_the_protocol(noted: str, repeats: int) -> None:
    """Two equally good learners, trained with several seeds on five folds of one division, or on divisions anew."""
    generator = np.random.default_rng(11)
    times, alarms = 200, 0
    for _ in range(times):
        values = _fold_differences(generator, repeats=repeats, anew=noted == "repeat")
        runs = [
            run(name, float(value) * (name == "a"), **{noted: at, "fold": fold})
            for name in "ab"
            for at, row in enumerate(values)
            for fold, value in enumerate(row)
        ]
        (pair,) = compare(runs).pairs
        assert pair.n == (5 if noted == "seed" else 5 * repeats)
        alarms += pair.verdict in (Verdict.BETTER, Verdict.WORSE)
    assert alarms <= bounds(times, 0.05)[1]


def _fold_differences(generator: np.random.Generator, *, repeats: int, anew: bool) -> np.ndarray:
    """Return (repeats, 5) differences in accuracy of two linear classifiers that see equally informative features.

    Each training sees nine tenths of its folds, drawn by its own seed; the division is drawn anew for each or is one.
    """
    labels = generator.integers(0, 2, 100)
    features = generator.normal(size=(100, 10)) + 0.35 * labels[:, None]
    place = generator.permutation(100) % 5
    found = np.empty((repeats, 5))
    for repeat in range(repeats):
        place = generator.permutation(100) % 5 if anew else place
        for fold in range(5):
            train, test = np.flatnonzero(place != fold), np.flatnonzero(place == fold)
            scores = []
            for seen in (slice(0, 5), slice(5, 10)):
                drawn = generator.choice(train, int(0.9 * len(train)), replace=False)
                right = _discriminated(features[drawn, seen], labels[drawn], features[test, seen]) == labels[test]
                scores.append(right.mean())
            found[repeat, fold] = scores[0] - scores[1]
    return found


def _discriminated(features: np.ndarray, labels: np.ndarray, new: np.ndarray) -> np.ndarray:
    means = [features[labels == label].mean(axis=0) for label in (0, 1)]
    centred = features - np.where(labels[:, None] == 1, means[1], means[0])
    weights = np.linalg.solve(centred.T @ centred / len(labels) + 0.01 * np.eye(features.shape[1]), means[1] - means[0])
    return np.asarray((new - (means[0] + means[1]) / 2) @ weights > 0, dtype=int)


def test_folds_through_the_protocol() -> None:
    """Differences that share a part in every fold, as overlapping training sets make it: correlation 1/10."""

    def simulate(generator: np.random.Generator) -> Comparison:
        values = generator.normal(0, 0.1**0.5) + generator.normal(0, 0.9**0.5, 10)
        runs = [
            run(name, float(v), fold=i) for name, vs in (("a", values), ("b", np.zeros(10))) for i, v in enumerate(vs)
        ]
        return compare(runs)

    low, high = bounds(2000, 0.05)
    assert low <= false_alarms(2000, simulate) <= high


@pytest.mark.parametrize("margin", [None, 3.0])
@pytest.mark.parametrize("arms", [2, 4, 8])
@pytest.mark.parametrize("design", DESIGNS)
def test_wrong_claims_through_the_whole_road(design: str, arms: int, margin: float | None) -> None:
    """On 3, 5, 10 and 12 units. Differences and equivalences are two families, each with an error rate of 5%.

    `tests/benchmarks/error_rates.py` prints the rates of more tables, one by one.
    """
    tables = {2: 60, 4: 25, 8: 8}[arms]
    found = simulate(design, np.random.default_rng(arms), sizes=(3, 5, 10, 12), arms=arms, margin=margin, tables=tables)
    assert found.differences <= bounds(found.tables, 0.05)[1]
    assert found.equivalences <= bounds(found.tables, 0.05)[1]
    if design in ("seeds", "folds") and arms == 2:
        assert bounds(found.tables, 0.05)[0] <= found.differences or margin  # exact tests, which are not idle


@pytest.mark.parametrize("n", [3, 5, 10, 12, 15, 20, 50, 100, 150])
def test_intervals_of_normal_values_hold_what_they_say(n: int) -> None:
    """At least 94% of the 95% intervals hold the true value: of a mean, and of Hodges and Lehmann's difference."""
    samples = np.random.default_rng(n).normal(2, 1, (3_000 if n <= 50 else 500, n))
    low, high = np.array([mean_interval(each, seed=0)[0] for each in samples]).T
    assert np.mean((low <= 2) & (high >= 2)) >= (0.94 if n <= 50 else 0.925)  # fewer of the bootstrap, which is slow
    times = 300 if n <= 15 else 60
    by_ranks = [signed_rank_interval(each, scale=2.0, level=0.95) for each in samples[:times]]
    if n <= 5:
        assert by_ranks == [None] * times
        return
    held = sum(found is not None and found[0] <= 2 <= found[1] for found in by_ranks)
    assert held >= bounds(times, 0.95)[0]


@pytest.mark.parametrize("n", [5, 10, 12])
@pytest.mark.parametrize("design", [*DESIGNS, "seeds of their own"])
def test_intervals_of_a_comparison_hold_what_they_say(design: str, n: int) -> None:
    """Those of the pair and of an arm, for n units, through the whole road."""
    generator, times, pair, arm = np.random.default_rng(n), 150, 0, 0
    for _ in range(times):
        if design == "seeds of their own":
            runs = seeds("a", generator.normal(11, 2, n)) + seeds("b", generator.normal(10, 1, n), start=90)
        else:
            runs = table(design, generator, n=n, means=[1.0, 0.0])
        found = compare(runs)
        interval, own = found.pairs[0].ci95, found.experiments[0].ci95
        assert (interval is None) == (design == "data sets" and n == 5)
        assert own is not None
        pair += interval is None or interval[0] <= 1 <= interval[1]
        arm += own[0] <= 11 <= own[1]
    assert min(pair, arm) >= bounds(times, 0.95)[0]
