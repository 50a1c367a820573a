"""What a run of MLflow's, from a file or a server, says as a finished run."""

import json
import math
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.experiment.layout import baseline_of
from hpsearch.readers import Reading, Wanted, last_word
from hpsearch.readers.hpsearch_experiment import fold_keys
from hpsearch.readers.identity import Told, agreed
from hpsearch.readers.naming import planned, settings, unit_keys
from hpsearch.records import FinishedRun, Fold, Goal, Key, Measurement, Outcome, SearchOrigin, Series

_OUTCOMES = {"FINISHED": Outcome.COMPLETE, "FAILED": Outcome.FAILED, "KILLED": Outcome.PRUNED}
_RUNNING = "RUNNING"
_PARENT = "mlflow.parentRunId"
_KIND, _OUTCOME, _SEED, _NUMBER = "hpsearch.kind", "hpsearch.outcome", "hpsearch.seed", "hpsearch.number"
_FOLD, _FOLDS, _REPEAT = "hpsearch.fold", "hpsearch.folds", "hpsearch.repeat"
_RUN, _METRIC, _GOAL, _STUDY = "hpsearch.run", "hpsearch.metric", "hpsearch.goal", "hpsearch.study"
"""A run's folder; what an experiment of the mirror is after, and the study that it is an arm of."""

_ALL = Wanted()
_ADVICE = "Name the metric of one of them otherwise, or compare their folders one by one"
_ABOVE = {"study", "experiment"}
"""The kinds of runs by which hpsearch's own mirror holds others together: their metrics are said of others."""
_ASIDE = {"rerun", "title", "challenge"}
"""The kinds that are no run of their own: a race's further seeds chose the winner, a title quotes contenders' runs."""


@dataclass(frozen=True)
class MlflowRun:
    """A run as MLflow keeps it; `params` and `tags` are text."""

    identity: str
    name: str
    experiment: str
    status: str
    seconds: float | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, Measurement]
    histories: Mapping[str, Series]


def as_finished(
    runs: Sequence[MlflowRun], *, source: str, place: tuple[str, ...] = (), wanted: Wanted = _ALL
) -> Reading:
    """Return the runs that trained something; a parent of other runs that has no metric of its own did not.

    A run below a parent belongs to the parent's experiment, under the parent's name: searches log their trials so.
    Its place is what is above it: further parents, MLflow's experiment and the `place` of the store.
    Runs of hpsearch's own mirror say in their tags what they are; its experiments are called as from their folders.

    Raises:
        DataError: two of these contradict each other on the direction of a wanted metric.
    """
    parents = {run.tags[_PARENT] for run in runs if _PARENT in run.tags}
    family = _Family(runs, place)
    finished = tuple(
        _finished(run, family, source)
        for run in runs
        if not (run.tags.get(_KIND) in _ABOVE | _ASIDE or (run.identity in parents and not run.metrics))
    )
    main, told = _about(runs, dict.fromkeys(name for run in finished for name in run.metrics))
    return Reading(finished, agreed(source, told, wanted, advice=_ADVICE), main)


class _Family:
    """The parents and siblings of a run."""

    def __init__(self, runs: Sequence[MlflowRun], place: tuple[str, ...]) -> None:
        self._known = {run.identity: run for run in runs}
        self._place = place
        self._mixed = _mixed(runs)
        below: dict[str, list[MlflowRun]] = {}
        for run in runs:
            if _PARENT in run.tags and _KIND not in run.tags:
                below.setdefault(run.tags[_PARENT], []).append(run)
        self._searches: dict[str, SearchOrigin] = {}
        self._planned = {run.identity for group in below.values() for run in _repeating(group)}
        titles = Counter((run.name, self._above(run)) for run in runs if run.identity in below)
        self._alike = {title for title, count in titles.items() if count > 1}
        self._letters = 8 if len({identity[:8] for identity in below}) == len(below) else None

    def parent(self, run: MlflowRun) -> MlflowRun | None:
        """Return the run above one, if it is there."""
        return self._known.get(run.tags.get(_PARENT, ""))

    def search(self, run: MlflowRun) -> SearchOrigin | None:
        """Return the search that proposed a run: from the mirror's tags, or from the runs below the same parent."""
        above = run.tags.get(_PARENT, "")
        proposed = _KIND not in run.tags and above and run.identity not in self._planned
        if run.tags.get(_KIND) == "trial" or proposed:
            return self._searches.setdefault(above, SearchOrigin(metric=""))
        return None

    def home(self, run: MlflowRun) -> tuple[str, tuple[str, ...]]:
        """Return the experiment of a run and its place; parents of one name in one place differ by their ids."""
        parent = self.parent(run)
        if parent is None:
            lost = (f"parent {run.tags[_PARENT][: self._letters]}",) if _PARENT in run.tags else ()
            return run.experiment, (*lost, *self._place)
        experiment, above = parent.name or run.experiment, self._above(parent)
        if run.tags.get(_PARENT) in self._mixed and _FOLD in run.tags:
            experiment = f"{experiment} ({run.tags[_FOLDS]} folds)"
        alike = (f"run {parent.identity[: self._letters]}",) if (parent.name, above) in self._alike else ()
        return experiment, (*alike, *above)

    def _above(self, run: MlflowRun) -> tuple[str, ...]:
        titles, seen = list[str](), {run.identity}
        each = self.parent(run)
        while each is not None and each.identity not in seen:
            titles.append(each.name)
            seen.add(each.identity)
            each = self.parent(each)
        return (*titles, run.experiment, *self._place)


def _repeating(runs: Sequence[MlflowRun]) -> list[MlflowRun]:
    """Return those of the runs below a parent that repeat a training; searches log the others below it.

    Who gives one configuration a seed or a fold plans to repeat it, though there is only one run so far.
    """
    params = {run.identity: _values(run.params) for run in runs}
    own = {identity for identity, each in params.items() if unit_keys(each)}
    if len({settings(params[identity]) for identity in own}) != 1:
        own = {identity for identity, repeats in zip(params, planned(list(params.values())), strict=True) if repeats}
    return [run for run in runs if run.identity in own]


def _about(runs: Sequence[MlflowRun], known: Collection[str]) -> tuple[str | None, Told]:
    """Return what the experiments of hpsearch's mirror are about, as for their folders, and its goal on every split.

    A study decides for its arms. Experiments that are after different metrics are about none.
    """
    above = [run for run in runs if run.tags.get(_KIND) in _ABOVE and _STUDY not in run.tags]
    after = [run for run in above if _METRIC in run.tags and run.tags.get(_GOAL) in set(Goal)]
    told: dict[str, dict[Goal, str]] = {}
    for run in after:
        for name in known:
            if last_word(name) == last_word(run.tags[_METRIC]):
                told.setdefault(name, {}).setdefault(Goal(run.tags[_GOAL]), run.name)
    metrics = [run.tags[_METRIC] for run in after]
    mains = {tested if (tested := f"test/{last_word(metric)}") in known else metric for metric in metrics}
    return (mains.pop() if len(mains) == 1 else None), told


def _mixed(runs: Sequence[MlflowRun]) -> set[str]:
    """Return the parents with replicates of several kinds: on seeds, or on different numbers of folds."""
    kinds: dict[str, set[str | None]] = {}
    for run in runs:
        if run.tags.get(_KIND) == "replicate":
            kinds.setdefault(run.tags.get(_PARENT, ""), set()).add(run.tags.get(_FOLDS))
    return {parent for parent, found in kinds.items() if len(found) > 1}


def _finished(run: MlflowRun, family: _Family, source: str) -> FinishedRun:
    params = _values(run.params)
    experiment, place = family.home(run)
    baseline = run.tags.get(_KIND) == "baseline"
    noted = run.tags.get(_OUTCOME) in set(Outcome) and run.status != _RUNNING  # a run taken up again keeps its old tag
    outcome = Outcome(run.tags[_OUTCOME]) if noted else _OUTCOMES.get(run.status)
    units: dict[str, Key | None] = {**unit_keys(params)}
    if _SEED in run.tags:
        units.setdefault("seed", int(run.tags[_SEED]))
    if _FOLD in run.tags:
        fold = Fold(*(int(run.tags[name]) for name in (_FOLDS, _REPEAT, _FOLD)))
        parent = family.parent(run)
        units |= fold_keys(fold, int(parent.tags.get(_SEED, 0)) if parent else 0)
    search = family.search(run)
    if search is not None and _KIND not in run.tags:
        units = {}
    elif search is not None or baseline:
        units.pop("seed", None)
    return FinishedRun(
        experiment=f"{baseline_of(run.tags.get(_RUN, run.name))[1]} ({experiment})" if baseline else experiment,
        run=run.name,
        outcome=outcome,
        params=params,
        metrics=run.metrics,
        histories=run.histories,
        trial=run.tags.get(_NUMBER, run.name if search else None) if not baseline else None,
        search=search,
        deterministic=baseline and _FOLD not in run.tags,
        **units,  # type: ignore[arg-type] # its keys are the names of these fields
        steps=max((metric.step for metric in run.metrics.values() if metric.step is not None), default=None),
        seconds=run.seconds,
        dropped=None if outcome else f"its status is {run.status}: it has not ended",
        source=f"{source}#{run.identity}",
        place=place,
    )


def _values(params: Mapping[str, str]) -> dict[str, Any]:
    return {name: _value(text) for name, text in params.items()}


def _value(text: str) -> Any:
    """Return the value that MLflow keeps as text: a number, a list, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def as_kept(value: float) -> float:
    """Return a metric's value; MLflow's databases keep the largest double for an infinite one."""
    return math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value
