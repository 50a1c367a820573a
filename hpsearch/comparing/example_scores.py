"""The scores of a pair's seeds on each test example, brought into one order, and what they show over both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hpsearch.comparing.arms import Arm, Observation
from hpsearch.comparing.comparison import AlsoTest, Equivalence, Further, PairResult, VerdictBasis
from hpsearch.comparing.over_examples import OverExamples, OverPopulation
from hpsearch.comparing.question import Over, SettledQuestion, Test
from hpsearch.comparing.statistics.arrays import Array
from hpsearch.comparing.statistics.crossed import Labels, Population, crossed
from hpsearch.comparing.statistics.intervals import ByStudent, t_interval
from hpsearch.comparing.statistics.two_samples import equivalence_p
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
    alone = any(len(rows) == 1 and not arm.deterministic for arm, rows in ((a, left), (b, right)))
    populations = {}
    for population in (Population.EXAMPLES,) if alone else Population:  # one seed of a network shows no variance
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


DECIDED_OVER = {
    Over.EXAMPLES: (Population.EXAMPLES, Test.OVER_EXAMPLES),
    Over.BOTH: (Population.BOTH, Test.OVER_BOTH),
}
"""The population that a verdict over more than seeds is about, and the test that decides about it."""


def decide_over_examples(base: PairResult, question: SettledQuestion) -> PairResult:
    """Let the crossed analysis decide about further examples; the test over seeds becomes a secondary one."""
    population, test = DECIDED_OVER[question.over]
    found = base.over_examples
    own = None if found is None else found.populations.get(population)
    if base.identical:
        return base
    also = () if base.test is None else (AlsoTest(base.test, base.p, base.statistic),)
    cleared = replace(
        base, test=None, statistic=None, df=None, p=None, ci95=None, effect=None, smallest_possible_p=None, also=also
    )
    cleared = replace(cleared, equivalence=None, basis=VerdictBasis(), further=Further())
    if found is None or own is None:
        why = (
            "not all runs have scores of the same test examples"
            if found is None
            else "a single seed, or a single cluster of examples, shows no variance"
        )
        return replace(cleared, notes=(*base.notes, f"nothing can be said of {population}: {why}"))
    notes = base.notes if base.test is not None else base.notes[:-1]  # the last says why seeds decide nothing
    error = (own.ci95[1] - own.ci95[0]) / 2 / t_interval(0.0, 1.0, own.df)[1]
    student, equivalence = ByStudent(found.mean_difference, error, own.df), None
    if question.margin is not None:
        p = equivalence_p(student.estimate, error, own.df, margin=question.margin)
        equivalence = Equivalence(question.margin, p, equivalent=None)
    basis = VerdictBasis(str(test), inversion=student, student=student, direction=student.estimate)
    return replace(
        cleared,
        mean_difference=student.estimate,
        test=test,
        statistic=own.statistic,
        df=own.df,
        p=own.p,
        ci95=own.ci95,
        equivalence=equivalence,
        basis=basis,
        notes=notes,
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
