"""From runs to arms: which arm a run belongs to, which runs count, and why the others do not."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hpsearch.comparing.comparison import DroppedRun
from hpsearch.comparing.statistics.arrays import LARGEST
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Key, Outcome
from hpsearch.titles import Identity, titles_of

KEYS = ("dataset", "fold", "repeat", "seed")
_KEY_WORDS = {*KEYS, "data_set", "cv_fold", "repetition", "random_state", "trial"}
REPEAT = "repeat "
"""The name of a repeat that represents a seed."""
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
    Outcome.STOPPED: "stopped: its value is of a smaller budget",
}


@dataclass(frozen=True)
class Observation:
    """A run that counts, with its value and its keys as text; a key that was not noted, or tells nothing, is None."""

    run: FinishedRun
    value: float
    dataset: str | None = None
    fold: str | None = None
    repeat: str | None = None
    seed: str | None = None
    search: str | None = None
    configuration: str = ""

    @property
    def keyed(self) -> bool:
        """Whether anything but its own name identifies it."""
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
        """Whether its single value is compared with every run of another arm."""
        return bool(self.observations) and all(each.run.deterministic for each in self.observations)

    @property
    def redivided(self) -> bool:
        """Whether each search had a division of the data of its own, of which the parts overlap as folds do."""
        return any(each.search is not None and each.fold is not None for each in self.observations)

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

    Raises:
        UnknownNameError: If no run has the metric or the parameter.

    """
    known = {name for run in runs for name in run.metrics}
    if metric not in known:
        raise UnknownNameError("metric", metric, known) if known else HpsearchError("no run has any metric")
    if by is not None and not any(by in run.params for run in runs):
        raise UnknownNameError("parameter", by, {name for run in runs for name in run.params})
    searched = _searched_by_number(runs)
    return [
        _arm(name, found, searched=searched, metric=metric, by=by, step=step)
        for name, found in _grouped(runs, searched, by).items()
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
        trial = _is_trial(run, searched)
        if trial and run.search is not None and metric not in run.metrics and metric != run.search.metric:
            continue  # a search by another metric: its trials are not a part of this question
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
        configurations=_configurations(kept[False]) if by is None else 1,
        read_at=step,
    )


def _configurations(runs: Sequence[Observation]) -> int:
    """Return how many configurations runs have, at most; every search of an arm chooses one of its own."""
    found: dict[str | None, set[str]] = {}
    for each in runs:
        found.setdefault(each.search, set()).add(each.configuration)
    return max(map(len, found.values()), default=1)


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
    search = None if run.search_number is None else str(run.search_number)
    return Observation(run, value, **keys, search=search, configuration=_configuration(run.params, by))


def _configuration(params: Mapping[str, object], by: str | None) -> str:
    """Return the parameters other than `by` as text; seeds and folds among them are keys, not settings."""
    rest = {name: value for name, value in params.items() if name != by and not _is_key(name)}
    return json.dumps(rest, sort_keys=True, default=str) if rest else ""


def _is_key(name: str) -> bool:
    word = name.lower().rpartition(".")[2]
    return word in _KEY_WORDS or word.endswith("seed")


def _grouped(runs: Sequence[FinishedRun], searched: set[Identity], by: str | None) -> dict[str, list[FinishedRun]]:
    """Return the runs of each arm by its name, in the order in which the arms' first runs come."""
    confirmed = _confirmed(runs, searched)
    groups: dict[_Group, list[FinishedRun]] = {}
    for run in runs:
        several = (
            by is None and _identity_of(run) in confirmed and not _is_trial(run, searched) and run.trial is not None
        )
        level = None if by is None else _level(run.params.get(by))
        groups.setdefault(_Group(_identity_of(run), str(run.trial) if several else None, level), []).append(run)
    names = _names(list(groups), by)
    return {names[group]: found for group, found in groups.items()}


@dataclass(frozen=True)
class _Group:
    """What the runs of an arm share: the experiment, the confirmed trial if there are several, a parameter's value."""

    identity: Identity
    trial: str | None
    level: tuple[bool, str] | None


def _identity_of(run: FinishedRun) -> Identity:
    """Return the key that identifies a run's experiment."""
    return run.experiment, run.place


def _level(value: object) -> tuple[bool, str]:
    """Return a parameter's value as text, and whether it is one: 1 and 1.0 are one value, 1, "1" and true are three."""
    if isinstance(value, str):
        return True, value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return False, json.dumps(value, default=str)


def _names(groups: Sequence[_Group], by: str | None) -> dict[_Group, str]:
    """Return the name of each arm: its experiment, the parameter's value, or both where both differ."""
    titles = titles_of(group.identity for group in groups)
    numbers = {level[1] for level in (group.level for group in groups) if level is not None and not level[0]}
    named = {}
    for group in groups:
        title = titles[group.identity]
        if group.level is not None:
            text, value = group.level
            shown = f"{by}={json.dumps(value) if text and value in numbers else value}"
            title = f"{title} {shown}" if len(titles) > 1 else shown
        named[group] = title if group.trial is None else f"{title} (trial {group.trial})"
    # `e (trial 1)` may be the name of another experiment
    distinct = titles_of((name, (str(number),)) for number, name in enumerate(named.values()))
    return {group: distinct[name, (str(number),)] for number, (group, name) in enumerate(named.items())}


def _confirmed(runs: Iterable[FinishedRun], searched: set[Identity]) -> set[Identity]:
    """Return the experiments of which several trials of one search were trained again."""
    found: dict[tuple[Identity, Key | None], set[str]] = {}
    for run in runs:
        if run.trial is not None and not _is_trial(run, searched):
            found.setdefault((_identity_of(run), run.search_number), set()).add(str(run.trial))
    return {identity for (identity, _), numbers in found.items() if len(numbers) > 1}


def _searched_by_number(runs: Iterable[FinishedRun]) -> set[Identity]:
    """Return the experiments whose runs with a trial's number are trials, though all of them note the same seed.

    A setting that is equal in all trials is not a key. Replicates of trials are listed with trials that have a
    `search`, or are several for each trial.
    """
    noted: dict[Identity, list[FinishedRun]] = {}
    proposed = {_identity_of(run) for run in runs if run.search is not None}
    for run in runs:
        if run.trial is not None and _identity_of(run) not in proposed:
            noted.setdefault(_identity_of(run), []).append(run)
    return {
        identity
        for identity, found in noted.items()
        if len({str(run.trial) for run in found}) == len(found) > 1
        and len({str(run.seed) for run in found}) == 1
        and all(run.fold is None and run.dataset is None for run in found)
    }


def _is_trial(run: FinishedRun, searched: set[Identity]) -> bool:
    """Check whether a run is a trial of a search; so is one that has a trial's number and nothing else to pair by."""
    if run.search is not None:
        return True
    if run.trial is None:
        return False
    unpaired = run.seed is None and run.fold is None and run.dataset is None
    return unpaired or _identity_of(run) in searched
