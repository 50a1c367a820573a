"""The `train:` section of every space: what the shared loop does. Free of torch, so that `hpsearch check` is quick."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.settings import FIXED, UNFOLD, Option, Settings
from hpsearch.training.execution import Histograms, Keep, Loading


class AdamW(Option):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)


class Adam(Option):
    """Adam (Kingma and Ba 2015); its weight decay is an L2 penalty on the gradient."""

    kind: Literal["adam"] = "adam"
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)


class SGD(Option):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> "SGD":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Constant(Option):
    """After the warm-up the rate stays where it is."""

    kind: Literal["constant"] = "constant"


class Linear(Option):
    """After the warm-up the rate falls in a straight line to `floor` (a fraction of the base rate) at the end."""

    kind: Literal["linear"] = "linear"
    floor: float = Field(default=0.0, ge=0, le=1)


class Cosine(Option):
    """After the warm-up the rate falls as half a cosine to `floor` (a fraction of the base rate) at the end."""

    kind: Literal["cosine"] = "cosine"
    floor: float = Field(default=0.0, ge=0, le=1)


class Warmup(Settings):
    """A linear rise of the rate at the start: so many optimizer steps, epochs, or a fraction of the whole training."""

    steps: int | None = Field(default=None, ge=0)
    epochs: float | None = Field(default=None, ge=0)
    fraction: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _one_unit(self) -> "Warmup":
        if sum(value is not None for value in (self.steps, self.epochs, self.fraction)) != 1:
            raise ValueError("give exactly one of steps, epochs and fraction")
        return self


class EarlyStopping(Settings):
    """Stop when the monitored metric has not gained enough for `patience` evaluations."""

    patience: int = Field(default=10, ge=1)
    minimum_gain: float = Field(default=0.0, ge=0)
    relative: bool = False
    """Whether `minimum_gain` is a fraction of the best value so far instead of an absolute difference."""


class Evaluate(Settings):
    """How often the validation split is scored: every so many epochs, or every so many optimizer steps."""

    epochs: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_unit(self) -> "Evaluate":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        return self


class TrainSettings(Settings):
    """How a model is trained; a family may subclass it to change the defaults.

    FIXED settings stay as they are while a training runs; the others can be `mutable` in a space.
    """

    epochs: Annotated[int, FIXED] = Field(default=20, ge=1)
    batch_size: Annotated[int, FIXED] = Field(default=32, ge=1)
    accumulate: Annotated[int, FIXED] = Field(default=1, ge=1)
    """Batches per optimizer step; k batches act as one batch k times as large."""
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    decay_norms_and_biases: Annotated[bool, FIXED] = False
    optimizer: Annotated[AdamW | Adam | SGD, Field(discriminator="kind"), UNFOLD] = AdamW()
    schedule: Annotated[Constant | Linear | Cosine, Field(discriminator="kind"), UNFOLD, FIXED] = Constant()
    warmup: Annotated[Warmup, FIXED] = Warmup(steps=0)
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest global gradient norm; larger gradients are scaled down to it."""
    precision: Annotated[Literal["fp32", "bf16", "fp16"], FIXED] = "fp32"
    ema: Annotated[float | None, FIXED] = Field(default=None, gt=0, lt=1)
    """Decay of a moving average of the weights; the average is then what is evaluated and saved as best."""
    early_stopping: Annotated[EarlyStopping | None, FIXED] = None
    evaluate: Annotated[Evaluate, FIXED] = Evaluate(epochs=1)
    deterministic: Annotated[bool, FIXED] = True
    device: Annotated[str, FIXED] = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    keep: Annotated[Keep | None, FIXED] = None
    """Numbered checkpoints besides the latest and the best."""
    loading: Annotated[Loading, FIXED] = Loading()
    histograms: Annotated[Histograms | None, FIXED] = None
    compile: Annotated[bool, FIXED] = False
    """Whether torch.compile turns the model into machine code at its first step, which takes up to half a minute."""
    activation_checkpointing: Annotated[bool, FIXED] = False
    """Whether blocks compute their activations again in the backward pass: less memory, a third more time."""


EXECUTION = frozenset({"device", "keep", "loading", "histograms", "compile", "activation_checkpointing"})
"""The settings that say where and how a training runs: a checkpoint's training goes on although they have changed."""
