"""DeepSIF's settings; free of torch.

The defaults of each option of `model.temporal` are those of its source: the paper's for the LSTM, guide 000's for the
transformer.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.data.eeg_settings import EEGSettings
from hpsearch.families import FamilyConfig
from hpsearch.settings import FIXED, UNFOLD, Option, Settings
from hpsearch.training.settings import AdamW, Cosine, EarlyStopping, Optimizer, Schedule, TrainSettings, Warmup

Activation = Literal["elu", "gelu", "relu"]
Initialisation = Literal["default", "xavier", "he"]


class LSTM(Option):
    """The original network's temporal part: LSTM layers whose last hidden state is the source activity."""

    kind: Literal["lstm"] = "lstm"
    layers: Annotated[int, FIXED] = Field(default=3, ge=1, le=8)
    activation: Activation = "elu"
    """Of the spatial part."""
    initialisation: Initialisation = "default"
    """`default` is torch's own; `xavier` and `he` are Glorot's and He's uniform ones, with biases 0."""


class Transformer(Option):
    """A pre-norm transformer encoder over time; it looks both ways."""

    kind: Literal["transformer"] = "transformer"
    layers: Annotated[int, FIXED] = Field(default=4, ge=1, le=24)
    width: Annotated[int, FIXED] = Field(default=256, ge=4)
    heads: Annotated[int, FIXED] = Field(default=8, ge=1)
    feedforward_factor: Annotated[float, FIXED] = Field(default=2.0, gt=0)
    """Hidden width of a layer's feed-forward part over the width of the transformer."""
    dropout: float = Field(default=0.15, ge=0, lt=1)
    """In the layers; half of it on the spatial features and before the output."""
    output_gain: float = Field(default=0.01, gt=0)
    """Factor on the initial weights of the output layer; 1 leaves them. The targets are mostly 0: outputs that begin
    large make first gradients whose squares Adam remembers for thousands of steps, in which it hardly moves."""
    positions: Annotated[int, FIXED] = Field(default=1000, ge=1)
    """Longest clip in samples for which positions are learned."""
    activation: Activation = "gelu"
    """Of the spatial part."""
    initialisation: Initialisation = "xavier"
    """`default` is torch's own; `xavier` and `he` are Glorot's and He's uniform ones, with biases 0."""

    @model_validator(mode="after")
    def _whole_heads(self) -> "Transformer":
        if self.width % self.heads:
            raise ValueError(f"the width ({self.width}) must be a multiple of the number of heads ({self.heads})")
        return self


class ModelSettings(Settings):
    """The network: a spatial part for each moment, then a temporal part over the clip."""

    temporal: Annotated[LSTM | Transformer, Field(discriminator="kind"), UNFOLD] = Transformer()
    spatial_width: Annotated[int, FIXED] = Field(default=500, ge=4)
    """Features that the spatial part makes of each moment's electrodes."""


class LossWeights(Settings):
    """The weights of the parts of the loss."""

    reconstruction: float = Field(default=1.0, gt=0)
    """Of the mean squared error."""
    sparsity: float = Field(default=0.01, ge=0)
    """Of the mean magnitude of the activity."""
    temporal_smoothness: float = Field(default=0.001, ge=0)
    """Of the mean squared change from one sample to the next."""


class Augmentation(Settings):
    """How training examples are varied."""

    noise_std: float = Field(default=0.01, ge=0)
    """Standard deviation of white noise on the EEG, whose largest magnitude is 1."""
    max_shift: int = Field(default=5, ge=0)
    """Longest shift in time in samples, of EEG and sources together; what comes in is 0."""


class DeepSIFTrain(TrainSettings):
    """The shared loop's settings with this family's defaults."""

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    optimizer: Optimizer = AdamW()
    schedule: Schedule = Cosine(floor=1 / 300)
    """From 3e-4 down to 1e-6."""
    warmup: Warmup = Warmup(fraction=0.05)
    clip_norm: float | None = Field(default=1.0, gt=0)
    early_stopping: EarlyStopping | None = EarlyStopping(patience=15)
    spatial_rate: Annotated[float, FIXED] = Field(default=1.0, gt=0)
    """Factor on the learning rate of the spatial part."""


class DeepSIFConfig(FamilyConfig):
    """A complete configuration."""

    data: EEGSettings = EEGSettings()
    model: ModelSettings = ModelSettings()
    loss: LossWeights = LossWeights()
    augmentation: Augmentation = Augmentation()
    train: DeepSIFTrain = DeepSIFTrain()

    @model_validator(mode="after")
    def _fits_the_clip(self) -> "DeepSIFConfig":
        temporal = self.model.temporal
        if isinstance(temporal, Transformer) and temporal.positions < self.data.samples:
            raise ValueError(f"{temporal.positions} positions are too few for clips of {self.data.samples} samples")
        if self.augmentation.max_shift >= self.data.samples:
            raise ValueError(f"a shift of {self.augmentation.max_shift} samples empties clips of {self.data.samples}")
        return self
