"""From runs to arms: what is compared, which runs count, and why the others do not."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hpsearch.comparing.comparison import DroppedRun
from hpsearch.comparing.grouping import grouped, is_trial, searched_by_number
from hpsearch.comparing.statistics.arrays import LARGEST
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Outcome
from hpsearch.titles import Identity

KEYS = ("dataset", "fold", "repeat", "seed")
_KEY_WORDS = {*KEYS, "data_set", "cv_fold", "repetition", "random_state", "trial"}
REPEAT = "repeat "
"""How a repeat is called that stands for a seed."""
UnitKey = tuple[str | None, ...]
Cells = Mapping[UnitKey, Mapping[UnitKey, float]]
"""The values of each unit of replication, in the units' order: one for each cell."""
_ENDED = {
    Outcome.PRUNED: "pruned: its value is of a smaller budget",
    Outcome.DIVERGED: "diverged",
    Outcome.OUT_OF_MEMORY: "ran out of memory",
    Outcome.TIMED_OUT: "ran out of time",
    Outcome.FAILED: "failed",
    Outcome.LOST: "its process was lost",
}


@dataclass(frozen=True)
class Observation:
    """A run that counts, with its value and its keys as text; one that nobody noted, or that tells nothing, is None."""

    run: FinishedRun
    value: float
    dataset: str | None = None
    fold: str | None = None
    repeat: str | None = None
    seed: str | None = None
    configuration: str = ""

    @property
    def keyed(self) -> bool:
        """Whether anything identifies it beside itself."""
        return (self.dataset, self.fold, self.repeat, self.seed) != (None, None, None, None)

    @property
    def cell(self) -> tuple[str | None, ...]:
        """Everything that two runs must share to be partners."""
        return (self.dataset, self.fold, self.repeat, self.seed, self.configuration)


@dataclass(frozen=True)
class Merged:
    """Several runs of one arm that share all their keys: their mean counts. `alike` says whether their settings are."""

    keys: str
    runs: tuple[str, ...]
    alike: bool


@dataclass(frozen=True)
class Arm:
    """One side of a comparison. `trials` are runs of a search: they are never tested.

    `keys` fills in why a key that was noted tells nothing (`void`); `units` the `cells`, and what was `merged` in them.
    """

    name: str
    observations: tuple[Observation, ...] = ()
    trials: tuple[Observation, ...] = ()
    dropped: tuple[DroppedRun, ...] = ()
    ended_badly: int = 0
    pruned: int = 0
    configurations: int = 1
    read_at: int | None = None
    cells: Cells = field(default_factory=dict)
    merged: tuple[Merged, ...] = ()
    void: str | None = None

    @property
    def deterministic(self) -> bool:
        """Whether its one value stands against every run of another."""
        return bool(self.observations) and all(each.run.deterministic for each in self.observations)

    @property
    def steps(self) -> int | None:
        """The budget of the values: the step at which all were read, or how long each run was trained if all alike."""
        if self.read_at is not None:
            return self.read_at
        lengths = {_length(each.run) for each in self.observations}
        return next(iter(lengths)) if len(lengths) == 1 else None


def _length(run: FinishedRun) -> int | None:
    """Return the budget of a run: as noted, or else the last step of any of its histories."""
    if run.steps is not None:
        return run.steps
    return max((series.steps[-1] for series in run.histories.values() if len(series.steps)), default=None)


def arms_of(runs: Sequence[FinishedRun], *, metric: str, by: str | None, step: int | None) -> list[Arm]:
    """Return the arms in the order in which their first runs come: one for each experiment of each place.

    Errors: UnknownNameError for a metric that no run has or a parameter that none was given.
    """
    known = {name for run in runs for name in run.metrics}
    if metric not in known:
        raise UnknownNameError("metric", metric, known) if known else HpsearchError("no run has any metric")
    if by is not None and not any(by in run.params for run in runs):
        raise UnknownNameError("parameter", by, {name for run in runs for name in run.params})
    searched = searched_by_number(runs)
    return [
        _arm(name, found, searched=searched, metric=metric, by=by, step=step)
        for name, found in grouped(runs, searched, by).items()
    ]


def _arm(
    name: str,
    runs: Iterable[FinishedRun],
    *,
    searched: set[Identity],
    metric: str,
    by: str | None,
    step: int | None,
) -> Arm:
    kept: dict[bool, list[Observation]] = {False: [], True: []}
    dropped: list[DroppedRun] = []
    ended_badly = pruned = 0
    for run in runs:
        trial = is_trial(run, searched)
        if trial and run.search is not None and metric not in run.metrics and metric != run.search.metric:
            continue  # a search by another metric: its trials are no part of this question
        why = _why_dropped(run, metric, step)
        if why is None:
            kept[trial].append(_observation(run, _value(run, metric, step) or 0.0, by))
        else:
            dropped.append(DroppedRun(run.run, why))
            ended_badly += not trial and run.outcome in _ENDED
            pruned += run.outcome is Outcome.PRUNED
    return Arm(
        name,
        tuple(kept[False]),
        trials=tuple(kept[True]),
        dropped=tuple(dropped),
        ended_badly=ended_badly,
        pruned=pruned,
        configurations=max(len({each.configuration for each in kept[False]}), 1) if by is None else 1,
        read_at=step,
    )


def _why_dropped(run: FinishedRun, metric: str, step: int | None) -> str | None:
    if run.dropped is not None:
        return run.dropped
    if run.outcome is None:
        return "not finished"
    if run.outcome in _ENDED:
        return f"{_ENDED[run.outcome]}: {run.reason}" if run.reason else _ENDED[run.outcome]
    value = _value(run, metric, step)
    if value is None:
        return f"has no {metric}" if step is None else f"has no {metric} at step {step}"
    if not math.isfinite(value):
        return f"{metric} is {value}"
    return None if abs(value) <= LARGEST else f"{metric} is {value:.3g}, too large to compute with"


def _value(run: FinishedRun, metric: str, step: int | None) -> float | None:
    if step is None:
        found = run.metrics.get(metric)
        return None if found is None else float(found.value)
    series = run.histories.get(metric)
    if series is not None and step in series.steps:
        return float(series.values[len(series.steps) - 1 - series.steps[::-1].index(step)])
    return None


def _observation(run: FinishedRun, value: float, by: str | None) -> Observation:
    keys = {name: None if getattr(run, name) is None else str(getattr(run, name)) for name in KEYS}
    return Observation(run, value, **keys, configuration=_configuration(run.params, by))


def _configuration(params: Mapping[str, object], by: str | None) -> str:
    """Return the parameters other than `by` as text; seeds and folds among them are keys, not settings."""
    rest = {name: value for name, value in params.items() if name != by and not _is_key(name)}
    return json.dumps(rest, sort_keys=True, default=str) if rest else ""


def _is_key(name: str) -> bool:
    word = name.lower().rpartition(".")[2]
    return word in _KEY_WORDS or word.endswith("seed")
