"""The `train:` section of every space: what the shared loop does. Free of torch, so that `hpsearch check` is quick."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.settings import FIXED, Settings
from hpsearch.training.execution import Histograms, Keep, Loading
from hpsearch.training.freeze_settings import Freeze, NoFreeze
from hpsearch.training.optimizer_settings import SGD, Adam, AdamW, Lookahead, Optimizer
from hpsearch.training.schedule_settings import Constant, Cosine, Linear, Schedule, Warmup

__all__ = [
    "EXECUTION",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "EarlyStopping",
    "Evaluate",
    "Linear",
    "Lookahead",
    "Optimizer",
    "Schedule",
    "TrainSettings",
    "Warmup",
]


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
    optimizer: Optimizer = AdamW()
    lookahead: Annotated[Lookahead | None, FIXED] = None
    schedule: Annotated[Schedule, FIXED] = Constant()
    warmup: Annotated[Warmup, FIXED] = Warmup(steps=0)
    rate_per: Annotated[Literal["step", "epoch"], FIXED] = "step"
    """Whether the rate of warm-up and schedule changes from step to step, or only from epoch to epoch."""
    freeze: Annotated[Freeze, FIXED] = NoFreeze()
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
