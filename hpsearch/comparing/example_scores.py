"""The scores of a pair's seeds on each test example, brought into one order, and what they show over both."""

from collections.abc import Mapping, Sequence

import numpy as np

from hpsearch.comparing.arms import Arm, Observation
from hpsearch.comparing.over_examples import OverExamples, OverPopulation
from hpsearch.comparing.question import SettledQuestion
from hpsearch.comparing.statistics.arrays import Array
from hpsearch.comparing.statistics.crossed import Labels, Population, crossed
from hpsearch.records import ExampleScores

_Seeds = Mapping[str | None, list[Observation]]


def over_examples(a: Arm, b: Arm, shared: Sequence[str] | None, question: SettledQuestion) -> OverExamples | None:
    """Return the intervals of a minus b over seeds, examples and both; None without scores by example.

    `shared` names the seeds that are pairs; None if seeds are not paired.
    """
    metric, sides = question.metric, [_by_seed(a), _by_seed(b)]
    known = [_scores(each, metric) for side in sides for own in side.values() for each in own]
    first = next((each for each in known if each is not None), None)
    if first is None or any(each is None or not _same_examples(each, first) for each in known):
        return None
    paired = shared is not None and not (a.deterministic or b.deterministic)
    left, right = (_matrix(side, list(shared) if paired and shared else list(side), metric, first) for side in sides)
    told = {tuple(sorted(zip(each.names, each.clusters, strict=True))) for each in known if each and each.clusters}
    if len(told) > 1:  # who belongs together is told in two ways
        return None
    clusters = _numbers(_clusters(dict(*told), first)) if told else None
    found = crossed(left, right, clusters=clusters, paired=paired)
    populations = {}
    for population in Population:
        tested, interval = found.tested(population), found.interval(population)
        if tested is not None and interval is not None and isinstance(tested.df, float):
            populations[population] = OverPopulation(interval, tested.statistic, tested.df, tested.p)
    return OverExamples(
        examples=len(first.names),
        clusters=None if clusters is None else int(clusters.max()) + 1,
        seeds=(len(left), len(right)),
        mean_difference=found.estimate,
        populations=populations,
    )


def _by_seed(arm: Arm) -> _Seeds:
    found: dict[str | None, list[Observation]] = {}
    for each in arm.observations:
        found.setdefault(each.seed, []).append(each)
    alone = found.pop(None, [])
    if len(alone) + len(found) > 1:  # runs without a seed are each their own
        return found | {f"without a seed {place}": [each] for place, each in enumerate(alone)}
    return found or {None: alone}


def _scores(each: Observation, metric: str) -> ExampleScores | None:
    found = each.run.by_example
    return found if found is not None and metric in found.values and len(found.names) > 1 else None


def _same_examples(one: ExampleScores, other: ExampleScores) -> bool:
    return set(one.names) == set(other.names) and len(one.names) == len(other.names) == len(set(one.names))


def _matrix(side: _Seeds, seeds: Sequence[str | None], metric: str, first: ExampleScores) -> Array:
    """Return the scores, a row for each seed (the mean of its runs) and a column for each example of `first`."""
    rows = []
    for seed in seeds:
        own = [found for each in side[seed] if (found := _scores(each, metric)) is not None]
        rows.append(np.mean([_in_order(each, metric, first) for each in own], axis=0))
    return np.array(rows)


def _in_order(scores: ExampleScores, metric: str, first: ExampleScores) -> Array:
    if scores.names == first.names:
        return np.array(scores.values[metric])
    known = dict(zip(scores.names, scores.values[metric], strict=True))
    return np.array([known[name] for name in first.names])


def _clusters(told: Mapping[str, str], first: ExampleScores) -> list[str]:
    return [told[name] for name in first.names]


def _numbers(clusters: Sequence[str] | None) -> Labels | None:
    return None if clusters is None else np.unique(np.array(clusters), return_inverse=True)[1].astype(np.int64)
