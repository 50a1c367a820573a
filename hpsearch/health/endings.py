"""What the ways in which trials ended say: divergence, exhausted memory."""

import re
from collections.abc import Iterator

from hpsearch.health.curves import figure, read_curve
from hpsearch.health.findings import Finding, Kind, Severity
from hpsearch.health.recipes import advise
from hpsearch.records import Evidence, Outcome


def check_ending(evidence: Evidence, unit: str) -> Iterator[Finding]:
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
