"""What only several trials together say: settings without effect."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpsearch.health.findings import Finding, Kind, Severity
from hpsearch.records import Evidence, Outcome

_OF_THE_CLOCK = ("seconds", "examples_per_second")
_SHORTEST = 2
"""Curves of fewer evaluations may be equal by chance."""


def check_unread(trials: Sequence[Evidence]) -> Iterator[Finding]:
    """Yield a finding for each searched setting that the family read in none of the complete trials that have it."""
    complete = [trial for trial in trials if trial.run.outcome is Outcome.COMPLETE]
    for path in dict.fromkeys(path for trial in complete for path in trial.unread):
        having = [trial for trial in complete if path in trial.run.params]
        if all(path in trial.unread for trial in having):
            sentence = f"no training read {path}: it was searched over {len(having)} complete trials without effect"
            yield Finding(
                Kind.UNREAD_SETTING,
                Severity.SERIOUS,
                having[0].run.number,
                sentence,
                advice=(f"leave {path} out of the space, or let the family use it",),
            )


def check_identical(trials: Sequence[Evidence]) -> Iterator[Finding]:
    """Yield a finding for each group of trials with equal curves but different settings, and say which differ."""
    groups: dict[Any, list[Evidence]] = defaultdict(list)
    for trial in trials:
        if len(trial.rows) >= _SHORTEST and not trial.run.changes:
            groups[tuple(map(_untimed, trial.rows))].append(trial)
    for alike in groups.values():
        differing = _differing([trial.run.params for trial in alike])
        if differing:
            numbers = [trial.run.number for trial in alike]
            yield Finding(
                Kind.IDENTICAL_CURVES,
                Severity.SERIOUS,
                numbers[0],
                f"trials {_listed(numbers)} have the same learning curves, although they differ in "
                f"{', '.join(differing)}",
                advice=(f"see whether the training uses {_listed(differing)}, and its seed",),
            )


def _untimed(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in row.items() if name not in _OF_THE_CLOCK))


def _differing(params: Sequence[Mapping[str, Any]]) -> list[str]:
    paths = dict.fromkeys(path for each in params for path in each)
    return [path for path in paths if len({repr(each.get(path)) for each in params}) > 1]


def _listed(items: Sequence[Any]) -> str:
    words = [str(item) for item in items]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
