"""The facts about experiments that decide which can be compared, and how their data differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Any

from hpsearch.records import Goal

MOST_NAMED = 3
"""Settings that differ, and experiments in a sentence, up to which all are named."""


class CandidateKind(StrEnum):
    """What is compared: hpsearch's own experiments and studies, or runs of another tool."""

    EXPERIMENT = "experiment"
    STUDY = "study"
    RUNS = "runs"


@dataclass(frozen=True)
class Candidate:
    """The facts about an experiment that decide its group; `name` is its own.

    `metric` and `goal` are what it is after; of runs whose origin does not say (`told`) what was chosen, or None.
    `tested` is the metric of its tested runs, None if it has none yet; `arms` counts what these make. `data` are the
    fingerprints of its runs' data, `settings` and `described` what is known of them. `complete` counts trials; each was
    trained for `length` of the `unit`, None if that differs. `known` are metrics of its runs. `lacks` says why
    nothing of it can be compared; `plan` what the plan of a study fixes.
    """

    name: str
    kind: CandidateKind = CandidateKind.EXPERIMENT
    metric: str | None = None
    goal: Goal | None = None
    told: bool = True
    tested: str | None = None
    arms: int = 0
    family: str = ""
    data: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)
    described: Mapping[str, str] = field(default_factory=dict)
    complete: int = 0
    length: int | None = None
    unit: str = "epoch"
    running: bool = False
    known: frozenset[str] = frozenset()
    lacks: str = ""
    plan: str = ""

    @property
    def searched(self) -> bool:
        """Whether it is a search that has ended and found something."""
        return self.kind is CandidateKind.EXPERIMENT and self.complete > 0 and not self.running


def other_data(a: Candidate, b: Candidate) -> str:
    """Describe how the recorded data of two experiments of one family differ, or return "" if they do not."""
    if a.data and b.data:
        if a.data & b.data:
            return ""
        told = settings_apart(a.described, b.described) or settings_apart(a.settings, b.settings)
        return f"other data: {told or f'their fingerprints are {min(a.data)} and {min(b.data)}'}"
    told = settings_apart(a.settings, b.settings)
    return f"other settings of the data: {told}" if told else ""


def other_settings(candidates: Sequence[Candidate]) -> list[str]:
    """Return a sentence for each two of a family whose data may not be the same; for tests that were asked for."""
    own = [each for each in candidates if each.kind is CandidateKind.EXPERIMENT and each.tested]
    return [
        f"{a.name} and {b.name} have {told}: what they differ in may be the data"
        for a, b in combinations(own, 2)
        if a.family == b.family and not (a.data and b.data) and (told := other_data(a, b))
    ]


def settings_apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Return `data.size is 16 and 32`, for each setting that is not the same."""
    names = [name for name in dict.fromkeys((*a, *b)) if a.get(name, _NOT_SET) != b.get(name, _NOT_SET)]
    shown = [f"{name} is {_text(a, name)} and {_text(b, name)}" for name in names[:MOST_NAMED]]
    return "; ".join(shown) + (f"; and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


_NOT_SET = object()


def _text(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name, "not set")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def family_label(family: str) -> str:
    """Return a family's name; of a user's own the file and the class, without the folders."""
    return family.rpartition("/")[2]


def named(names: Sequence[str]) -> str:
    """Return `a, b and c`, or the first few and how many more there are."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
