"""What the curves of a training say: its losses, its gradient norms, and the gradients of single parameters."""

import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hpsearch.health.findings import Finding, Kind, Severity, Thresholds, advise
from hpsearch.records import Evidence, Monitor, Outcome

_SPLIT = re.compile(r"(?<![a-z])(val|valid|validation|eval)(?=[/_.-])")
"""The split in a metric's name: `val/loss`, `eval_accuracy`."""
_MOSTLY = 0.5
"""A loss that fell by a larger fraction of its first value before it stopped has mostly been learned."""


@dataclass(frozen=True)
class Curve:
    """Finite values that improve downwards, at their steps; `shown` gives them back as the training reported them."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    sign: float = 1.0

    def __len__(self) -> int:
        return len(self.values)

    def shown(self, index: int) -> str:
        """Return the value at an index as text."""
        return figure(self.sign * self.values[index])

    def between(self) -> str:
        """Return the range of its values as text, the smaller first."""
        low, high = sorted((self.sign * min(self.values), self.sign * max(self.values)))
        return f"between {figure(low)} and {figure(high)}"

    def last(self, count: int) -> "Curve":
        """Return the last `count` points."""
        return Curve(self.name, self.steps[-count:], self.values[-count:], self.sign)

    @property
    def best(self) -> int:
        """The index of the first best value."""
        return min(range(len(self)), key=lambda index: self.values[index])

    @property
    def fall(self) -> float:
        """How far the best value lies below the first."""
        return self.values[0] - min(self.values)


def figure(value: float) -> str:
    """Return a number with 3 significant digits."""
    return f"{value:.3g}"


def read_curve(rows: Sequence[Mapping[str, Any]], name: str, *, sign: float = 1.0) -> Curve | None:
    """Return a metric's curve, None when it has no finite value."""
    steps, values = [], []
    for row in rows:
        value = row.get(name)
        if isinstance(value, (int, float)) and math.isfinite(value):
            steps.append(row["step"])
            values.append(sign * value)
    return Curve(name, tuple(steps), tuple(values), sign) if steps else None


def _read_losses(rows: Sequence[Mapping[str, Any]], objective: Monitor) -> tuple[Curve | None, Curve | None]:
    """Return the curves of the training and the validation loss; in place of losses, those of the searched metric.

    The two are never one curve: a metric without a split in its name has no counterpart.
    """
    train, val = read_curve(rows, "train/loss"), read_curve(rows, "val/loss")
    sign = -objective.goal.sign
    if val is None:
        val = read_curve(rows, objective.metric, sign=sign)
        counterpart = _SPLIT.sub("train", objective.metric, count=1)
        if counterpart != objective.metric and (train is None or sign < 0):
            train = read_curve(rows, counterpart, sign=sign) or train
    return train, val


def _trend(values: Sequence[float]) -> float:
    """Return the least-squares slope over equally spaced values."""
    middle = (len(values) - 1) / 2
    spread = sum((place - middle) ** 2 for place in range(len(values)))
    return sum((place - middle) * value for place, value in enumerate(values)) / spread if spread else 0.0


def _changes(values: Sequence[float]) -> list[float]:
    """Return the differences between neighbours."""
    return [after - before for before, after in pairwise(values)]


def _turning(values: Sequence[float]) -> float:
    """Return the fraction of inner points at which the curve turns: 2/3 for noise, 0 for a monotone curve."""
    steps = _changes(values)
    turns = sum(before * after < 0 for before, after in pairwise(steps))
    return turns / (len(steps) - 1) if len(steps) > 1 else 0.0


def _swing(values: Sequence[float]) -> float:
    """Return the root of the mean square of the changes, their trend taken out."""
    steps = _changes(values)
    return statistics.pstdev(steps) if len(steps) > 1 else 0.0


def check_losses(evidence: Evidence, objective: Monitor, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Yield what the training and validation losses say; too short curves say nothing."""
    train, val = _read_losses(evidence.rows, objective)
    known = [curve for curve in (train, val) if curve is not None]
    learned = train is not None and train.fall > limits.little_fall * abs(train.values[0])
    risen = [curve for curve in known if _rises(curve, limits) and not (curve is val and learned)]
    if risen and evidence.run.outcome is not Outcome.DIVERGED:
        yield _divergence(evidence, risen[0], unit)
    if risen or not known or min(map(len, known)) < limits.fewest_evaluations:
        return
    if train is not None and val is not None:
        yield from _over_fitting(evidence, train, val, limits, unit)
    if evidence.run.outcome is Outcome.COMPLETE:
        yield from _under_fitting(evidence, known, limits)
    watched = known[0]
    yield from _oscillation(evidence, watched, limits, unit)
    yield from _stagnation(evidence, watched, limits, unit)
    if evidence.run.outcome is Outcome.COMPLETE:
        yield from _slow(evidence, val or watched, limits, unit)


def _rises(curve: Curve, limits: Thresholds) -> bool:
    """Check whether a curve ends clearly above where it began.

    Either its last values all lie above its first ones, by a fraction of them, or its last one by a multiple.
    """
    if len(curve) < limits.early:
        return False
    count = max(limits.early, len(curve) // 5) if len(curve) >= limits.fewest_evaluations else 1
    first = curve.values[:count]
    if curve.values[-1] <= max(first):
        return False
    scale = max(abs(statistics.median(first)), max(first) - min(first))
    if curve.values[-1] > max(first) + limits.growth * scale:
        return True
    return count > 1 and min(curve.values[-count:]) > max(first) + limits.rise * scale


def _divergence(evidence: Evidence, curve: Curve, unit: str) -> Finding:
    return Finding(
        Kind.DIVERGENCE,
        Severity.SERIOUS,
        evidence.run.number,
        f"{curve.name} got worse, from {curve.shown(0)} to {curve.shown(-1)}; it was best ({curve.shown(curve.best)}) "
        f"at {unit} {curve.steps[curve.best]}",
        curve.steps[curve.best],
        advise(Kind.DIVERGENCE, evidence.config),
    )


def _over_fitting(evidence: Evidence, train: Curve, val: Curve, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Look for a validation loss that rises while the training loss falls, or a gap between them that has grown."""
    best, count = val.best, len(val)
    since = train.values[min(best, len(train) - 1)] - train.values[-1]
    rise = val.values[-1] - val.values[best]
    rose = count - 1 - best >= limits.rise_evaluations and rise > limits.rise * max(val.fall, 1e-12) and since > 0
    growth = (val.values[-1] - train.values[-1]) - (val.values[0] - train.values[0])
    apart = train.fall > 0 and growth > limits.gap * train.fall and train.values[-1] < train.values[0]
    if rose:
        sentence = (
            f"{val.name} was best ({val.shown(best)}) at {unit} {val.steps[best]} and ended at {val.shown(-1)}, "
            f"while {train.name} went on from {train.shown(min(best, len(train) - 1))} to {train.shown(-1)}"
        )
    elif apart:
        sentence = f"{val.name} ended at {val.shown(-1)}, far from {train.name} at {train.shown(-1)}"
    else:
        return
    advice = advise(Kind.OVER_FITTING, evidence.config)
    number, severity = evidence.run.number, Severity.WARNING
    yield Finding(Kind.OVER_FITTING, severity, number, sentence, val.steps[best] if rose else None, advice)


def _under_fitting(evidence: Evidence, curves: Sequence[Curve], limits: Thresholds) -> Iterator[Finding]:
    """Look for losses of which none has come far from where it began."""
    if any(curve.fall > limits.little_fall * abs(curve.values[0]) or _rises(curve, limits) for curve in curves):
        return
    told = [f"{curve.name} went from {curve.shown(0)} to {curve.shown(-1)} only" for curve in curves]
    advice = advise(Kind.UNDER_FITTING, evidence.config)
    yield Finding(Kind.UNDER_FITTING, Severity.WARNING, evidence.run.number, ", ".join(told), advice=advice)


def _oscillation(evidence: Evidence, curve: Curve, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Look for ups and downs that are not small compared with what was learned, nor with the loss itself."""
    recent = curve.last(limits.window)
    if _turning(recent.values) <= limits.turns:
        return
    size = _swing(recent.values)
    scale = max(max(curve.values) - min(curve.values), limits.little_fall * abs(statistics.fmean(recent.values)))
    if size > limits.swing * scale:
        yield Finding(
            Kind.OSCILLATION,
            Severity.WARNING,
            evidence.run.number,
            f"{curve.name} goes up and down by about {figure(size)} {recent.between()} "
            f"from {unit} {recent.steps[0]} on",
            step=recent.steps[0],
            advice=advise(Kind.OSCILLATION, evidence.config),
        )


def _stagnation(evidence: Evidence, curve: Curve, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Look for a window in which the loss neither varies nor falls: a plateau when most was learned before."""
    start, recent = _stalled_since(curve, limits), curve.last(limits.window)
    if start is None:
        return
    kind = Kind.PLATEAU if curve.fall > _MOSTLY * abs(curve.values[0]) else Kind.STAGNATION
    yield Finding(
        kind,
        Severity.NOTE if kind is Kind.PLATEAU else Severity.WARNING,
        evidence.run.number,
        f"{curve.name} has stayed {recent.between()} for the last {len(recent)} evaluations, "
        f"from {unit} {curve.steps[start]} on",
        step=curve.steps[start],
        advice=advise(kind, evidence.config),
    )


def _stalled_since(curve: Curve, limits: Thresholds) -> int | None:
    """Return the index from which a loss has neither varied nor fallen over the last window; None when it does."""
    window = limits.window
    if len(curve) < window:
        return None
    unit = abs(curve.values[0]) or 1.0
    scaled = [value / unit for value in curve.values[-window:]]
    fell = -_trend(scaled) * (window - 1)
    flat = abs(fell) < limits.stall_fall and statistics.pvariance(scaled) < limits.stall_variance
    return len(curve) - window if flat else None


def _slow(evidence: Evidence, curve: Curve, limits: Thresholds, unit: str) -> Iterator[Finding]:
    """Look for a last quarter that still brought much: the training ended before it had converged."""
    quarter = max(len(curve) // 4, 1)
    before, after = min(curve.values[:-quarter]), min(curve.values[-quarter:])
    share = (before - after) / curve.fall if curve.fall > 0 else 0.0
    if share > limits.still_falling and curve.best >= len(curve) - max(quarter // 2, 1):
        yield Finding(
            Kind.SLOW_CONVERGENCE,
            Severity.NOTE,
            evidence.run.number,
            f"{curve.name} was still improving when the training ended: the last {quarter} of {len(curve)} "
            f"evaluations brought {share:.0%} of the whole gain, to {curve.shown(curve.best)} at {unit} "
            f"{curve.steps[curve.best]}",
            advice=advise(Kind.SLOW_CONVERGENCE, evidence.config),
        )


def exploded(norms: Sequence[float], limits: Thresholds) -> list[int]:
    """Return where norms are too large, both absolutely and relative to the first; never the first one."""
    if max(norms, default=0.0) <= limits.exploding:
        return []
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
