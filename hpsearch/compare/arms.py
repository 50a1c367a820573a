"""From runs to arms: what is compared, which runs count, and why the others do not."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hpsearch.compare.comparison import DroppedRun
from hpsearch.compare.statistics.arrays import LARGEST
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Outcome

KEYS = ("dataset", "fold", "repeat", "seed", "trial")
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
    """A run that counts, with its value and its keys as text; a key that nobody noted is None."""

    run: FinishedRun
    value: float
    dataset: str | None = None
    fold: str | None = None
    repeat: str | None = None
    seed: str | None = None
    configuration: str = ""

    @property
    def cell(self) -> tuple[str | None, ...]:
        """Everything that two runs must share to be partners."""
        return (self.dataset, self.fold, self.repeat, self.seed, self.configuration)


@dataclass(frozen=True)
class Arm:
    """One side of a comparison. `trials` are runs of a search: they are never tested. `units` fills in the `cells`."""

    name: str
    observations: tuple[Observation, ...] = ()
    trials: tuple[Observation, ...] = ()
    dropped: tuple[DroppedRun, ...] = ()
    ended_badly: int = 0
    pruned: int = 0
    configurations: int = 1
    read_at: int | None = None
    cells: Cells = field(default_factory=dict)

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
    """Return the arms in the order in which their first runs come.

    Errors: UnknownNameError for a metric that no run has or a parameter that none was given.
    """
    known = {name for run in runs for name in run.metrics}
    if metric not in known:
        raise UnknownNameError("metric", metric, known) if known else HpsearchError("no run has any metric")
    if by is not None and not any(by in run.params for run in runs):
        raise UnknownNameError("parameter", by, {name for run in runs for name in run.params})
    groups: dict[str, list[FinishedRun]] = {}
    name_of = _namer(runs, by)
    for run in runs:
        groups.setdefault(name_of(run), []).append(run)
    return [_arm(name, group, metric=metric, by=by, step=step) for name, group in groups.items()]


def _namer(runs: Sequence[FinishedRun], by: str | None) -> Callable[[FinishedRun], str]:
    """Return how a run's arm is called: its experiment, the parameter's value, or both where both differ."""
    several = len({run.experiment for run in runs}) > 1
    confirmed: dict[str, set[str]] = {}
    for run in runs:
        if not is_trial(run) and run.trial is not None:
            confirmed.setdefault(run.experiment, set()).add(str(run.trial))

    def name(run: FinishedRun) -> str:
        if by is not None:
            value = run.params.get(by)
            group = f"{by}={value if isinstance(value, str) else json.dumps(value, default=str)}"
            return f"{run.experiment} {group}" if several else group
        if len(confirmed.get(run.experiment, ())) > 1 and not is_trial(run) and run.trial is not None:
            return f"{run.experiment} (trial {run.trial})"
        return run.experiment

    return name


def is_trial(run: FinishedRun) -> bool:
    """Say whether a run is a trial of a search; so is one that has a trial's number and nothing else to pair by."""
    if run.search is not None:
        return True
    return run.trial is not None and run.seed is None and run.fold is None and run.dataset is None


def _arm(name: str, runs: Iterable[FinishedRun], *, metric: str, by: str | None, step: int | None) -> Arm:
    kept: dict[bool, list[Observation]] = {False: [], True: []}
    dropped: list[DroppedRun] = []
    ended_badly = pruned = 0
    for run in runs:
        trial = is_trial(run)
        if trial and run.search is not None and metric not in run.metrics and metric != run.search.metric:
            continue  # a search by another metric: its trials are no part of this question
        why = _why_dropped(run, metric, step)
        if why is None:
            kept[trial].append(_observation(run, _value(run, metric, step) or 0.0, by))
        else:
            dropped.append(DroppedRun(run.run, why))
            ended_badly += not trial and run.outcome in _ENDED
            pruned += run.outcome is Outcome.PRUNED
    configurations = 1
    if by is None:
        configurations = max(len({each.configuration for each in kept[False]}), 1)
        kept[False] = [replace(each, configuration="") for each in kept[False]]
    observations, duplicates = _without_duplicates(kept[False])
    return Arm(
        name,
        observations,
        trials=tuple(kept[True]),
        dropped=(*dropped, *duplicates),
        ended_badly=ended_badly,
        pruned=pruned,
        configurations=configurations,
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
    keys = {name: None if getattr(run, name) is None else str(getattr(run, name)) for name in KEYS[:-1]}
    return Observation(run, value, **keys, configuration=_configuration(run.params, by))


def _configuration(params: Mapping[str, object], by: str | None) -> str:
    """Return the parameters other than `by` as text; seeds and folds among them are keys, not settings."""
    rest = {
        name: value
        for name, value in params.items()
        if name != by and name.split(".")[-1] not in (*KEYS, "random_state")
    }
    return json.dumps(rest, sort_keys=True, default=str) if rest else ""


def _without_duplicates(found: Sequence[Observation]) -> tuple[tuple[Observation, ...], list[DroppedRun]]:
    """Keep the first run of each cell. Runs without any key cannot be told to be duplicates: all of them stay."""
    first: dict[tuple[str | None, ...], Observation] = {}
    kept: list[Observation] = []
    dropped: list[DroppedRun] = []
    for each in found:
        noted = each.cell[:4] != (None, None, None, None)
        if noted and each.cell in first:
            same = first[each.cell].run
            differs = "" if same.params == each.run.params else ", with other parameters: --by tells them apart"
            dropped.append(DroppedRun(each.run.run, f"duplicate of {same.run} ({_describe(each)}){differs}"))
            continue
        first.setdefault(each.cell, each)
        kept.append(each)
    return tuple(kept), dropped


def _describe(each: Observation) -> str:
    named = {name: getattr(each, name) for name in KEYS[:-1]}
    return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
