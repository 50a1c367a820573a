"""The settings of the character language model. Free of torch.

The defaults follow nanoGPT's Shakespeare configurations and FundamentaLLM's guide: pre-norm blocks without biases, tied
weights, AdamW with beta2 .99, decay .1, clipping at norm 1, a cosine down to a tenth of the rate after a warm-up.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.data.folds import Named, Part, check_splits, named_splits
from hpsearch.families import FamilyConfig
from hpsearch.settings import CODE, FILE, FIXED, NEWER, UNFOLD, Growing, Option, Settings
from hpsearch.training.settings import AdamW, Cosine, Optimizer, Schedule, TrainSettings, Warmup


class DataSettings(Growing):
    """The text, and how it is cut."""

    corpus: Literal["pydoc"] = "pydoc"
    """A text that needs no file. `pydoc`: the help topics of the running Python, 465 thousand characters."""
    path: Annotated[str | None, FILE] = None
    """Another name of `train`."""
    train: Annotated[str | None, FILE, NEWER] = None
    """A UTF-8 text file, used in place of `corpus`; a relative path starts at the folder of the space file. Validation
    and test are cut from its end, unless they have files of their own."""
    val: Annotated[str | None, FILE, NEWER] = None
    test: Annotated[str | None, FILE, NEWER] = None
    """Files for validation and test; with them the fractions have no effect."""
    source: Annotated[str | None, CODE, NEWER] = None
    """A function of yours in place of files, `./mydata.py:load`: `load(split)` or `load()` returns {"text": "..."}; see
    `hpsearch.data.own_data`."""
    context: int = Field(default=128, ge=1)
    """Characters in a window: how far the model can look back. The windows of a part do not overlap."""
    val_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the characters that are for validation; they follow those for training, which come first."""
    test_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the characters that are for the test: the end of the text. 0: there is no test split, and nothing is
    confirmed."""
    offset: Literal["fixed", "random"] = "fixed"
    """Where training windows start: `fixed` at multiples of `context`, or `random`: each is moved forward by 0 to
    context - 1 characters, drawn in every epoch. Validation and test windows are always fixed."""

    @property
    def files(self) -> Mapping[Part, str]:
        """The files of the splits that have one."""
        return named_splits(*self._named)

    @property
    def _named(self) -> tuple[Named, Named]:
        return {"train": self.train, "val": self.val, "test": self.test}, {"train": self.path}

    @model_validator(mode="after")
    def _splits_are_what_they_should_be(self) -> "DataSettings":
        val, test = ("val" in self.files, "test" in self.files)
        if (0 if val else self.val_fraction) + (0 if test else self.test_fraction) >= 1:
            raise ValueError("val_fraction + test_fraction must be below 1, so that something is left for training")
        check_splits(*self._named, val_fraction=self.val_fraction, source=self.source)
        return self


class Learned(Option):
    """One trained vector for each position (Radford et al. 2019)."""

    kind: Literal["learned"] = "learned"


class Sinusoidal(Option):
    """Fixed sines and cosines added to the embeddings (Vaswani et al. 2017, section 3.5)."""

    kind: Literal["sinusoidal"] = "sinusoidal"
    base: float = Field(default=1e4, gt=1)
    """The longest wave length is 2 pi times this, in characters."""


class RotaryPositions(Option):
    """Queries and keys are rotated by their position (Su et al. 2021), so that scores depend on distances only."""

    kind: Literal["rope"] = "rope"
    base: float = Field(default=1e4, gt=1)
    """The slowest rotation turns by 1 / base radians a character, nearly."""


class ModelSettings(Settings):
    """The sizes and choices of the network."""

    layers: Annotated[int, FIXED] = Field(default=4, ge=1)
    """Transformer blocks."""
    width: Annotated[int, FIXED] = Field(default=128, ge=1)
    """Numbers in the vector of a character; a multiple of `heads`."""
    heads: Annotated[int, FIXED] = Field(default=4, ge=1)
    """Attention heads in each block; each works on width / heads numbers."""
    position: Annotated[Learned | Sinusoidal | RotaryPositions, Field(discriminator="kind"), UNFOLD, FIXED] = Learned()
    """How the model knows the order of the characters."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability of dropping an embedding, an attention weight or a number that a branch adds to the stream."""
    dropout_start: float | None = Field(default=None, ge=0, lt=1)
    """Dropout of the first epoch, from where it goes to `dropout` in the last one in equal steps; null: it stays."""
    dropconnect: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping a single weight where a branch adds to the stream (DropConnect, Wan et al. 2013)."""
    norm: Annotated[Literal["rmsnorm", "layernorm"], FIXED] = "layernorm"
    """The normalisation before each branch and before the output."""
    feedforward: Annotated[float, FIXED] = Field(default=4.0, gt=0)
    """Hidden units of the feed-forward branch, as a multiple of `width`."""
    bias: Annotated[bool, FIXED] = False
    """Whether linear layers and layer norms have biases."""
    tie_weights: Annotated[bool, FIXED] = True
    """Whether the output layer is the embedding of the characters, used backwards."""
    layer_decay: Annotated[float, FIXED] = Field(default=1.0, gt=0, le=1)
    """Factor on the learning rate from each block to the one below it; the last block has the whole rate."""
    embedding_rate: Annotated[float, FIXED] = Field(default=1.0, gt=0)
    """Factor on the learning rate of the embeddings of characters and positions (of the tied output layer as well)."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "ModelSettings":
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        head_width = self.width // self.heads
        if isinstance(self.position, RotaryPositions) and head_width % 2:
            raise ValueError(f"rope turns pairs of numbers: width / heads must be even, not {head_width}")
        return self


class Augmentation(Settings):
    """How the text of training windows is varied in each epoch; inputs and targets are of the varied text."""

    deletion: float = Field(default=0.0, ge=0, lt=1)
    """Probability of leaving out a character."""
    insertion: float = Field(default=0.0, ge=0, lt=1)
    """Probability of a random character of the vocabulary behind a character."""


class CharLMTrainSettings(TrainSettings):
    """The shared training settings with the defaults of character models."""

    weight_decay: float = Field(default=0.1, ge=0)
    optimizer: Optimizer = AdamW(beta2=0.99)
    """The default has beta2 .99; an optimizer that is named in a file has that optimizer's own defaults."""
    schedule: Schedule = Cosine(floor=0.1)
    """The default has floor .1; a schedule that is named in a file has that schedule's own defaults."""
    warmup: Warmup = Warmup(fraction=0.05)
    clip_norm: float | None = Field(default=1.0, gt=0)


class CharLMConfig(FamilyConfig):
    """A complete configuration of a character language model."""

    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    augmentation: Augmentation = Augmentation()
    train: CharLMTrainSettings = CharLMTrainSettings()
