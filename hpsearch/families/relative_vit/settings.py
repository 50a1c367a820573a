"""The settings of the vision transformer; free of torch.

The defaults are a small network for 8 x 8 digits with the training recipe of guide 001.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hpsearch.data.image_pixels import Size
from hpsearch.data.images import ImageSettings
from hpsearch.families import FamilyConfig
from hpsearch.settings import FIXED, UNFOLD, Option, Settings
from hpsearch.training.settings import Cosine, EarlyStopping, Schedule, TrainSettings, Warmup


class NoPosition(Option):
    """The network sees a bag of patches."""

    kind: Literal["none"] = "none"


class Absolute(Option):
    """A trained vector for each position is added to the patches (Dosovitskiy et al. 2021)."""

    kind: Literal["absolute"] = "absolute"
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial vectors."""


class Relative(Option):
    """A trained number for each head and each distance of two patches is added to the attention's logits."""

    kind: Literal["relative"] = "relative"
    type: Annotated[Literal["1d", "2d"], FIXED] = "2d"
    """`2d`: distances in rows and columns (Liu et al. 2021). `1d`: in the sequence of patches, row after row."""
    init_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the initial numbers."""
    learnable: Annotated[bool, FIXED] = True
    """Whether the numbers are trained, or stay as they were drawn."""


class ModelSettings(Settings):
    """The sizes and choices of the network."""

    patch: Annotated[int, FIXED] = Field(default=2, ge=1)
    """Pixels of a patch's side."""
    window: Annotated[Size | None, FIXED] = None
    """Patches in a column and in a row. It follows from image and patch; one that is given is held against them."""
    width: Annotated[int, FIXED] = Field(default=48, ge=1)
    """Numbers in the vector of a patch."""
    layers: Annotated[int, FIXED] = Field(default=3, ge=1)
    """Transformer blocks."""
    heads: Annotated[int, FIXED] = Field(default=4, ge=1)
    """Attention heads in each block."""
    head_width: Annotated[int | None, FIXED] = Field(default=None, ge=1)
    """Numbers on which each head works; by default width / heads."""
    mlp_ratio: Annotated[float, FIXED] = Field(default=4.0, gt=0)
    """Hidden units of the feed-forward part, as a multiple of `width`."""
    position: Annotated[NoPosition | Absolute | Relative, Field(discriminator="kind"), UNFOLD, FIXED] = Relative()
    """How the network knows where a patch is."""
    pool: Annotated[Literal["mean", "class_token"], FIXED] = "mean"
    """What is classified: the mean of the patches, or a class token that takes part in the attention."""
    scale: Annotated[bool, FIXED] = True
    """Whether attention logits are divided by the root of the head's width (before the bias is added)."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Probability of dropping a number that the attention or the feed-forward part puts out, or a hidden unit."""
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping an attention weight."""
    layer_scale: Annotated[float | None, FIXED] = Field(default=None, gt=0)
    """Initial value of trained factors on what each branch adds (Touvron et al. 2021); null: none."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "ModelSettings":
        if self.head_width is None and self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads}), or give head_width")
        return self

    @property
    def numbers_of_a_head(self) -> int:
        """On how many numbers each head works."""
        return self.head_width or self.width // self.heads

    def window_of(self, size: Size) -> Size:
        """Return the patches in a column and in a row of an image of this size."""
        height, width = size
        return height // self.patch, width // self.patch


class Augmentation(Settings):
    """How training images are varied; all off by default: a turned or mirrored digit may be another one."""

    flip_horizontal: float = Field(default=0.0, ge=0, le=1)
    """Probability of swapping left and right."""
    flip_vertical: float = Field(default=0.0, ge=0, le=1)
    """Probability of swapping top and bottom."""
    max_shift: int = Field(default=0, ge=0)
    """Largest shift in pixels, in both directions; the image's edge is drawn out."""
    max_rotation: float = Field(default=0.0, ge=0, le=180)
    """Largest rotation in degrees, either way; the image's edge is drawn out."""
    brightness: float = Field(default=0.0, ge=0, le=1)
    """Largest relative change of brightness."""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """Largest relative change of contrast, around the image's mean."""
    saturation: float = Field(default=0.0, ge=0, le=1)
    """Largest relative change of saturation; without effect on grey images."""


class VitTrain(TrainSettings):
    """The shared loop's settings with this family's defaults: guide 001's."""

    epochs: int = Field(default=100, ge=1)
    weight_decay: float = Field(default=0.05, ge=0)
    clip_norm: float | None = Field(default=1.0, gt=0)
    schedule: Schedule = Cosine()
    warmup: Warmup = Warmup(fraction=0.1, start_factor=0.1)
    early_stopping: EarlyStopping | None = EarlyStopping(patience=10)


class RelativeVitConfig(FamilyConfig):
    """A complete configuration of a vision transformer."""

    data: ImageSettings = ImageSettings()
    model: ModelSettings = ModelSettings()
    augmentation: Augmentation = Augmentation()
    train: VitTrain = VitTrain()

    @field_validator("model")
    @classmethod
    def _patches_cover_the_image(cls, model: ModelSettings, info: ValidationInfo) -> ModelSettings:
        if "data" not in info.data:
            return model  # the data are wrong already
        height, width = info.data["data"].source.size
        if height % model.patch or width % model.patch:
            raise ValueError(f"patches of {model.patch} pixels do not fill images of {height} x {width}")
        found = model.window_of((height, width))
        if model.window not in (None, found):
            raise ValueError(
                f"the window {list(model.window or ())} does not fit: images of {height} x {width} in patches of "
                f"{model.patch} make a window of {list(found)}"
            )
        return model
