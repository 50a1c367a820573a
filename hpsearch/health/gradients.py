"""Checks of gradients: the norms in a trial's metrics, and those of single parameters."""

import math
import statistics
from collections.abc import Iterator, Sequence

from hpsearch.health.curves import figure, read_curve
from hpsearch.health.findings import Finding, Kind, Severity, Thresholds, advise
from hpsearch.records import Evidence


def exploded(norms: Sequence[float], limits: Thresholds) -> list[int]:
    """Return where norms are too large, both absolutely and relative to the first; never the first one."""
    return [index for index in range(1, len(norms)) if norms[index] > _limit(norms, index, limits)]


def _limit(norms: Sequence[float], index: int, limits: Thresholds) -> float:
    return max(limits.exploding, limits.growth * _at_first(norms, index, limits))


def _at_first(norms: Sequence[float], index: int, limits: Thresholds) -> float:
    return statistics.median(norms[: min(index, limits.early)])


def check_norms(evidence: Evidence, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Yield what the mean and the largest norms between two evaluations say."""
    mean = read_curve(evidence.rows, "gradient_norm")
    largest = read_curve(evidence.rows, "gradient_norm_max") or mean
    if mean is None or largest is None:
        return
    trial, middle = evidence.run.number, statistics.median(mean.values)
    over = exploded(largest.values, limits)
    under = [index for index, value in enumerate(mean.values) if value < limits.vanishing]
    if over:
        often = bool(exploded(mean.values, limits))
        peak = max(over, key=lambda index: largest.values[index])
        limit, first = _limit(largest.values, peak, limits), _at_first(largest.values, peak, limits)
        yield Finding(
            Kind.EXPLODING_GRADIENTS,
            Severity.WARNING if often else Severity.NOTE,
            trial,
            f"the gradient norm rose above {figure(limit)} at {len(over)} of {len(largest)} evaluations, "
            f"to {figure(largest.values[peak])} at {unit} {largest.steps[peak]}; at first it was {figure(first)}",
            step=largest.steps[over[0]],
            advice=advise(Kind.EXPLODING_GRADIENTS, evidence.config),
        )
    if under:
        yield Finding(
            Kind.VANISHING_GRADIENTS,
            Severity.WARNING,
            trial,
            f"the gradient norm fell below {figure(limits.vanishing)}, to {figure(min(mean.values))}, "
            f"from {unit} {mean.steps[under[0]]} on",
            step=mean.steps[under[0]],
            advice=advise(Kind.VANISHING_GRADIENTS, evidence.config),
        )
    if not over and not under and not limits.healthy_low <= middle <= limits.healthy_high:
        yield Finding(
            Kind.UNUSUAL_GRADIENTS,
            Severity.NOTE,
            trial,
            f"half of the gradient norms are {'above' if middle > limits.healthy_high else 'below'} {figure(middle)}; "
            f"usual are {figure(limits.healthy_low)} to {figure(limits.healthy_high)}, more of a loss that is a sum",
        )


def check_parameters(evidence: Evidence, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Yield one finding for the parameters whose gradients are not finite or too large; the first of them is named."""
    bad = [each for each in evidence.gradients if not abs(each[2]) <= limits.parameter_norm]
    if not bad:
        return
    step, name, norm = bad[0]
    names = {parameter for _, parameter, _ in bad}
    others = f"; {len(names) - 1} other parameters have such gradients too" if len(names) > 1 else ""
    yield Finding(
        Kind.BAD_PARAMETER_GRADIENTS,
        Severity.WARNING if all(math.isfinite(norm) for _, _, norm in bad) else Severity.SERIOUS,
        evidence.run.number,
        f"the gradient of '{name}' had a norm of {figure(norm)} at {unit} {step}{others}",
        step=step,
        advice=advise(Kind.BAD_PARAMETER_GRADIENTS, evidence.config),
    )


def check_flow(evidence: Evidence, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Yield a finding if gradients fade on their way to the first layers, at the last look of `train.histograms`.

    The middle norm of the first third of the weights, in the model's order, is held against that of the last third.
    """
    last = evidence.gradients[-1][0] if evidence.gradients else None
    weights = [each for each in evidence.gradients if each[0] == last and "bias" not in each[1]]
    if last is None or len(weights) < limits.fewest_weights or not all(math.isfinite(norm) for _, _, norm in weights):
        return
    third = len(weights) // 3
    first, end = (statistics.median(norm for _, _, norm in part) for part in (weights[:third], weights[-third:]))
    if first < limits.fading * end:
        yield Finding(
            Kind.VANISHING_GRADIENTS,
            Severity.NOTE,
            evidence.run.number,
            f"gradients fade on their way to the first layers: at {unit} {last} their norms are about {figure(first)} "
            f"from '{weights[0][1]}' on and {figure(end)} up to '{weights[-1][1]}'",
            step=last,
            advice=advise(Kind.VANISHING_GRADIENTS, evidence.config),
        )
