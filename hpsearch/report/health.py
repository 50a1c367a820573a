"""What an examination found, in words and as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from hpsearch.cleaning import one_line
from hpsearch.health import Digest, Finding, Severity

MOST_LINES = 5
"""The most findings that a terminal shows; notes are only in JSON and in the view of a single trial."""
_STYLES = {Severity.SERIOUS: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def health_lines(digests: Sequence[Digest], *, notes: bool = False, most: int = MOST_LINES) -> Iterator[Text]:
    """Yield a line for each kind of finding, with its advice on the line below, and how many are left out."""
    told = [each for each in digests if notes or each.finding.severity is not Severity.NOTE]
    if not told:
        return
    yield Text("health", "bold")
    for each in told[:most]:
        finding = each.finding
        line = Text(f"  {finding.kind}", _STYLES[finding.severity])
        yield line.append(f", {_trials(each)}: {one_line(finding.sentence)}", "default")
        if finding.advice:
            yield Text(f"    try {one_line('; '.join(finding.advice))}", "dim")
    if len(told) > most:
        yield Text(f"  … and {len(told) - most} more kinds; --json has all", "dim")


def alarm(finding: Finding) -> str:
    """Return a finding with its advice in one line."""
    advice = f"; try {'; '.join(finding.advice)}" if finding.advice else ""
    return one_line(f"trial {finding.trial}, {finding.kind}: {finding.sentence}{advice}")


HEALTH_TITLES = ("experiment", "finding", "where", "what", "try")


def health_rows(health: Mapping[str, Sequence[Digest]]) -> list[tuple[str, ...]]:
    """Return a row for each kind of finding of each experiment, with the titles HEALTH_TITLES; notes are left out."""
    return [
        (name, str(each.finding.kind), _trials(each), each.finding.sentence, "; ".join(each.finding.advice))
        for name, digests in health.items()
        for each in digests
        if each.finding.severity is not Severity.NOTE
    ]


def _trials(digest: Digest) -> str:
    others = [number for number in digest.trials if number != digest.finding.trial]
    if not others:
        return f"trial {digest.finding.trial}"
    return f"trial {digest.finding.trial} and {len(others)} other{'s' if len(others) > 1 else ''}"


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain data."""
    return {**asdict(finding), "advice": list(finding.advice)}
