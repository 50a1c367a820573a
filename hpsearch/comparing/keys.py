"""Which keys count: one that is the same in all runs of an arm, and in no other, tells none of them apart.

Keys are compared as text, so that a seed noted as a number by one tool and as text by another is one seed. Where an arm
itself has both 0 and "0", they are two.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hpsearch.comparing.arms import KEYS, REPEAT, Arm, Observation


def with_counting_keys(arms: Sequence[Arm], *, by: str | None) -> list[Arm]:
    """Return the arms with the keys of their runs that count; what is dropped is said in `void`.

    Without `by` runs that share their keys are one unit, whatever their other settings are; `by` tells those apart.
    """
    told = [replace(arm, observations=_quoted(arm, arms)) for arm in arms]
    told = _by_repeat(_without_lone_repeat(told))
    told = [_without_constant_seed(arm, told) for arm in told] if by is None else told
    return told if by is not None else [_bare(arm) for arm in told]


def _quoted(arm: Arm, arms: Sequence[Arm]) -> tuple[Observation, ...]:
    """Return the runs; text that some arm has beside the number it spells is written with quotes."""
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
