"""Statements on arms besides the tests of pairs: each one described, ranks over data sets, what searches are worth.

Ranks are display only (rule 6). Trials of a search have no p-values, but what the best of n is worth at equal budget
(rules 3, 11).
"""

from collections.abc import Sequence

import numpy as np

from hpsearch.comparing.arms import Arm, Observation
from hpsearch.comparing.comparison import (
    AcrossDatasets,
    ExpectedBest,
    ExperimentSummary,
    Omnibus,
    Optimism,
    WinsTiesLosses,
)
from hpsearch.comparing.designs import size_ratio
from hpsearch.comparing.question import SettledQuestion, Unit
from hpsearch.comparing.statistics.arrays import LEVEL, Array, as_array, is_constant, size_of, snapped
from hpsearch.comparing.statistics.datasets import (
    cliques,
    friedman,
    iman_davenport,
    interquartile_mean,
    nemenyi_distance,
    profile,
    ranks_of,
)
from hpsearch.comparing.statistics.expected_best import (
    ESTIMATORS,
    budgets,
    expected_best,
    expected_best_band,
    expected_maximum,
)
from hpsearch.comparing.statistics.intervals import by_student, mean_interval
from hpsearch.comparing.statistics.two_samples import corrected_t
from hpsearch.comparing.units import label, mean


def summarise(arm: Arm, *, unit: Unit, seed: int) -> ExperimentSummary:
    """Return the summary over the units; of a search's trials, which are no sample, without an interval."""
    trials = unit is Unit.TRIAL or not arm.observations
    used = (*arm.observations, *arm.trials) if trials else arm.observations
    if trials:
        named = [(each.run.run, each.value) for each in used]
    else:
        named = [(label(key), mean(cells.values())) for key, cells in arm.cells.items()]
    values = as_array([value for _, value in named])
    seconds = [each.run.seconds for each in used if each.run.seconds is not None]
    summary = {
        "units": tuple(name for name, _ in named),
        "values": tuple(values.tolist()),
        "runs": tuple(each.run.run for each in used),
        "steps": arm.steps,
        "seconds": sum(seconds) if seconds else None,
    }
    if not len(values):
        return ExperimentSummary(arm.name, 0, runs_dropped=arm.dropped)
    interval, how = None, None
    if not trials and len(values) > 1 and not is_constant(values, scale=size_of(values)):
        interval, how = _interval(arm, values, unit, seed)
    return ExperimentSummary(
        name=arm.name,
        n=len(values),
        mean=float(np.mean(values)),
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        median=float(np.median(values)),
        iqm=interquartile_mean(values),
        minimum=float(np.min(values)),
        maximum=float(np.max(values)),
        ci95=interval,
        ci_method=how,
        runs_dropped=arm.dropped,
        **summary,  # type: ignore[arg-type]
    )


def _interval(arm: Arm, values: "np.ndarray", unit: Unit, seed: int) -> tuple[tuple[float, float] | None, str | None]:
    if unit is not Unit.FOLD and not (unit is Unit.SEARCH and arm.redivided):
        return mean_interval(values, seed=seed)
    known = size_ratio(arm)
    if known is None:
        return None, None
    tested = corrected_t(values, test_to_train=known[0])  # folds overlap: the plain interval is too short
    return by_student(tested, float(np.mean(values))).at(LEVEL), "t"


MOST_THRESHOLDS = 200


def across_datasets(arms: Sequence[Arm], question: SettledQuestion) -> tuple[AcrossDatasets | None, list[str]]:
    """Return the ranks over the data sets that all methods have, and a warning for those that were left out."""
    tables = {arm.name: arm.cells for arm in arms if arm.observations}
    every = dict.fromkeys(key for table in tables.values() for key in table)
    shared = [key for key in every if all(key in table for table in tables.values())]
    if len(tables) < 2 or len(shared) < 2:
        return None, []
    left_out = [label(key) for key in every if key not in shared]
    warnings = [f"ranks are over the data sets of all methods; left out: {', '.join(left_out)}"] if left_out else []
    names = list(tables)
    values = np.array([[mean(tables[name][key].values()) for name in names] for key in shared])
    scores = question.sign * snapped(values, scale=size_of(values.ravel()))
    ranks = ranks_of(scores)
    n, k = ranks.shape
    chi_square = friedman(ranks)
    f = iman_davenport(chi_square.statistic, n, k)
    degrees = (float(k - 1), float((k - 1) * (n - 1)))
    averages = [float(each) for each in ranks.mean(axis=0)]
    distance = nemenyi_distance(n, k, alpha=question.alpha)
    if f is None:
        warnings.append("Iman and Davenport's F is infinite, because all data sets rank the methods alike")
    thresholds = np.quantile(np.unique(scores), np.linspace(0, 1, min(MOST_THRESHOLDS, scores.size)))
    found = AcrossDatasets(
        average_ranks=dict(zip(names, averages, strict=True)),
        friedman=Omnibus(chi_square.statistic, k - 1, chi_square.p),
        iman_davenport=Omnibus(None, degrees, None) if f is None else Omnibus(f.statistic, degrees, f.p),
        nemenyi_cd=distance,
        wins_ties_losses={name: _wins(scores, index) for index, name in enumerate(names)},
        datasets=tuple(label(key) for key in shared),
        values={name: tuple(values[:, index].tolist()) for index, name in enumerate(names)},
        cliques=tuple(tuple(names[index] for index in group) for group in cliques(averages, distance)),
        thresholds=tuple((question.sign * thresholds).tolist()),
        profiles={name: tuple(profile(scores[:, index], thresholds).tolist()) for index, name in enumerate(names)},
    )
    return found, warnings


def _wins(scores: Array, method: int) -> WinsTiesLosses:
    others = np.delete(scores, method, axis=1)
    own = scores[:, [method]]
    return WinsTiesLosses(int(np.sum(own > others)), int(np.sum(own == others)), int(np.sum(own < others)))


INDEPENDENT = ("random", "qmc")
"""Samplers whose trials do not follow from earlier ones."""
ONCE = ("grid",)
"""Samplers that take each configuration once, whatever the earlier ones gave."""
POPULATIONS = ("pbt", "pb2")
"""Populations, set in place of a pruner: worse trials go on as copies of better ones."""


def _trials_of(arm: Arm, unit: Unit) -> tuple[Observation, ...]:
    """Return the arm's trials of a search; all its runs where the trial is the unit."""
    return (*arm.observations, *arm.trials) if unit is Unit.TRIAL else arm.trials


def expected_bests(arms: Sequence[Arm], question: SettledQuestion) -> tuple[ExpectedBest, ...]:
    """Return the curves of all arms that have trials, by both estimators."""
    found: list[ExpectedBest] = []
    for arm in arms:
        scores = question.sign * as_array([each.value for each in _trials_of(arm, question.unit)])
        if not len(scores):
            continue
        ns = budgets(len(scores))
        for estimator in ESTIMATORS:
            curve = question.sign * expected_best(scores, ns, estimator=estimator)
            ends = expected_best_band(scores, ns, estimator=estimator, seed=question.seed)
            bands = np.sort(question.sign * np.stack(ends), axis=0).T
            found += [
                ExpectedBest(arm.name, n, float(value), estimator, question.metric, (float(low), float(high)))
                for n, value, (low, high) in zip(ns, curve, bands, strict=True)
            ]
    return tuple(found)


def optimisms(arms: Sequence[Arm], question: SettledQuestion) -> tuple[Optimism, ...]:
    """Return by how much each search's best score overstates at most: as if all trials were equally good."""
    found = []
    for arm in arms:
        scores = question.sign * as_array([each.value for each in _trials_of(arm, question.unit)])
        if len(scores) > 1:
            best = question.sign * float(np.max(scores))
            bias = float(np.std(scores, ddof=1)) * expected_maximum(len(scores))
            bias = min(bias, float(np.max(scores) - np.mean(scores)))
            found.append(Optimism(arm.name, question.metric, len(scores), best, bias))
    return tuple(found)


def search_warnings(arms: Sequence[Arm], question: SettledQuestion) -> list[str]:
    """List the caveats of the search curves."""
    warnings = []
    sizes = {arm.name: len(_trials_of(arm, question.unit)) for arm in arms}
    for arm in arms:
        trials = _trials_of(arm, question.unit)
        warnings += [f"{arm.name}: {said}" for said in _how_chosen(arm.trials)]
        pruners = sorted(_named(trials, "pruner") - {"none", *POPULATIONS})
        if trials and arm.pruned:
            who = ", ".join(pruners) or "the search"
            warnings.append(
                f"{arm.name}: {who} pruned trials; only the complete ones are in the expected best, which "
                "makes it look better than the whole budget was"
            )
        if arm.observations and arm.trials and question.unit is not Unit.TRIAL:
            warnings.append(
                f"{arm.name}: its {len(arm.trials)} trials were chosen by a metric and are not tested; the test is of "
                f"its {len(arm.observations)} other runs"
            )
    counted = {name: size for name, size in sizes.items() if size}
    if len(set(counted.values())) > 1:
        smallest = min(counted.values())
        shown = ", ".join(f"{name} {size}" for name, size in counted.items())
        warnings.append(f"the searches have different numbers of trials ({shown}): compare them at n = {smallest}")
    lengths = {each.run.steps for arm in arms for each in _trials_of(arm, question.unit)} - {None}
    if len(lengths) > 1:
        warnings.append("the trials were trained for different numbers of steps: their values are of different budgets")
    return warnings


def _named(trials: Sequence[Observation], role: str) -> set[str]:
    """Return the samplers or pruners of the trials' searches."""
    named = {getattr(each.run.search, role) for each in trials if each.run.search is not None}
    return {name for name in named if name}


def _how_chosen(trials: Sequence[Observation]) -> list[str]:
    """List the reasons why the trials are not independent, as the expected best assumes."""
    samplers, assumed = _named(trials, "sampler"), "the expected best assumes independent trials"
    choosers = sorted((samplers - {*INDEPENDENT, *ONCE}) | (_named(trials, "pruner") & {*POPULATIONS}))
    if choosers:
        follows = f"{assumed}, but {', '.join(choosers)} chose each by the earlier ones"
        return [f"{follows}: the curve says what a shuffled order would give"]
    if any(each.run.search is None or not each.run.search.sampler for each in trials):
        return [f"{assumed}; nobody noted which sampler chose them"]
    if once := sorted(samplers & {*ONCE}):
        return [f"{assumed}, but {', '.join(once)} takes each configuration once: the estimator `unbiased` does, too"]
    return []
