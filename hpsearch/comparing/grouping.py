"""Which arm a run belongs to: its experiment, told apart by its place; and what is a trial of a search."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hpsearch.records import FinishedRun
from hpsearch.titles import Identity, titles_of


def grouped(runs: Sequence[FinishedRun], searched: set[Identity], by: str | None) -> dict[str, list[FinishedRun]]:
    """Return the runs of each arm by its name, in the order in which the arms' first runs come."""
    confirmed = _confirmed(runs, searched)
    groups: dict[_Group, list[FinishedRun]] = {}
    for run in runs:
        several = by is None and identity_of(run) in confirmed and not is_trial(run, searched) and run.trial is not None
        level = None if by is None else _level(run.params.get(by))
        groups.setdefault(_Group(identity_of(run), str(run.trial) if several else None, level), []).append(run)
    names = _names(list(groups), by)
    return {names[group]: found for group, found in groups.items()}


@dataclass(frozen=True)
class _Group:
    """What the runs of an arm share: the experiment, the confirmed trial if there are several, a parameter's value."""

    identity: Identity
    trial: str | None
    level: tuple[bool, str] | None


def identity_of(run: FinishedRun) -> Identity:
    """Return what tells the experiment of a run from all others."""
    return run.experiment, run.place


def _level(value: object) -> tuple[bool, str]:
    """Return a parameter's value as text, and whether it is one: 1 and 1.0 are one value, 1, "1" and true are three."""
    if isinstance(value, str):
        return True, value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return False, json.dumps(value, default=str)


def _names(groups: Sequence[_Group], by: str | None) -> dict[_Group, str]:
    """Return how each arm is called: its experiment, the parameter's value, or both where both differ."""
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
    """Return the experiments of which several trials were trained again."""
    found: dict[Identity, set[str]] = {}
    for run in runs:
        if run.trial is not None and not is_trial(run, searched):
            found.setdefault(identity_of(run), set()).add(str(run.trial))
    return {identity for identity, numbers in found.items() if len(numbers) > 1}


def searched_by_number(runs: Iterable[FinishedRun]) -> set[Identity]:
    """Return the experiments whose runs with a trial's number are trials, though all of them note the same seed.

    A setting that is equal in all trials is no key. Replicates of trials stand beside trials with a `search`, or are
    several for each trial.
    """
    noted: dict[Identity, list[FinishedRun]] = {}
    proposed = {identity_of(run) for run in runs if run.search is not None}
    for run in runs:
        if run.trial is not None and identity_of(run) not in proposed:
            noted.setdefault(identity_of(run), []).append(run)
    return {
        identity
        for identity, found in noted.items()
        if len({str(run.trial) for run in found}) == len(found) > 1
        and len({str(run.seed) for run in found}) == 1
        and all(run.fold is None and run.dataset is None for run in found)
    }


def is_trial(run: FinishedRun, searched: set[Identity]) -> bool:
    """Say whether a run is a trial of a search; so is one that has a trial's number and nothing else to pair by."""
    if run.search is not None:
        return True
    if run.trial is None:
        return False
    unpaired = run.seed is None and run.fold is None and run.dataset is None
    return unpaired or identity_of(run) in searched
