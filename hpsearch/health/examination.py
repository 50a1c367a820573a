"""From the evidence of trials to findings: how each ended, what its curves and gradients say, what all say together."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.health.checks import check_flow, check_losses, check_norms, check_parameters, figure, read_curve
from hpsearch.health.findings import GUIDES, Finding, Kind, Severity, Thresholds, advise
from hpsearch.records import Evidence, Monitor, Outcome

_OF_THE_CLOCK = ("seconds", "examples_per_second")
_SHORTEST = 2
"""Curves of fewer evaluations may be equal by chance."""


def examine_trial(
    evidence: Evidence, objective: Monitor, *, thresholds: Thresholds = GUIDES, unit: str = "epoch"
) -> list[Finding]:
    """List the problems of one training, finished or not, the worst first.

    Of a training that diverges nothing advises a higher learning rate.
    """
    found = [
        *_check_ending(evidence, unit),
        *check_norms(evidence, thresholds, unit),
        *check_parameters(evidence, thresholds, unit),
        *check_flow(evidence, thresholds, unit),
        *check_losses(evidence, objective, thresholds, unit),
    ]
    if any(finding.kind is Kind.DIVERGENCE for finding in found):
        found = [
            replace(each, advice=advise(each.kind, evidence.config, higher_rate=False)) if each.advice else each
            for each in found
        ]
    return sorted(found, key=lambda finding: -finding.severity.rank)


def examine(
    trials: Sequence[Evidence], objective: Monitor, *, thresholds: Thresholds = GUIDES, unit: str = "epoch"
) -> list[Finding]:
    """List the problems of an experiment's trials, each alone and all together, the worst first."""
    found = [*_check_unread(trials), *_check_identical(trials)]
    for trial in trials:
        found += examine_trial(trial, objective, thresholds=thresholds, unit=unit)
    return sorted(found, key=lambda finding: -finding.severity.rank)


@dataclass(frozen=True)
class Digest:
    """The findings of one kind: the most telling one, and the numbers of all trials that have it."""

    finding: Finding
    trials: tuple[int, ...]


def digest(findings: Sequence[Finding], *, best: int | None = None) -> list[Digest]:
    """Return a line's worth for each kind: the best trial's finding where it has one, or else the first of the worst.

    Findings about settings and groups of trials are kept apart. What the best trial has comes first among equals.
    """
    groups: dict[tuple[Kind, str], list[Finding]] = {}
    for finding in findings:
        alone = finding.kind in (Kind.UNREAD_SETTING, Kind.IDENTICAL_CURVES)
        groups.setdefault((finding.kind, finding.sentence if alone else ""), []).append(finding)
    shown = []
    for group in groups.values():
        chosen = min(group, key=lambda finding: (finding.trial != best, -finding.severity.rank, finding.trial))
        shown.append(Digest(chosen, tuple(sorted({finding.trial for finding in group}))))
    return sorted(shown, key=lambda each: (-each.finding.severity.rank, each.finding.trial != best))


def _check_ending(evidence: Evidence, unit: str) -> Iterator[Finding]:
    """Yield a finding for a trial that diverged (its reason names the step and the parameter) or ran out of memory."""
    outcome, reason = evidence.run.outcome, evidence.run.reason or "a number became NaN or infinite"
    if outcome is Outcome.DIVERGED:
        found = re.search(r"optimizer step (\d+)", reason)
        advice = advise(Kind.DIVERGENCE, evidence.config)
        sentence = reason + _last_norm(evidence, unit)
        step = int(found.group(1)) if found else None
        yield Finding(Kind.DIVERGENCE, Severity.SERIOUS, evidence.run.number, sentence, step, advice)
    elif outcome is Outcome.OUT_OF_MEMORY:
        advice = advise(Kind.OUT_OF_MEMORY, evidence.config)
        sentence = "the memory was not enough for this configuration"
        yield Finding(Kind.OUT_OF_MEMORY, Severity.SERIOUS, evidence.run.number, sentence, None, advice)


def _last_norm(evidence: Evidence, unit: str) -> str:
    norms = read_curve(evidence.rows, "gradient_norm_max")
    if norms is None:
        return "" if evidence.rows or evidence.run.history else "; it was before the first evaluation"
    return f"; the largest gradient norm before was {figure(norms.values[-1])}, at {unit} {norms.steps[-1]}"


def _check_unread(trials: Sequence[Evidence]) -> Iterator[Finding]:
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


def _check_identical(trials: Sequence[Evidence]) -> Iterator[Finding]:
    """Yield a finding for each group of trials with equal curves but different settings, and say which differ."""
    curves = [trial for trial in trials if len(trial.rows) >= _SHORTEST and not trial.run.changes]
    ends = _grouped(curves, lambda trial: (len(trial.rows), _untimed(trial.rows[-1])))  # few have the same
    groups = [group for end in ends for group in _grouped(end, lambda trial: tuple(map(_untimed, trial.rows)))]
    for alike in sorted(groups, key=lambda group: group[0].run.number):
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


def _grouped(trials: Iterable[Evidence], key: Callable[[Evidence], Any]) -> list[list[Evidence]]:
    """Return the groups of two or more trials that have the same key, in the order of their first ones."""
    groups: dict[Any, list[Evidence]] = defaultdict(list)
    for trial in trials:
        groups[key(trial)].append(trial)
    return [group for group in groups.values() if len(group) > 1]


def _untimed(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in row.items() if name not in _OF_THE_CLOCK))


def _differing(params: Sequence[Mapping[str, Any]]) -> list[str]:
    paths = dict.fromkeys(path for each in params for path in each)
    return [path for path in paths if len({repr(each.get(path)) for each in params}) > 1]


def _listed(items: Sequence[Any]) -> str:
    words = [str(item) for item in items]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
