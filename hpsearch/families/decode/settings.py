"""DECODE's settings; free of torch.

The data and the network are by default those of Speiser, Mueller et al. (2021), the training is that of guide 003.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hpsearch.data.beads import Calibration
from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.data.point_spread import Astigmatic
from hpsearch.data.spline import Spline
from hpsearch.families import FamilyConfig
from hpsearch.settings import FIXED, UNFOLD, Option, Settings
from hpsearch.training.schedule_settings import Adaptive, Schedule, Warmup
from hpsearch.training.settings import TrainSettings

Activation = Literal["elu", "relu"]
Norm = Literal["none", "batch", "group"]


class ModelSettings(Settings):
    """Two U-Nets: a shared one sees each frame by itself, a second one what the first made of three frames."""

    frame_depth: Annotated[int, FIXED] = Field(default=2, ge=1, le=5)
    """How often the first U-Net halves the resolution."""
    union_depth: Annotated[int, FIXED] = Field(default=2, ge=1, le=5)
    """How often the second one does."""
    features: Annotated[int, FIXED] = Field(default=48, ge=1)
    """Channels at full resolution."""
    gain: Annotated[int, FIXED] = Field(default=2, ge=1, le=4)
    """Factor on the number of channels from one resolution to the next."""
    activation: Activation = "elu"
    initialisation: Literal["default", "kaiming"] = "kaiming"
    """`default` is torch's own; `kaiming` is He's normal one (2015) by the number of inputs, with biases 0."""
    norm: Annotated[Norm, FIXED] = "none"
    """After each 3x3 convolution of the U-Nets; `group` has 4 groups, or as many as divide the channels."""
    residual: Annotated[bool, FIXED] = False
    """Whether each pair of convolutions is bridged by a 1x1 convolution."""
    attention: Annotated[bool, FIXED] = False
    """Whether each pair of convolutions weighs its channels by their averages over the frame."""


class ChannelWeights(Settings):
    """The weights of the channels, by name: in a list without names, a weight falls on the wrong one unseen."""

    probability: float = Field(default=1.0, ge=0)
    photons: float = Field(default=1.0, ge=0)
    x: float = Field(default=1.0, ge=0)
    y: float = Field(default=1.0, ge=0)
    z: float = Field(default=1.0, ge=0)
    background: float = Field(default=0.5, ge=0)


class PerPixel(Option):
    """Each pixel is classified, and where a molecule is, its numbers are regressed."""

    kind: Literal["per_pixel"] = "per_pixel"
    weights: ChannelWeights = ChannelWeights()
    positive_weight: float = Field(default=1.0, gt=0)
    """Factor on the cross-entropy of pixels with a molecule."""
    focus: float = Field(default=0.0, ge=0)
    """The exponent of the focal loss (Lin et al. 2017), which plays down pixels that are clear; 0 is cross-entropy."""
    scales: Annotated[int, FIXED] = Field(default=1, ge=1, le=4)
    """At how many resolutions it is judged where molecules are: 1 is each pixel, 2 also squares of 2 x 2 pixels, 3 also
    of 4 x 4, and so on; each counts alike."""
    adversarial: float = Field(default=0.0, ge=0)
    """Strength with which the map of probabilities is drawn to what a second network takes for a true map of such
    frames (a generative adversarial loss); with 0 there is no second network."""

    @model_serializer(mode="wrap")
    def _without_what_is_newer(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out newer settings at their defaults: trials of earlier versions have none, and still fit."""
        newer = {"scales": 1, "adversarial": 0.0}
        return {name: value for name, value in dump(self).items() if newer.get(name) != value or name not in newer}


class Mixture(Option):
    """The likelihood of the molecules under a mixture of one normal distribution per pixel, and of their number."""

    kind: Literal["mixture"] = "mixture"
    emitters: float = Field(default=1.0, gt=0)
    """Weight of the log-likelihood of the molecules, given their number."""
    count: float = Field(default=1.0, ge=0)
    """Weight of the log-likelihood of their number."""
    background: float = Field(default=1.0, ge=0)
    """Weight of the squared error of the background, summed over pixels."""


class Detection(Settings):
    """How the map of probabilities becomes a list of molecules."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """The probability, of a pixel and its neighbours together, from which on a molecule is reported."""
    candidate: float = Field(default=0.1, gt=0, lt=1)
    """The probability that a local maximum must have by itself; a molecule on a corner leaves each pixel a quarter."""
    neighbour: float = Field(default=0.6, gt=0, lt=1)
    """The least probability with which a pixel next to a local maximum is another molecule."""
    gather: Literal["square", "cross"] = "square"
    """The neighbours whose probability counts with that of a local maximum: all eight, or the four beside, above and
    below it, as in the paper. A molecule on a corner leaves a quarter to a pixel that only the square has."""
    apart: float = Field(default=0.75, ge=0, le=2)
    """The distance in pixels from which on two neighbouring pixels hold two molecules. A network that is not trained to
    the end is sure of both pixels beside a molecule's edge, and puts it at the same place from each: it is one. With 0
    they count as two, as in the paper."""

    @model_validator(mode="before")
    @classmethod
    def _as_it_was(cls, values: Any) -> Any:
        """Keep to the paper's rule where all else is written and this is not: so earlier versions wrote it."""
        older, newer = {"threshold", "candidate", "neighbour"}, {"gather", "apart"}
        if isinstance(values, dict) and older <= values.keys() and not newer & values.keys():
            return {**values, "gather": "cross", "apart": 0.0}
        return values


class Augmentation(Settings):
    """How training frames are varied; their molecules move with them."""

    flips: bool = False
    """Mirrors frames at random, left to right and top to bottom."""
    turns: bool = False
    """Swaps x and y at random. With an astigmatic point spread function, this turns depth z into -z."""


class DecodeTrain(TrainSettings):
    """The shared loop's settings with this family's defaults."""

    epochs: Annotated[int, FIXED] = Field(default=200, ge=1)
    batch_size: Annotated[int, FIXED] = Field(default=16, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    schedule: Annotated[Schedule, FIXED] = Adaptive(floor_rate=1e-6)
    warmup: Annotated[Warmup, FIXED] = Warmup(epochs=10, start=1e-5)
    clip_norm: float | None = Field(default=1.0, gt=0)


class DecodeConfig(FamilyConfig):
    """A complete configuration."""

    data: Annotated[MicroscopySettings, FIXED] = MicroscopySettings()
    model: ModelSettings = ModelSettings()
    loss: Annotated[PerPixel | Mixture, Field(discriminator="kind"), UNFOLD] = Mixture()
    detection: Detection = Detection()
    augmentation: Augmentation = Augmentation()
    train: DecodeTrain = DecodeTrain()

    @property
    def has_critic(self) -> bool:
        """Whether a second network judges the first one's maps in training."""
        return isinstance(self.loss, PerPixel) and self.loss.adversarial > 0

    @model_validator(mode="after")
    def _the_frame_can_be_halved(self) -> "DecodeConfig":
        depth = max(self.model.frame_depth, self.model.union_depth)
        if self.data.size % 2**depth:
            raise ValueError(f"frames of {self.data.size} pixels cannot be halved {depth} times")
        return self

    @model_validator(mode="after")
    def _the_point_spread_has_these_symmetries(self) -> "DecodeConfig":
        chosen = self.data.point_spread
        if self.augmentation.flips and isinstance(chosen, Spline):
            raise ValueError("flips would mirror a point spread function that need not be its own mirror image: spline")
        if self.augmentation.turns and isinstance(chosen, Spline | Calibration):
            raise ValueError(
                f"turns need a point spread function with that symmetry: astigmatic or round, not {chosen.kind}"
            )
        return self

    @model_validator(mode="after")
    def _turns_stay_in_range(self) -> "DecodeConfig":
        lowest, highest = self.data.emitters.depth
        if self.augmentation.turns and isinstance(self.data.point_spread, Astigmatic) and lowest != -highest:
            raise ValueError("turns make z of -z: they need a data.emitters.depth that is symmetric about 0")
        return self
