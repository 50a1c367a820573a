"""The settings of the text classifier. Free of torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpsearch.data.folds import Folds
from hpsearch.families import FamilyConfig
from hpsearch.families.text_classifier.model_settings import ModelSettings
from hpsearch.settings import UNFOLD, Option, Settings
from hpsearch.training.settings import TrainSettings


class Words(Option):
    """Words and punctuation marks, numbered by a vocabulary of the training part alone."""

    kind: Literal["words"] = "words"
    size: int = Field(default=30522, ge=3)
    """Numbers of the vocabulary at most, the two for padding and unknown words among them."""
    minimum_count: int = Field(default=2, ge=1)
    """How often a word must stand in the training part to have a number of its own."""
    lowercase: bool = True


class DataSettings(Settings):
    """The labelled texts, and how they are divided and cut."""

    corpus: Literal["docstrings"] = "docstrings"
    """Texts that need no file. `docstrings`: which of 16 topics of Python's standard library a docstring belongs to."""
    val_fraction: float = Field(default=0.1, gt=0, lt=1)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Fractions of all texts; both parts are drawn with the classes in equal proportions."""
    folds: Folds | None = None
    """With it the test part is one of so many folds, and `test_fraction` does not matter."""
    max_length: int = Field(default=64, ge=1)
    """Words of a text that the network sees: the first ones."""
    tokenizer: Annotated[Words, UNFOLD] = Words()

    @model_validator(mode="after")
    def _something_is_left_for_training(self) -> "DataSettings":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must be below 1, so that something is left for training")
        return self


class LossSettings(Settings):
    """The cross-entropy's variants."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The fraction of each target that is spread over all classes (Szegedy et al. 2016)."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: an example counts by 1 / its class's frequency in training, with a mean weight of 1."""


class TextTrainSettings(TrainSettings):
    """The shared loop's settings with this family's defaults."""

    epochs: int = Field(default=10, ge=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float | None = Field(default=1.0, gt=0)


class TextConfig(FamilyConfig):
    """A complete configuration of a text classifier."""

    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    loss: LossSettings = LossSettings()
    train: TextTrainSettings = TextTrainSettings()
