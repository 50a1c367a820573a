"""The unit of replication: what counts as one observation (rule 1), each arm's values by unit, and which keys count.

A key that is the same in all runs of an arm, and in no other, tells none of them apart. Keys are compared as text, so
that a seed noted as a number by one tool and as text by another is one seed; if an arm itself has both 0 and "0", they
are two.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.comparing.arms import KEYS, REPEAT, Arm, Cells, Merged, Observation, UnitKey
from hpsearch.comparing.comparison import DroppedRun
from hpsearch.comparing.question import Unit
from hpsearch.errors import HpsearchError


def choose_unit(arms: Sequence[Arm], wanted: Unit | None) -> tuple[Unit, str]:
    """Return the unit, and the sentence that says why.

    Raises:
        HpsearchError: If no run has the wanted unit.

    """
    observations = [each for arm in arms for each in arm.observations]
    datasets = {each.dataset for each in observations} - {None}
    folds = {each.fold for each in observations} - {None}
    searches = {each.search for each in observations} - {None}
    if wanted is not None:
        if not {Unit.DATASET: datasets, Unit.FOLD: folds, Unit.SEARCH: searches}.get(wanted, True):
            raise HpsearchError(f"no run has a {wanted}, so that it cannot be the unit of replication")
        said = f"The unit of replication is the {wanted.noun}, as asked for."
        return wanted, said + (_SEEDS_OF_WINNERS if wanted is Unit.SEED and len(searches) > 1 else "")
    if not observations:
        return Unit.TRIAL, (
            "The unit of replication is the trial of a search: all runs were proposed by a search and chosen by a "
            "metric, so that nothing is tested."
        )
    if len(datasets) > 1:
        return Unit.DATASET, (
            f"The unit of replication is the data set ({len(datasets)} of them): runs of one data set are averaged, "
            "because they are alike, and the claim is about further data sets."
        )
    if len(searches) > 1:
        return Unit.SEARCH, _by_search(len(searches), redivided=bool(folds))
    if len(folds) > 1:
        return Unit.FOLD, (
            f"The unit of replication is the fold ({len(folds)} folds): training sets overlap, so that the tests are "
            "corrected for it; the claim is about samples from this one data set."
        )
    seeds = {each.seed for each in observations} - {None}
    if seeds and all(str(seed).startswith(REPEAT) for seed in seeds):
        return Unit.SEED, (
            "The unit of replication is the repeat, as no seed varies: runs of one repeat, if there are any on both "
            "sides, are partners."
        )
    if seeds:
        return Unit.SEED, (
            "The unit of replication is the seed: runs that share a seed, if any do, are partners; the claim is about "
            "further seeds on the same data."
        )
    return Unit.SEED, (
        "The unit of replication is the run: no seed, fold or data set was noted, so that every run counts as an "
        "independent repetition and nothing can be paired."
    )


_SEEDS_OF_WINNERS = (
    " The seeds of one search's winner are no further searches: what is said holds for these winners at most, and p is "
    "too small for anything about the methods."
)


def _by_search(count: int, *, redivided: bool) -> str:
    said = (
        f"The unit of replication is the search ({count} of them): each chose a winner of its own, whose seeds are "
        "averaged, because they are no further searches; the claim is about further searches"
    )
    if redivided:
        return (
            f"{said} on further divisions of this data set: what they learn from overlaps, so that the tests are "
            "corrected for it."
        )
    return f"{said} with further seeds."


SOURCES = {
    "dataset": "data set",
    "search": "choice of hyperparameters",
    "repeat": "division of the data",
    "fold": "fold",
    "seed": "seed",
}
"""The sources of variance that the keys of runs stand for."""


def varied(arms: Sequence[Arm]) -> tuple[str, ...]:
    """Return the sources of variance in which the runs of an arm differ; the others are held fixed, or not noted."""
    return tuple(
        said
        for name, said in SOURCES.items()  # the division of a search is written where folds are
        if any(_varies(arm, name) for arm in arms if name != "fold" or not arm.redivided)
    )


@dataclass(frozen=True)
class Paired:
    """Two arms' values of the units that both have, in one order, and what only one of them has."""

    labels: tuple[str, ...]
    keys: tuple[UnitKey, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def _unit_key(each: Observation, unit: Unit) -> UnitKey | None:
    """Return the key of a run's unit, or None if the run is a unit of its own.

    Only a repeat is another division of the data: seeds are trainings on one fold, and are averaged within it.
    """
    if unit is Unit.DATASET and each.dataset is not None:
        return (each.dataset,)
    if unit is Unit.SEARCH and not each.run.deterministic:
        return (each.search or "1",)  # an arm without numbers was searched once
    if unit is Unit.FOLD and each.fold is not None:
        return (each.repeat, each.fold)
    return None if each.seed is None else (each.seed,)


def label(key: UnitKey) -> str:
    """Return the name of a unit: `3`, `fold 2 of repeat 0`, or the name of a run."""
    if len(key) == 1:
        return str(key[0])
    if len(key) == 2:
        return f"fold {key[1]}" if key[0] is None else f"fold {key[1]} of repeat {key[0]}"
    return str(key[2])


def _in_order(keys: Iterable[UnitKey]) -> list[UnitKey]:
    """Sort numbers as numbers, also within names: seed 10 comes after seed 9, and -2 before -1."""
    return sorted(keys, key=lambda key: [_sortable(str(word)) for word in key])


def _sortable(word: str) -> list[tuple[bool, float, str]]:
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", word):
        return [(False, float(word), word)]
    parts = re.split(r"([0-9]+)", word)  # numbers are at the odd places
    return [(at % 2 == 0, float(part) if at % 2 else 0.0, part) for at, part in enumerate(parts)]


def with_cells(arm: Arm, unit: Unit) -> Arm:
    """Return the arm with its values by unit, in the units' order, whatever the order of its runs.

    Several runs that share all their keys are one: their mean. A run that nothing identifies is a unit of its own.
    """
    kept, left_out = _of_unit(arm, unit)
    found: dict[UnitKey, dict[UnitKey, list[Observation]]] = {}
    alone: list[Observation] = []
    for each in kept:
        key = _unit_key(each, unit)
        if key is None:
            alone.append(each)
        else:
            found.setdefault(key, {}).setdefault(each.cell, []).append(each)
    cells = {
        key: {cell: mean(each.value for each in found[key][cell]) for cell in _in_order(found[key])}
        for key in _in_order(found)
    }
    for place, each in enumerate(sorted(alone, key=lambda each: (each.value, each.run.run))):
        own = ("run", arm.name, each.run.run, str(place))
        cells[own] = {own: each.value}
    return replace(
        arm,
        observations=tuple(kept),
        dropped=(*arm.dropped, *left_out),
        cells=cells,
        merged=tuple(
            _merged(found[key][cell])
            for key in cells
            if key in found
            for cell in cells[key]
            if len(found[key][cell]) > 1
        ),
    )


def _of_unit(arm: Arm, unit: Unit) -> tuple[list[Observation], list[DroppedRun]]:
    """Return the runs that have what the arm's others have, a fold or data set, and the ones that lack it."""
    name = {Unit.FOLD: "fold", Unit.DATASET: "dataset", Unit.SEARCH: "search"}.get(unit)
    observations = list(arm.observations)
    if name is None or all(getattr(each, name) is None for each in observations):
        return observations, []
    why = f"has no {unit.noun}, which is the unit of replication"
    return (
        [each for each in observations if getattr(each, name) is not None],
        [DroppedRun(each.run.run, why) for each in observations if getattr(each, name) is None],
    )


def _merged(same: Sequence[Observation]) -> Merged:
    described = ", ".join(f"{name} {value}" for name in KEYS if (value := getattr(same[0], name)) is not None)
    params = [each.run.params for each in same]
    return Merged(described, tuple(sorted(each.run.run for each in same)), all(each == params[0] for each in params))


def mean(values: Iterable[float]) -> float:
    """Return the mean of the cells of a unit, whatever their order; of one value that value itself."""
    listed = list(values)
    return listed[0] if len(listed) == 1 else math.fsum(listed) / len(listed)


def pair_up(a: Arm, b: Arm, unit: Unit) -> Paired:
    """Pair by the units' values, never by the order of rows (rule 2).

    Where a unit holds several runs, those cells count that both have; where they share none, each has its own mean.
    """
    left, right = a.cells, b.cells
    if a.deterministic != b.deterministic and unit is not Unit.DATASET:
        left, right = _spread(a, left, right), _spread(b, right, left)
    shared = [key for key in left if key in right]
    pairs = [_means(left[key], right[key]) for key in shared]
    return Paired(
        labels=tuple(label(key) for key in shared),
        keys=tuple(shared),
        a=tuple(first for first, _ in pairs),
        b=tuple(second for _, second in pairs),
        only_a=tuple(label(key) for key in left if key not in right),
        only_b=tuple(label(key) for key in right if key not in left),
    )


def _spread(arm: Arm, own: Cells, other: Cells) -> Cells:
    if not arm.deterministic:
        return own
    value = mean(value for cells in own.values() for value in cells.values())
    return {key: {key: value} for key in other}


def _means(left: Mapping[UnitKey, float], right: Mapping[UnitKey, float]) -> tuple[float, float]:
    common = [cell for cell in left if cell in right]
    if not common:
        return mean(left.values()), mean(right.values())
    return mean(left[cell] for cell in common), mean(right[cell] for cell in common)


def with_counting_keys(arms: Sequence[Arm], *, by: str | None) -> list[Arm]:
    """Return the arms with the keys of their runs that count; what is dropped is said in `void`.

    Without `by` runs that share their keys are one unit, whatever their other settings are; `by` tells those apart.
    """
    told = [replace(arm, observations=_quoted(arm, arms)) for arm in arms]
    told = _by_repeat(_without_lone_repeat(told))
    told = [_without_constant_seed(arm, told) for arm in told] if by is None else told
    return told if by is not None else [_bare(arm) for arm in told]


def _quoted(arm: Arm, arms: Sequence[Arm]) -> tuple[Observation, ...]:
    """Return the runs; a text is quoted if some arm also has the number that it spells."""
    told = arm.observations
    for name in KEYS:
        both = {text for each in arms for text in _both(each, name)}
        told = tuple(_with_quotes(each, name) if getattr(each.run, name) in both else each for each in told)
    return told


def _with_quotes(each: Observation, name: str) -> Observation:
    quoted: dict[str, Any] = {name: f'"{getattr(each, name)}"'}
    return replace(each, **quoted)


def _both(arm: Arm, name: str) -> set[str]:
    noted = [getattr(each.run, name) for each in arm.observations]
    texts = {value for value in noted if isinstance(value, str)}
    return texts & {str(value) for value in noted if value is not None and not isinstance(value, str)}


def _without_lone_repeat(arms: Sequence[Arm]) -> list[Arm]:
    """Return the runs without their repeat if it is the same everywhere: then it tells no division from another."""
    repeats = {each.repeat for arm in arms for each in arm.observations} - {None}
    if len(repeats) != 1:
        return list(arms)
    return [_changed(arm, repeat=None) for arm in arms]


def _by_repeat(arms: list[Arm]) -> list[Arm]:
    """Where repeats tell runs apart, but no seed, fold or data set does, take the repeat for the seed."""
    varying = {name: any(_varies(arm, name) for arm in arms) for name in KEYS}
    if not varying["repeat"] or varying["seed"] or varying["fold"] or varying["dataset"]:
        return arms
    return [
        replace(
            arm,
            observations=tuple(
                each if each.repeat is None else replace(each, seed=f"{REPEAT}{each.repeat}", repeat=None)
                for each in arm.observations
            ),
        )
        for arm in arms
    ]


def _without_constant_seed(arm: Arm, arms: Sequence[Arm]) -> Arm:
    """Return the arm without a seed that all its runs have and no run of another, or that is a setting of a search.

    Folds and data sets tell runs apart whose seed is one and the same; there it is harmless.
    """
    seeds = Counter(each.seed for each in arm.observations)
    ((seed, count),) = seeds.items() if len(seeds) == 1 else ((None, 0),)
    if seed is None or count < 2 or any(_varies(arm, name) for name in ("fold", "dataset", "repeat")):
        return arm
    searched = len({each.configuration for each in arm.observations}) > 1
    shared = any(each.seed == seed for other in arms if other is not arm for each in other.observations)
    if shared and not searched:
        return arm
    why = "whose settings differ" if searched else "and in no run of another experiment"
    return replace(
        _changed(arm, seed=None),
        void=f"seed {seed} is noted in all {count} runs, {why}: it tells none apart, and each counts by itself",
    )


def _varies(arm: Arm, name: str) -> bool:
    return len({getattr(each, name) for each in arm.observations} - {None}) > 1


def _changed(arm: Arm, **keys: Any) -> Arm:
    return replace(arm, observations=tuple(replace(each, **keys) for each in arm.observations))


def _bare(arm: Arm) -> Arm:
    return _changed(arm, configuration="")
