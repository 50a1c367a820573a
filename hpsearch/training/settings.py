"""The `train:` section of every space: what the shared loop does. Free of torch, so that `hpsearch check` is quick."""

import os
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from hpsearch.settings import FIXED, UNFOLD, Option, Settings
from hpsearch.training.optimizer_settings import SGD, Adam, AdamW, Lookahead, Optimizer
from hpsearch.training.schedule_settings import Constant, Cosine, Linear, Schedule, Warmup


class Keep(Settings):
    """Numbered checkpoints besides the latest and the best: `checkpoint-000012.pt` after the step 12."""

    every: int = Field(default=1, ge=1)
    """Evaluations from one to the next."""
    last: int | None = Field(default=None, ge=1)
    """How many stay, apart from that of the best step; all of them without a number."""


class Histograms(Settings):
    """Norms and histograms of every gradient and weight, in the trial's `histograms.jsonl`; they take their time."""

    every: int = Field(default=1, ge=1)
    """Evaluations from one look to the next."""


class Loading(Settings):
    """Processes that fetch training batches ahead of time; worth it where that takes long, as from image files.

    They hold nothing that a resume needs, and the batches are the same as without them.
    """

    workers: int | Literal["auto"] = 0
    """How many for each training; `auto` is one for each core, at most 4."""
    pin_memory: bool | Literal["auto"] = "auto"
    """Whether batches lie in memory that a GPU copies from quickly; `auto`: when there is a GPU."""
    persistent: bool = True
    """Whether the processes stay from epoch to epoch."""
    prefetch: int = Field(default=2, ge=1)
    """Batches that each process is ahead."""

    @field_validator("workers")
    @classmethod
    def _not_negative(cls, workers: int | str) -> int | str:
        if isinstance(workers, int) and workers < 0:
            raise ValueError("workers cannot be negative")
        return workers

    @property
    def processes(self) -> int:
        """The number of processes on this machine."""
        return min(4, len(os.sched_getaffinity(0))) if self.workers == "auto" else int(self.workers)


class NoFreeze(Option):
    """Everything trains from the start."""

    kind: Literal["none"] = "none"


class _Plan(Option):
    rate_after: float = Field(default=1.0, gt=0)
    """Factor on the learning rate from the epoch on in which the last part joins in."""
    eval_mode: bool = False
    """Whether frozen parts are in eval mode: no dropout, and batch normalisation by its running statistics."""


class FreezeParts(_Plan):
    """The named parts do not train in the first `epochs` epochs; without a number never."""

    kind: Literal["parts"] = "parts"
    names: tuple[str, ...] = Field(min_length=1)
    epochs: int | None = Field(default=None, ge=1)


class FreezeAllBut(_Plan):
    """Only the named parts, such as a new head, train in the first `epochs` epochs; without a number always."""

    kind: Literal["all_but"] = "all_but"
    names: tuple[str, ...] = Field(min_length=1)
    epochs: int | None = Field(default=None, ge=1)


class Gradual(_Plan):
    """The first named part trains from the start, another joins in every `every` epochs (ULMFiT, 2018).

    The names go from the top of the model to its bottom; what none of them names joins in after the last.
    """

    kind: Literal["gradual"] = "gradual"
    names: tuple[str, ...] = Field(min_length=1)
    every: int = Field(default=1, ge=1)


Freeze = Annotated[NoFreeze | FreezeParts | FreezeAllBut | Gradual, Field(discriminator="kind"), UNFOLD]


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
    """How often the validation split is scored: every n epochs, or every n optimizer steps."""

    one_of = ("epochs", "steps")

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

    one_of = ("epochs", "steps")

    epochs: Annotated[int, FIXED] = Field(default=20, ge=1)
    """Passes over the training examples; they do not count where `steps` are given."""
    steps: Annotated[int | None, FIXED] = Field(default=None, ge=1)
    """Optimizer steps, instead of epochs: how long the training lasts. It may end in the middle of an epoch."""
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
    checkpoint_seconds: Annotated[float, FIXED] = Field(default=5.0, ge=0)
    """Training time from one checkpoint to the next: at an evaluation, or between two that are further apart, where at
    most a twentieth of the time goes into them. A crash costs no more than twice that. With 0 every evaluation is
    followed by one, and there are none in between. A pause and the end always are."""
    keep: Annotated[Keep | None, FIXED] = None
    """Numbered checkpoints besides the latest and the best."""
    loading: Annotated[Loading, FIXED] = Loading()
    histograms: Annotated[Histograms | None, FIXED] = None
    compile: Annotated[bool, FIXED] = False
    """Whether torch.compile turns the model into machine code at its first step, which takes up to half a minute."""
    activation_checkpointing: Annotated[bool, FIXED] = False
    """Whether blocks compute their activations again in the backward pass: less memory, a third more time."""

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("steps") is None:
            return values
        if values.get("epochs") is not None:
            raise ValueError("give epochs or steps, not both")
        return {name: value for name, value in values.items() if name != "epochs"}

    @model_serializer(mode="wrap")
    def _given_length(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write down only the one that counts, so that it can be read again, and is what earlier versions wrote."""
        found: dict[str, Any] = dump(self)
        found.pop("steps" if self.steps is None else "epochs", None)
        return found


EXECUTION = frozenset(
    {"device", "checkpoint_seconds", "keep", "loading", "histograms", "compile", "activation_checkpointing"}
)
"""The settings that say where and how a training runs: a checkpoint's training goes on although they have changed."""
