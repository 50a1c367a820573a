"""The pruners of a space file and their options.

They count evaluations, that is the reports of a trial, from 1: epochs under `train.evaluate: {epochs: 1}`, every 100
optimizer steps under `{steps: 100}`, what a program prints under the family `command`. They judge the metric at the
evaluation, also where the objective takes the best. A trial that comes to its end is not stopped any more.
"""

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from hpsearch.settings import Option, OwnOption


class PrunerOption(Option):
    """What all pruners have in common."""

    @property
    def earliest(self) -> int | None:
        """The first evaluation at which it may do something; None when it never does."""
        return None


class NoPruner(PrunerOption):
    """Every trial is trained to its end."""

    kind: Literal["none"] = "none"


class _AtEvaluation(PrunerOption):
    startup: int = Field(default=5, ge=0)
    """How many other trials must have come to the evaluation."""
    warmup: int = Field(default=0, ge=0)
    """The first evaluation at which trials are compared."""
    every: int = Field(default=1, ge=1)
    """From one comparison to the next, in evaluations."""

    @property
    def earliest(self) -> int:
        """The first evaluation at which trials are compared."""
        return self.warmup or self.every


class Median(_AtEvaluation):
    """Stop a trial whose metric is worse than the median of the others at the same evaluation."""

    kind: Literal["median"] = "median"


class Percentile(_AtEvaluation):
    """Stop a trial whose metric is worse than the best `percent` of the others at the same evaluation."""

    kind: Literal["percentile"] = "percentile"
    percent: float = Field(default=25.0, ge=0, le=100)


class _Halving(PrunerOption):
    minimum: int = Field(default=1, ge=1)
    """The evaluation of the first rung; each further rung is `reduction` times as far."""
    reduction: int = Field(default=3, ge=2)
    """Of this many trials at a rung, one goes on."""

    @property
    def earliest(self) -> int:
        """The first rung."""
        return self.minimum


class ASHA(_Halving):
    """Asynchronous successive halving (Li et al. 2020): one in `reduction` goes on from each rung.

    A trial that comes to a rung is stopped unless its metric is among the best 1/`reduction` of those that have come
    there so far; among fewer than `reduction`, unless it is the best.
    """

    kind: Literal["asha"] = "asha"
    minimum: int = Field(default=3, ge=1)
    """The evaluation of the first rung; each further rung is `reduction` times as far."""


class Pausing(PrunerOption):
    """Pauses trials at rungs, which are counted from 0; the best of a rung go on from their checkpoints."""

    def rung(self, place: int) -> int:
        """Return the evaluation of a rung."""
        raise NotImplementedError

    def reduction_at(self, place: int, trials: int) -> float:
        """Return how many trials at a rung there are for each that goes on; `trials` are those of the whole search."""
        raise NotImplementedError

    @property
    def waits_for_all(self) -> bool:
        """Whether a rung is decided on only when all have come to it."""
        return False

    @property
    def least_chance(self) -> float:
        """How likely a trial has to be to beat the best complete one, so that it goes on; 0: that is not asked."""
        return 0.0

    @property
    def earliest(self) -> int | None:
        """The first rung."""
        return self.rung(0)


class Halving(Pausing):
    """Successive halving that pauses: one in `reduction` goes on from each rung, from its checkpoint (Li et al. 2020).

    A trial that comes to a rung is paused. When it is among the best 1/`reduction` of those that have come there, it
    goes on, also long after, so that nothing is trained twice and a late trial can still win; `synchronous`, that is
    decided when all trials have come. Who never goes on ends as pruned.
    """

    kind: Literal["halving"] = "halving"
    minimum: int = Field(default=3, ge=1)
    """The evaluation of the first rung; each further rung is `reduction` times as far."""
    reduction: int = Field(default=3, ge=2)
    """Of this many trials at a rung, one goes on."""
    synchronous: bool = False

    def rung(self, place: int) -> int:
        """Return the evaluation of a rung."""
        return int(self.minimum * self.reduction**place)

    def reduction_at(self, place: int, trials: int) -> float:
        """Return the same for every rung."""
        del place, trials
        return self.reduction

    @property
    def waits_for_all(self) -> bool:
        """Whether it is synchronous."""
        return self.synchronous


class AutoPruner(Pausing):
    """Pauses trials at the rungs that did best on known learning curves (reports/benchmarks/pruners.md).

    Trials are paused after 3 evaluations, and whenever these have doubled. One in five goes on from the first rung (of
    less than 60 trials a dozen, but at most half), and one in 1.4 from each further one, as who is best in the end is
    soon among the best fifth, but seldom the first of them. Once three trials are complete, one goes on only while the
    chance that it beats the best of them, by the curves so far, is at least one in fifty.
    A program that is not given its {checkpoint} cannot go on: then it is `asha`.
    """

    kind: Literal["auto"] = "auto"

    @property
    def earliest(self) -> None:
        """None: shorter trainings are not paused, as nobody has set when they should be."""
        return None

    def rung(self, place: int) -> int:
        """Return the evaluation of a rung."""
        return int(3 * 2**place)

    def reduction_at(self, place: int, trials: int) -> float:
        """Return the root of 2; for the first rung 5, but so few that a dozen go on, and at least 2."""
        return 2**0.5 if place else min(5.0, max(2.0, trials / 12))

    @property
    def least_chance(self) -> float:
        """One in fifty: with .05 and more, searches by the sampler auto picked worse on known curves."""
        return 0.02


class Hyperband(_Halving):
    """Successive halving with several first rungs (Li et al. 2018).

    The trials are divided among brackets, whose first rungs are `minimum` and the further ones, up to the evaluations
    of the longest training. Where only the data tell how many those are, under `train.evaluate: {steps: n}` and with
    programs, it is as many as the first complete trial has; until then none is stopped.
    """

    kind: Literal["hyperband"] = "hyperband"


class Patient(PrunerOption):
    """Stop a trial that has not gained `minimum_gain` in more than `patience` evaluations.

    Its best metric in the last `patience` + 1 evaluations is held against its best before.
    """

    kind: Literal["patient"] = "patient"
    patience: int = Field(default=3, ge=0)
    """How many evaluations without a gain are tolerated; the next one stops the trial."""
    minimum_gain: float = Field(default=0.0, ge=0)
    """What counts as a gain; with 0, whatever is better at all."""

    @property
    def earliest(self) -> int:
        """The first evaluation that has one before those that are looked at."""
        return self.patience + 2


class Threshold(PrunerOption):
    """Stop a trial whose metric leaves the bounds at an evaluation."""

    kind: Literal["threshold"] = "threshold"
    lower: float | None = None
    upper: float | None = None

    @property
    def earliest(self) -> int:
        """The first evaluation."""
        return 1

    @model_validator(mode="after")
    def _some_bound(self) -> "Threshold":
        if self.lower is None and self.upper is None:
            raise ValueError("give at least one of lower and upper")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError("lower must be below upper")
        return self


class _Population(PrunerOption):
    interval: int = Field(default=2, ge=1)
    """How many evaluations a member is trained between two comparisons."""
    quantile: float = Field(default=0.25, gt=0, le=0.5)
    """The part of the members that go on as copies of others."""

    @property
    def earliest(self) -> int:
        """The first comparison."""
        return self.interval


class PBT(_Population):
    """Population based training (Jaderberg et al. 2017): the trials are a population, and none is stopped.

    Every `interval` evaluations those `quantile` whose metric is worst there go on as copies of some of the best, with
    other values for the ranges that are `mutable`: numbers times 0.8 or 1.2, a neighbouring choice, or with probability
    `resample` a fresh draw.
    """

    kind: Literal["pbt"] = "pbt"
    resample: float = Field(default=0.25, ge=0, le=1)


class PB2(_Population):
    """Population based bandits (Parker-Holder et al. 2020): pbt with values from a Gaussian process; numbers only."""

    kind: Literal["pb2"] = "pb2"


class OwnPruner(PrunerOption, OwnOption):
    """A pruner of the user's: a class derived from optuna.pruners.BasePruner, or a function that makes one."""

    model_config = ConfigDict(extra="allow")


NamedPruner = NoPruner | AutoPruner | Median | Percentile | ASHA | Halving | Hyperband | Patient | Threshold | PBT | PB2
Pruner = NamedPruner | OwnPruner
