"""From the evidence of trials to findings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hpsearch.health.endings import check_ending
from hpsearch.health.findings import Finding, Kind
from hpsearch.health.gradients import check_norms, check_parameters
from hpsearch.health.losses import check_losses
from hpsearch.health.recipes import advise
from hpsearch.health.thresholds import GUIDES, Thresholds
from hpsearch.health.trials import check_identical, check_unread
from hpsearch.records import Evidence, Monitor


def examine_trial(
    evidence: Evidence, objective: Monitor, *, thresholds: Thresholds = GUIDES, unit: str = "epoch"
) -> list[Finding]:
    """Return what is wrong with one training, finished or not, the worst first.

    Of a training that diverges nothing advises a higher learning rate.
    """
    found = [
        *check_ending(evidence, unit),
        *check_norms(evidence, thresholds, unit),
        *check_parameters(evidence, thresholds, unit),
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
    """Return what is wrong with the trials of an experiment, the worst first: with each of them, and all together."""
    found = [*check_unread(trials), *check_identical(trials)]
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

    Settings and groups of trials stand for themselves. What the best trial has comes first among equals.
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
