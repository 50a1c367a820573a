"""A paired test that may be looked at after each seed: a challenger against the champion, with a margin.

It accepts as soon as the evidence (see `evidence`) reaches 1 / level, so that the chance that a challenger which is not
better by more than the margin is ever accepted is at most the level, whatever ends the challenge. It gives up as soon
as an improvement that is worth finding would have shown so small a difference in few cases only. Giving up can prevent
an acceptance but not cause one: it costs power, which `power` counts, and leaves the error rate as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from hpsearch.comparing.statistics.arrays import LEVEL, SAME, Array, as_array, is_constant, size_of
from hpsearch.comparing.statistics.evidence import (
    Assumption,
    anytime_interval,
    critical_ratio,
    log_evidence,
    ratios,
)
from hpsearch.records import Goal

Flags = npt.NDArray[np.bool_]
FEWEST_TO_SHOW = 3
"""Pairs that may show that the seed changes nothing."""
POWER = 0.8
"""With which the smallest improvement that a plan can find is found."""
WORTH = 0.9
"""The power with which `most` pairs, looked at once, show what is worth finding where nobody says what that is."""
DRAWS, SEED = 4000, 0
"""Made-up challenges of `power`, always the same."""
_MANY = 500
"""Rows from which on it is quicker to find what must be reached than the evidence of each."""


class Decision(StrEnum):
    """What the pairs so far say about a challenge."""

    ACCEPT = "accept"
    REJECT = "reject"
    GO_ON = "go on"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Noise:
    """The standard deviation over seeds of one training's score, and the degrees of freedom it was estimated with."""

    sd: float
    df: float

    @property
    def of_difference(self) -> float:
        """The standard deviation of the difference of two trainings whose seeds have nothing in common."""
        return self.sd * 2**0.5


def pooled_noise(scores: Sequence[Sequence[float]]) -> Noise | None:
    """Return the noise within configurations, each with its scores over seeds; None if nothing varies."""
    samples = [as_array(each) for each in scores]
    samples = [each[np.isfinite(each)] for each in samples]
    if all(is_constant(each, scale=size_of(each)) for each in samples):
        return None
    df = sum(max(len(each) - 1, 0) for each in samples)
    squares = math.fsum(float(np.sum((each - each.mean()) ** 2)) for each in samples if len(each) > 1)
    return Noise((squares / df) ** 0.5, float(df)) if df and squares > 0 else None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a challenge is decided by, fixed before its first training.

    Attributes:
        level: The largest chance to accept a challenger that is not better by more than the margin.
        goal: The direction in which the metric improves.
        margin: In the metric's unit, 0 or more.
        most: Pairs at the end of which a challenge that nothing decided is undecided.
        worth: The improvement that should be found; None for the smallest that `most` pairs, looked at once, show with
            a power of 0.9.
        noise: What was known about the noise before; without it nothing is given up after a single pair.
        measured: How many scores of the champion, with independent seeds, there are from the beginning. Where the noise
            is known, a challenger's first score is compared with their mean to be given up, not with that of one seed.
        give_up: How rarely an improvement of `worth` may show so small a difference, at each look, to be given up.
        confidence: That of the interval.
        assumes: About the differences.
    """

    level: float
    goal: Goal
    margin: float = 0.0
    most: int = 12
    worth: float | None = None
    noise: Noise | None = None
    measured: int = 1
    give_up: float = 0.1
    confidence: float = LEVEL
    assumes: Assumption = Assumption.NORMAL

    def __post_init__(self) -> None:
        """Refuse what no test can keep.

        Raises:
            ValueError: A level that is no probability, a negative margin, no pairs, nothing worth finding.
        """
        if not (0 < self.level < 1 and 0 < self.confidence < 1 and 0 <= self.give_up < 1):
            raise ValueError("level and confidence lie between 0 and 1, and so does give_up, which may be 0")
        if not (self.margin >= 0 and self.most >= 1 and self.measured >= 1):
            raise ValueError("a margin is 0 or more, and there is at least one pair, and one score of the champion")
        if self.worth is not None and not self.worth > self.margin:
            raise ValueError(f"an improvement worth finding is larger than the margin of {self.margin:g}")


@dataclass(frozen=True)
class Judgement:
    """What the pairs so far say.

    Attributes:
        decision: That of the first number of pairs that decides, so that it does not matter in which batches they came.
        evidence: At the number of pairs that decided, else at all: acceptance needs `needed`.
        needed: 1 / level.
        estimate: The mean improvement over all pairs, above 0 if the challenger is better; None without pairs.
        interval: Of the mean improvement, valid at any stopping time; None for a bound that does not exist yet.
        confidence: Of the interval.
        pairs: How many there are.
        decided_at: After how many of them it was decided.
        reason: One sentence.
    """

    decision: Decision
    evidence: float
    needed: float
    estimate: float | None
    interval: tuple[float | None, float | None]
    confidence: float
    pairs: int
    decided_at: int | None
    reason: str


@dataclass(frozen=True)
class Power:
    """The chances of the three ends of a challenge, and the pairs that it takes on average."""

    accepted: float
    rejected: float
    undecided: float
    pairs: float


def judge(
    plan: Plan, champion: Sequence[float], challenger: Sequence[float], *, measured: Sequence[float] = ()
) -> Judgement:
    """Return what the pairs say; the scores are in the order of the shared seeds, and the champion may have more.

    `measured` are the champion's scores from the beginning, as many as the plan says.

    Raises:
        ValueError: The champion has fewer scores than the challenger, or one that is not finite.
    """
    own = as_array(challenger)
    theirs = as_array(champion)[: len(own)]
    if len(theirs) < len(own) or not np.all(np.isfinite(theirs)):
        raise ValueError("the champion needs a finite score for each seed of the challenger")
    finite = len(own) if np.all(np.isfinite(own)) else int(np.argmin(np.isfinite(own)))
    own, theirs = own[:finite], theirs[:finite]
    rounding = SAME * np.maximum(np.abs(own), np.abs(theirs))  # each pair's own, so that later pairs change nothing
    differences = np.where(np.abs(own - theirs) > rounding, plan.goal.sign * (own - theirs), 0.0)
    lead = None
    if len(own) and len(measured) == plan.measured:
        lead = np.array(plan.goal.sign * (own[0] - as_array(measured).mean()))
    found = _first_decision(plan, differences[: plan.most], lead)
    last = found.place or finite
    if finite < len(challenger) and found.decision is Decision.GO_ON:
        found = _Found(Decision.REJECT, finite + 1, found.logs, f"Training {finite + 1} has no finite score.")
    elif last >= FEWEST_TO_SHOW and _constant(own) and _constant(theirs):
        found = _without_noise(plan, float(differences[0]), found.logs)
    return _judgement(plan, differences, found)


def _constant(scores: Array) -> bool:
    first = scores[:FEWEST_TO_SHOW]
    return is_constant(first, scale=size_of(first))


@dataclass(frozen=True)
class _Found:
    decision: Decision
    place: int | None
    logs: Array
    reason: str


def _without_noise(plan: Plan, difference: float, logs: Array) -> _Found:
    """Return the end of a challenge whose trainings do not depend on the seed."""
    said = f"All seeds gave the same two scores, with an improvement of {difference:g}"
    if difference <= plan.margin:
        return _Found(Decision.REJECT, FEWEST_TO_SHOW, logs, f"{said}: not more than the margin of {plan.margin:g}.")
    said = f"{said}: seeds that change nothing cannot tell what chance does. Does the training use its seed?"
    return _Found(Decision.UNDECIDED, FEWEST_TO_SHOW, logs, said)


def _first_decision(plan: Plan, differences: Array, lead: Array | None) -> _Found:
    """Return the first decision that a number of the first pairs makes, or what all of them say."""
    fewest = fewest_pairs(plan)
    if fewest is None:
        said = f"{plan.most} pairs can never be evidence of {1 / plan.level:.4g}: allow more, or a larger error rate."
        return _Found(Decision.UNDECIDED, 0, np.zeros(0), said)
    if not len(differences):
        return _Found(Decision.GO_ON, None, np.zeros(0), "There is no pair of trainings yet.")
    logs = log_evidence(differences - plan.margin, plan.assumes)
    accepted, given_up = logs >= -math.log(plan.level), hopeless(plan, differences, lead=lead)
    decided = accepted | given_up
    at = int(decided.argmax()) if decided.any() else len(differences) - 1
    evidence, needed = f"evidence of {_size(logs[at])}", f"{1 / plan.level:.4g} is needed"
    beyond = f"by more than {plan.margin:g}" if plan.margin else "at all"
    if decided.any() and accepted[at]:
        return _Found(Decision.ACCEPT, at + 1, logs, f"Better {beyond} after {_pairs(at + 1)}: {evidence}; {needed}.")
    if decided.any():
        said = f"{'the' if plan.worth is None else 'an'} improvement "
        said += "that this plan can find" if plan.worth is None else f"of {plan.worth:g}"
        share = f"fewer than {100 * plan.give_up:g} of 100 cases"
        return _Found(
            Decision.REJECT, at + 1, logs, f"Given up after {_pairs(at + 1)}: {said} would look this small in {share}."
        )
    if len(differences) >= plan.most:
        return _Found(Decision.UNDECIDED, plan.most, logs, f"All {_pairs(plan.most)} are used: {evidence}; {needed}.")
    return _Found(Decision.GO_ON, None, logs, f"Open after {_pairs(at + 1)}: {evidence}; {needed}.")


def _size(log: float) -> str:
    return f"{math.exp(log):.3g}" if log < math.log(1e6) else f"10^{log / math.log(10):.0f}"


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count} pairs"


def _judgement(plan: Plan, differences: Array, found: _Found) -> Judgement:
    interval: tuple[float | None, float | None] = (None, None)
    if not is_constant(differences, scale=size_of(differences)):
        interval = anytime_interval(differences, confidence=plan.confidence, assumes=plan.assumes)
    seen = min(found.place or len(differences), len(found.logs))
    return Judgement(
        decision=found.decision,
        evidence=math.exp(min(float(found.logs[seen - 1]), 700.0)) if seen else 1.0,
        needed=1 / plan.level,
        estimate=float(np.mean(differences)) if len(differences) else None,
        interval=interval,
        confidence=plan.confidence,
        pairs=len(differences),
        decided_at=found.place,
        reason=found.reason,
    )


def hopeless(plan: Plan, differences: Array, *, known: Array | None = None, lead: Array | None = None) -> Flags:
    """Return after which numbers of pairs a challenge is given up, of improvements along the last axis.

    With what was known about the noise, the variance is the mean of that and of the pairs' own, weighted by degrees of
    freedom, as in the moderated t of Smyth 2004. Given up is what would show a t this small with a probability below
    `give_up` if the improvement were worth finding. `known` replaces the plan's standard deviation of a difference.
    `lead` is how far each challenger's first score is ahead of the mean of the champion's `measured` ones.
    """
    counts = np.arange(1, differences.shape[-1] + 1)
    means = np.cumsum(differences, axis=-1) / counts
    squares = np.maximum(np.cumsum(differences**2, axis=-1) - counts * means**2, 0.0)
    before = plan.noise.df if plan.noise else 0.0
    if known is None:
        known = np.array(plan.noise.of_difference if plan.noise else 0.0)
    df = before + counts - 1
    with np.errstate(invalid="ignore", divide="ignore"):  # a single pair and no known noise: 0 / 0, not given up
        spread = np.sqrt((before * known**2 + squares) / df)
        worth = plan.margin + _reach(plan) * spread if plan.worth is None else plan.worth
        errors = spread / np.sqrt(counts)
        if lead is not None:
            means[..., 0], errors[..., 0] = lead, spread[..., 0] * ((1 + 1 / plan.measured) / 2) ** 0.5
        chance = special.stdtr(df, (means - worth) / errors)
    return np.asarray((chance < plan.give_up) & (df > 0))


@lru_cache(maxsize=256)
def fewest_pairs(plan: Plan) -> int | None:
    """Return the number of pairs from which on the plan can accept; None if it never can."""
    if plan.assumes is Assumption.SYMMETRIC:
        found = log_evidence(np.ones(plan.most), plan.assumes) >= -math.log(plan.level)
        return int(found.argmax()) + 1 if found.any() else None
    return next((n for n in range(1, plan.most + 1) if math.isfinite(critical_ratio(n, plan.level))), None)


def _reach(plan: Plan) -> float:
    """Return the distance from the margin that `most` pairs, looked at once, show by WORTH, in sd of a difference."""
    ratio, most = critical_ratio(plan.most, plan.level), plan.most
    if not math.isfinite(ratio):
        return math.inf
    effect = math.sqrt((most - 1) / (most * (most - ratio**2))) * ratio
    return effect + float(special.ndtri(WORTH)) / math.sqrt(most)


def smallest_found(plan: Plan) -> float | None:
    """Return the smallest improvement that the plan finds with a power of about 0.8, in the metric's unit.

    None if the noise is not known, or if the plan can never accept.
    """
    if plan.noise is None or fewest_pairs(plan) is None:
        return None
    size = plan.noise.of_difference

    def found(multiple: float) -> bool:
        return power(plan, plan.margin + multiple * size).accepted >= POWER

    far = next((2.0**k for k in range(1, 12) if found(2.0**k)), None)
    if far is None:
        return None
    near = 0.0
    for _ in range(10):
        middle = (near + far) / 2
        near, far = (near, middle) if found(middle) else (middle, far)
    return plan.margin + far * size


@dataclass(frozen=True)
class Ends:
    """How made-up challenges end, an array each: whether accepted, whether given up, after how many pairs."""

    accepted: Flags
    given_up: Flags
    pairs: npt.NDArray[np.int64]


def ends(plan: Plan, differences: Array, *, known: Array | None = None, lead: Array | None = None) -> Ends:
    """Return how challenges end whose improvements are the rows, `most` of them; `known`, `lead` as in `hopeless`."""
    rows = differences[:, : plan.most]
    if plan.assumes is Assumption.NORMAL and len(rows) >= _MANY:
        critical = np.array([critical_ratio(n, plan.level) for n in range(1, rows.shape[1] + 1)])
        accepted = ratios(rows - plan.margin) >= critical
    else:
        accepted = log_evidence(rows - plan.margin, plan.assumes) >= -math.log(plan.level)
    given_up = hopeless(plan, rows, known=known, lead=lead)
    decided = accepted | given_up
    last = np.where(decided.any(axis=1), decided.argmax(axis=1), rows.shape[1] - 1)
    row = np.arange(len(rows))
    won = accepted[row, last]
    return Ends(won, given_up[row, last] & ~won, last + 1)


def power(plan: Plan, effect: float, *, noise: Noise | None = None, seed: int = SEED) -> Power:
    """Return what happens to a challenger whose true improvement is `effect`, for normal noise, by simulation.

    `noise` is that of one training, the plan's own if it is not given. What the plan knows of the noise is drawn anew
    for each made-up challenge, with its degrees of freedom. The standard error of a share is at most 0.008.

    Raises:
        ValueError: Neither the plan nor the caller knows the noise.
    """
    true = noise or plan.noise
    if true is None:
        raise ValueError("the power of a plan depends on the noise")
    generator = np.random.default_rng(seed)
    champion = generator.normal(0.0, true.sd, (DRAWS, max(plan.most, plan.measured)))
    challenger = generator.normal(effect, true.sd, (DRAWS, plan.most))
    lead = challenger[:, 0] - champion[:, : plan.measured].mean(axis=1)
    known = None
    if plan.noise:
        spreads = np.sqrt(generator.chisquare(plan.noise.df, (DRAWS, 1)) / plan.noise.df)
        known = true.of_difference * spreads
    found = ends(plan, challenger - champion[:, : plan.most], known=known, lead=lead)
    accepted, rejected = float(np.mean(found.accepted)), float(np.mean(found.given_up))
    return Power(accepted, rejected, 1 - accepted - rejected, float(np.mean(found.pairs)))
