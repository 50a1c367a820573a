"""The pruners of a space file and their options; they count reported steps (epochs, unless told otherwise)."""

from typing import Literal

from pydantic import Field, model_validator

from hpsearch.settings import Option


class NoPruner(Option):
    """Every trial is trained to its end."""

    kind: Literal["none"] = "none"


class Median(Option):
    """Stop a trial that is worse than the median of the earlier ones at the same step."""

    kind: Literal["median"] = "median"
    startup: int = Field(default=5, ge=0)
    warmup: int = Field(default=0, ge=0)
    every: int = Field(default=1, ge=1)


class Percentile(Option):
    """Stop a trial that is not among the best `percent` of the earlier ones at the same step."""

    kind: Literal["percentile"] = "percentile"
    percent: float = Field(default=25.0, ge=0, le=100)
    startup: int = Field(default=5, ge=0)
    warmup: int = Field(default=0, ge=0)
    every: int = Field(default=1, ge=1)


class ASHA(Option):
    """Asynchronous successive halving (Li et al. 2020): one in `reduction` goes on from each rung."""

    kind: Literal["asha"] = "asha"
    minimum: int = Field(default=1, ge=1)
    reduction: int = Field(default=3, ge=2)


class Hyperband(Option):
    """Successive halving with several first rungs (Li et al. 2018)."""

    kind: Literal["hyperband"] = "hyperband"
    minimum: int = Field(default=1, ge=1)
    reduction: int = Field(default=3, ge=2)


class Patient(Option):
    """Stop a trial that has not gained `minimum_gain` in `patience` steps."""

    kind: Literal["patient"] = "patient"
    patience: int = Field(default=3, ge=0)
    minimum_gain: float = Field(default=0.0, ge=0)


class Threshold(Option):
    """Stop a trial whose value leaves the bounds."""

    kind: Literal["threshold"] = "threshold"
    lower: float | None = None
    upper: float | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> "Threshold":
        if self.lower is None and self.upper is None:
            raise ValueError("give at least one of lower and upper")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError("lower must be below upper")
        return self


class PBT(Option):
    """Population based training (Jaderberg et al. 2017): the trials are a population, and none is stopped.

    Every `interval` steps the worst `quantile` go on as copies of some of the best, with other values for the ranges
    that are `mutable`: numbers times 0.8 or 1.2, a neighbouring choice, or with probability `resample` a fresh draw.
    """

    kind: Literal["pbt"] = "pbt"
    interval: int = Field(default=2, ge=1)
    quantile: float = Field(default=0.25, gt=0, le=0.5)
    resample: float = Field(default=0.25, ge=0, le=1)


class PB2(Option):
    """Population based bandits (Parker-Holder et al. 2020): pbt with values from a Gaussian process; numbers only."""

    kind: Literal["pb2"] = "pb2"
    interval: int = Field(default=2, ge=1)
    quantile: float = Field(default=0.25, gt=0, le=0.5)


Pruner = NoPruner | Median | Percentile | ASHA | Hyperband | Patient | Threshold | PBT | PB2
