"""The schedules of `train.schedule`, the warm-up before them, and freezing. Free of torch.

A floor is given as a fraction of the learning rate (`floor`) or as a rate (`floor_rate`). Epochs may be fractions.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.settings import UNFOLD, Option, Settings

Watched = Literal["monitor", "train/loss"]
"""What a schedule with a memory watches: the objective's metric, or the training loss since the last evaluation."""


class _Floored(Option):
    floor: float = Field(default=0.0, ge=0, le=1)
    floor_rate: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_floor(self) -> "_Floored":
        if self.floor > 0 and self.floor_rate is not None:
            raise ValueError("give floor or floor_rate, not both")
        return self


class Constant(Option):
    """After the warm-up the rate stays where it is."""

    kind: Literal["constant"] = "constant"


class Linear(_Floored):
    """After the warm-up the rate falls in a straight line to the floor at the end."""

    kind: Literal["linear"] = "linear"


class Cosine(_Floored):
    """After the warm-up the rate falls as half a cosine to the floor at the end."""

    kind: Literal["cosine"] = "cosine"


class Exponential(_Floored):
    """The rate is multiplied by `factor` over each epoch, a little at each step."""

    kind: Literal["exponential"] = "exponential"
    factor: float = Field(default=0.95, gt=0, le=1)


class Step(_Floored):
    """The rate is multiplied by `factor` once in `every` epochs."""

    kind: Literal["step"] = "step"
    every: float = Field(default=10.0, gt=0)
    factor: float = Field(default=0.1, gt=0, le=1)


class OneCycle(Option):
    """One rise and one fall as half cosines over the whole training (Smith and Topin 2018), instead of the warm-up.

    The rate starts at 1 / `start_divisor` of the learning rate, reaches it after the fraction `rise` of the training,
    and ends at 1 / `end_divisor` of where it started. The momentum stays as it is.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: float = Field(default=0.3, gt=0, lt=1)
    start_divisor: float = Field(default=25.0, ge=1)
    end_divisor: float = Field(default=1e4, ge=1)


class WarmRestarts(_Floored):
    """Half a cosine over `period` epochs, then again from the top over `multiplier` times as many (SGDR, 2017)."""

    kind: Literal["warm_restarts"] = "warm_restarts"
    period: float = Field(default=10.0, gt=0)
    multiplier: float = Field(default=1.0, ge=1)


class Cyclical(_Floored):
    """Straight lines from the floor to the rate and back in `period` epochs (Smith 2017).

    Each cycle rises `decay` times as far as the one before: 0.5 is what torch calls triangular2.
    """

    kind: Literal["cyclical"] = "cyclical"
    period: float = Field(default=4.0, gt=0)
    decay: float = Field(default=1.0, gt=0, le=1)


class Plateau(_Floored):
    """The rate is multiplied by `factor` after more than `patience` evaluations without a gain; then a cool-down.

    A gain is one above `threshold`, which is a fraction of the best value so far, or with `relative: false` a
    difference.
    """

    kind: Literal["plateau"] = "plateau"
    watch: Watched = "monitor"
    factor: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=10, ge=0)
    threshold: float = Field(default=1e-4, ge=0)
    relative: bool = True
    cooldown: int = Field(default=0, ge=0)


class Adaptive(_Floored):
    """The rate rises when the training stagnates and falls when it no longer gains; the first of these rules acts.

    1. stagnation: the last `window` values have a variance below `threshold` and their later half is on average no
       better than the former: times `boost`, as long as the rate stays within `cap` times the learning rate.
    2. no gain for `decay_after` evaluations, a gain being one above `minimum_gain`: times `decay`; the count restarts.
    3. otherwise the rule of Plateau with `plateau_patience` and `plateau_factor`.

    After an act none follows for `cooldown` evaluations. With `relative`, `threshold` holds for the variance divided by
    the squared mean and `minimum_gain` for the gain divided by the best value; both are absolute otherwise.
    """

    kind: Literal["adaptive"] = "adaptive"
    watch: Watched = "train/loss"
    window: int = Field(default=20, ge=4)
    threshold: float = Field(default=1e-3, gt=0)
    relative: bool = False
    boost: float = Field(default=1.5, ge=1)
    cap: float = Field(default=4.0, ge=1)
    decay: float = Field(default=0.8, gt=0, le=1)
    decay_after: int = Field(default=30, ge=1)
    minimum_gain: float = Field(default=0.0, ge=0)
    plateau_patience: int = Field(default=50, ge=0)
    plateau_factor: float = Field(default=0.7, gt=0, lt=1)
    cooldown: int = Field(default=20, ge=0)


Schedule = Annotated[
    Constant | Linear | Cosine | Exponential | Step | OneCycle | WarmRestarts | Cyclical | Plateau | Adaptive,
    Field(discriminator="kind"),
    UNFOLD,
]


class Warmup(Settings):
    """A linear rise of the rate at the start, over a number of steps or epochs, or a fraction of the training.

    It starts one step above 0, or at `start_factor` times the learning rate, or at the rate `start`.
    """

    one_of = ("steps", "epochs", "fraction")

    steps: int | None = Field(default=None, ge=0)
    epochs: float | None = Field(default=None, ge=0)
    fraction: float | None = Field(default=None, ge=0, le=1)
    start_factor: float | None = Field(default=None, ge=0, le=1)
    start: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_unit(self) -> "Warmup":
        if sum(value is not None for value in (self.steps, self.epochs, self.fraction)) != 1:
            raise ValueError("give exactly one of steps, epochs and fraction")
        if self.start_factor is not None and self.start is not None:
            raise ValueError("give start_factor or start, not both")
        return self
