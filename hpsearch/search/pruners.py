"""The pruners, a named row each: rules that hear every metric once and say at once whether its trial should stop.

All of them count evaluations, the numbers of a trial's reports, from 1, whatever the reported steps count. What they
judge is the metric at the evaluation, not the best so far. Each keeps what it needs in order, so that an answer costs
no more among ten thousand trials than among ten, and a search that is replayed from its log hears the old reports again
in their order and comes to the same state.
"""

import binascii
import bisect
import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from hpsearch.errors import UnknownNameError
from hpsearch.records import Goal
from hpsearch.space.pruner_options import Pausing


class Rule(Protocol):
    """What a pruner is."""

    pauses: bool
    """Whether who is stopped may go on later, as promotion.py decides."""

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Enter the metric at the next evaluation of a trial; say whether the trial should stop there."""
        ...

    def ended(self, trial: int) -> None:
        """Forget what matters only while the trial is trained."""
        ...


class NeverStop:
    """Stops nobody; also for a population, which keeps its members (population.py decides which of them change)."""

    pauses = False

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Return False."""
        del trial, evaluation, metric
        return False

    def ended(self, trial: int) -> None:
        """Do nothing."""


class PercentileAtEvaluation:
    """Stop a trial whose metric is worse than the best `percent` of the others' metrics at the same evaluation.

    Optuna's own rule compares the trial's best value so far with the other trials' values at the step, and looks at
    complete trials only, so that a trial which was good once is never pruned and the bar rises with every pruned trial.
    Here every trial that reached the evaluation counts, with its metric there.
    """

    pauses = False

    def __init__(self, percent: float, *, goal: Goal, startup: int, warmup: int, every: int) -> None:
        self._percent = percent
        self._goal = goal
        self._startup = startup
        self._warmup = warmup
        self._every = every
        self._finite: defaultdict[int, list[float]] = defaultdict(list)
        """The finite metrics at each evaluation, in ascending order."""

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Enter a metric; see `Rule`."""
        del trial
        others = self._finite[evaluation]
        worse = self._compared(evaluation) and len(others) >= self._startup and self._worse(metric, others)
        if math.isfinite(metric):
            bisect.insort(others, metric)
        return worse

    def ended(self, trial: int) -> None:
        """Do nothing: who has ended is compared with, too."""

    def _compared(self, evaluation: int) -> bool:
        return evaluation >= self._warmup and (evaluation - self._warmup) % self._every == 0

    def _worse(self, metric: float, others: list[float]) -> bool:
        if not math.isfinite(metric):
            return True
        if not others:
            return False
        if self._goal is Goal.MAXIMIZE:
            return metric < percentile(others, 100 - self._percent)
        return metric > percentile(others, self._percent)


def percentile(ordered: list[float], percent: float) -> float:
    """Return a percentile of values in ascending order, by linear interpolation; the same floats as numpy's."""
    place = (len(ordered) - 1) * (percent / 100)
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    weight = place - below
    if weight >= 0.5:  # from the nearer side, as numpy does
        return high - (high - low) * (1 - weight)
    return low + (high - low) * weight


class PatienceAtEvaluation:
    """Stop a trial that has brought no sufficient gain in more than `patience` evaluations.

    That is, its best value in the last `patience` + 1 evaluations must be better by `minimum_gain` than its best value
    before; with a `minimum_gain` of 0 it must be better at all. The `min_delta` of Optuna's own rule is a tolerance
    for losses: it prunes neither a flat curve nor one that gains too little.
    """

    pauses = False

    def __init__(self, patience: int, *, goal: Goal, minimum_gain: float) -> None:
        self._sign = goal.sign
        self._minimum_gain = minimum_gain
        self._window = patience + 1
        self._recent: defaultdict[int, deque[float]] = defaultdict(deque)
        """The last metrics of each trial that is trained, as something to maximize."""
        self._before: dict[int, float] = {}
        """The best of each trial's finite metrics before those, if there is one."""

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Enter a metric; see `Rule`."""
        del evaluation
        recent = self._recent[trial]
        recent.append(self._sign * metric)
        if len(recent) > self._window:
            oldest = recent.popleft()
            if math.isfinite(oldest):
                self._before[trial] = max(oldest, self._before.get(trial, -math.inf))
        if trial not in self._before:
            return False
        gain = max((value for value in recent if math.isfinite(value)), default=-math.inf) - self._before[trial]
        return gain <= 0 or (gain < self._minimum_gain and not math.isclose(gain, self._minimum_gain, rel_tol=1e-9))

    def ended(self, trial: int) -> None:
        """Forget the trial's curve."""
        self._recent.pop(trial, None)
        self._before.pop(trial, None)


class Rung:
    """The metrics of the trials that came to a rung, the best first; the `kept` best of them go on."""

    def __init__(self, goal: Goal) -> None:
        self._sign = goal.sign
        self._costs: list[float] = []

    def __len__(self) -> int:
        return len(self._costs)

    def enter(self, metric: float, reduction: int) -> bool:
        """Enter a metric; say whether it is among the best 1/`reduction`, or the best of fewer than `reduction`."""
        cost = -self._sign * metric
        bisect.insort(self._costs, cost)
        return cost <= self._costs[max(len(self._costs) // reduction, 1) - 1]


class SuccessiveHalving:
    """Asynchronous successive halving that stops whoever is not among the best 1/`reduction` so far (Li et al. 2020).

    As in Optuna, whose trials cannot be paused: among fewer than `reduction` the best goes on.
    """

    pauses = False

    def __init__(self, minimum: int, reduction: int, *, goal: Goal) -> None:
        self._minimum = minimum
        self._reduction = reduction
        self._rungs: defaultdict[int, Rung] = defaultdict(lambda: Rung(goal))
        self._next: defaultdict[int, int] = defaultdict(int)
        """The next rung of each trial that is trained."""

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Enter a metric; see `Rule`."""
        while evaluation >= self._minimum * self._reduction ** self._next[trial]:
            if math.isnan(metric):
                return True
            self._next[trial] += 1
            if not self._rungs[self._next[trial] - 1].enter(metric, self._reduction):
                return True
        return False

    def ended(self, trial: int) -> None:
        """Forget where the trial is; what it had at its rungs stays."""
        self._next.pop(trial, None)


class BracketedHalving:
    """Hyperband (Li et al. 2018): each trial runs in one of several brackets, whose first rungs differ.

    Which one follows from its number, by Optuna's hash. It stops nobody at the last of the `longest` evaluations, where
    there is nothing left to save.
    """

    pauses = False

    def __init__(self, options: Any, *, goal: Goal, longest: int) -> None:
        self._longest = longest
        firsts = [options.minimum]
        while firsts[-1] * options.reduction <= longest:
            firsts.append(firsts[-1] * options.reduction)
        self.brackets = [SuccessiveHalving(first, options.reduction, goal=goal) for first in firsts]
        count = len(firsts)
        # in Optuna's proportions, which are those of the paper's numbers of trials
        self._shares = [math.ceil(count * options.reduction**left / (left + 1)) for left in reversed(range(count))]

    def _bracket(self, trial: int) -> SuccessiveHalving:
        place = binascii.crc32(f"hpsearch_{trial}".encode()) % sum(self._shares)
        for bracket, share in zip(self.brackets, self._shares, strict=True):
            place -= share
            if place < 0:
                return bracket
        raise AssertionError("the shares cover every place")

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Enter a metric; see `Rule`."""
        return self._bracket(trial).judge(trial, evaluation, metric) and evaluation < self._longest

    def ended(self, trial: int) -> None:
        """Forget where the trial is."""
        self._bracket(trial).ended(trial)


class StopAtRungs:
    """Stop every trial at every rung: who of them goes on is decided later."""

    pauses = True

    def __init__(self, option: Pausing) -> None:
        self._option = option
        self._next: defaultdict[int, int] = defaultdict(int)

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Say whether this is the next rung of the trial."""
        del metric
        if evaluation < self._option.rung(self._next[trial]):
            return False
        self._next[trial] += 1
        return True

    def ended(self, trial: int) -> None:
        """Forget where the trial is."""
        self._next.pop(trial, None)


class Bounds:
    """Stop a trial whose metric leaves the bounds, or is no number."""

    pauses = False

    def __init__(self, lower: float | None, upper: float | None) -> None:
        self._lower = -math.inf if lower is None else lower
        self._upper = math.inf if upper is None else upper

    def judge(self, trial: int, evaluation: int, metric: float) -> bool:
        """Look at a metric; see `Rule`."""
        del trial, evaluation
        return not self._lower <= metric <= self._upper

    def ended(self, trial: int) -> None:
        """Do nothing: nothing was kept."""


MakeRule = Callable[[Any, Goal, int | None], Rule]
"""From the options in the space file, the goal, and the evaluations of the longest training, when they are known."""


def _never(_: Any, __: Goal, ___: int | None) -> Rule:
    return NeverStop()


def _median(options: Any, goal: Goal, _: int | None) -> Rule:
    return PercentileAtEvaluation(50.0, goal=goal, startup=options.startup, warmup=options.warmup, every=options.every)


def _percentile(options: Any, goal: Goal, _: int | None) -> Rule:
    return PercentileAtEvaluation(
        options.percent, goal=goal, startup=options.startup, warmup=options.warmup, every=options.every
    )


def _asha(options: Any, goal: Goal, _: int | None) -> Rule:
    return SuccessiveHalving(options.minimum, options.reduction, goal=goal)


def _hyperband(options: Any, goal: Goal, longest: int | None) -> Rule:
    """Return Hyperband, or a rule that stops nobody while the largest budget is unknown."""
    return NeverStop() if longest is None else BracketedHalving(options, goal=goal, longest=longest)


def _pausing(options: Any, _: Goal, __: int | None) -> Rule:
    return StopAtRungs(options)


def _patient(options: Any, goal: Goal, _: int | None) -> Rule:
    return PatienceAtEvaluation(options.patience, goal=goal, minimum_gain=options.minimum_gain)


def _threshold(options: Any, _: Goal, __: int | None) -> Rule:
    return Bounds(options.lower, options.upper)


PRUNERS: Mapping[str, MakeRule] = MappingProxyType(
    {
        "none": _never,
        "median": _median,
        "percentile": _percentile,
        "asha": _asha,
        "auto": _pausing,
        "halving": _pausing,
        "hyperband": _hyperband,
        "patient": _patient,
        "threshold": _threshold,
        "pbt": _never,
        "pb2": _never,
    }
)


def make_pruner(name: str, options: Any, *, goal: Goal, longest: int | None) -> Rule:
    """Return a pruner by its name in the space file.

    Raises:
        UnknownNameError: the name is not known.
    """
    if name not in PRUNERS:
        raise UnknownNameError("pruner", name, PRUNERS)
    return PRUNERS[name](options, goal, longest)
