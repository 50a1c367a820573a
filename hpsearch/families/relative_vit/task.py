"""Training and scoring a vision transformer: its images and how they are varied, its loss, and its scores.

Images are (B, C, H, W), values between 0 and 1; each is varied by its own random numbers. Every mean is over images.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.images import LabelledImages
from hpsearch.families.relative_vit.network import VisionTransformer, bias_maps
from hpsearch.families.relative_vit.settings import Augmentation, RelativeVitConfig
from hpsearch.records import HeatMap
from hpsearch.training.by_example import ByExample, classification_by_example
from hpsearch.training.task import Batch, Dataset, Forward, Split, Splits, Task

TOP = 5
_BATCH = 256


class ClassificationTally:
    """Cross-entropy in nats, accuracy, top-5 accuracy (where there are more than 5 classes) and macro F1."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._count = 0
        self._nats = 0.0
        self._within_top = 0
        self._right, self._answered, self._true = (torch.zeros(classes, dtype=torch.long) for _ in range(3))

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add logits (B, classes), such as log-probabilities, and the true classes (B,)."""
        logits, labels = logits.detach().double().cpu(), labels.cpu()
        answers = logits.argmax(dim=1)
        self._count += len(labels)
        self._nats += functional.cross_entropy(logits, labels, reduction="sum").item()
        if self._classes > TOP:
            self._within_top += int((logits.topk(TOP, dim=1).indices == labels[:, None]).sum())
        self._right += labels[answers == labels].bincount(minlength=self._classes)
        self._answered += answers.bincount(minlength=self._classes)
        self._true += labels.bincount(minlength=self._classes)

    def scores(self) -> dict[str, float]:
        """Return the scores of all that was added.

        Macro F1 is the mean of the F1 of each class that occurs, as a truth or as an answer.
        """
        occurring = (self._answered + self._true) > 0
        f1 = 2 * self._right[occurring].double() / (self._answered + self._true)[occurring]
        scores = {
            "loss": self._nats / self._count,
            "accuracy": int(self._right.sum()) / self._count,
            "macro_f1": f1.mean().item(),
        }
        return scores | ({"top5_accuracy": self._within_top / self._count} if self._classes > TOP else {})


class ImageData:
    """One split of the images; they are kept as bytes, and become numbers between 0 and 1 batch by batch."""

    def __init__(self, content: LabelledImages) -> None:
        self.images = torch.from_numpy(content.images)
        self.labels = torch.from_numpy(content.labels)
        self.classes = content.classes
        self._white = content.white

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return image (B, C, H, W), between 0 and 1, and label (B,)."""
        index = torch.as_tensor(indices, dtype=torch.long)
        return {"image": self.images[index].float() / self._white, "label": self.labels[index]}

    def shared_with(self, train: Dataset) -> str | None:
        """Return how many of the images are, pixel by pixel, among those of `train`; None if none is."""
        if not isinstance(train, ImageData):
            return None
        learned = set(train.hashes())
        count = sum(each in learned for each in self.hashes())
        if not count:
            return None
        return (
            f"{count:,} of the {len(self):,} images are among those that the model was trained on, pixel by pixel, so "
            "that its scores are too good; leave them out"
        )

    def hashes(self) -> Iterator[bytes]:
        """Yield a hash of each image."""
        for image in self.images.numpy():
            yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()

    def in_batches(self) -> Iterable[Batch]:
        """Yield all images in their order."""
        for start in range(0, len(self), _BATCH):
            yield self.batch(range(start, min(start + _BATCH, len(self))))


def images_of(splits: Splits, split: Split) -> ImageData:
    """Return a split that this family has loaded."""
    data = splits[split]
    if not isinstance(data, ImageData):
        raise TypeError(f"the split '{split}' holds no images: {type(data).__name__}")
    return data


class ImageClassification(Task):
    """Cross-entropy on the images' classes; images are normalised by the statistics of the training split."""

    def __init__(self, config: RelativeVitConfig, train: ImageData) -> None:
        self._config = config
        self._classes = len(train.classes)
        self._train = train

    def build_model(self) -> nn.Module:
        """Return a new network for the images and classes of the data."""
        return build_network(self._config, classes=self._classes, statistics=channel_statistics(self._train))

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the mean cross-entropy in nats, and the accuracy."""
        del scalars  # no number of the configuration enters this loss
        logits = forward(batch["image"])
        right = logits.detach().argmax(dim=1) == batch["label"]
        return {"loss": functional.cross_entropy(logits, batch["label"]), "accuracy": right.float().mean()}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return loss, accuracy, top-5 accuracy (where there are more than 5 classes) and macro F1."""
        tally = ClassificationTally(self._classes)
        for batch in batches:
            tally.add(forward(batch["image"]), batch["label"])
        return tally.scores()

    def by_example(self, forward: Forward, batches: Iterable[Batch]) -> ByExample:
        """Return the same scores by image."""
        outputs, labels = [], []
        for batch in batches:
            outputs.append(forward(batch["image"]).detach().double().log_softmax(dim=1).cpu())
            labels.append(batch["label"].cpu())
        return classification_by_example(torch.cat(outputs).numpy(), torch.cat(labels).numpy(), top=TOP)

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the batch with its images varied as the settings say."""
        settings = self._config.augmentation
        if not any(settings.model_dump().values()):
            return batch
        return {**batch, "image": augment_images(batch["image"], settings, generator)}

    def decays(self, parameter: str) -> bool | None:
        """Positions and bias tables do not decay, as in Swin, though they are matrices."""
        return False if parameter.rpartition(".")[2] in ("positions", "table", "class_token") else None

    def artifacts(self, model: nn.Module) -> Mapping[str, HeatMap]:
        """Return the relative position bias of each block, and its statistics."""
        return bias_maps(model)


def build_network(
    config: RelativeVitConfig, *, classes: int, statistics: tuple[Tensor, Tensor] | None = None
) -> VisionTransformer:
    """Return a network for the images of the configuration; without `statistics` it does not normalise them yet."""
    source = config.data.source
    mean, deviation = statistics or (torch.zeros(source.channels), torch.ones(source.channels))
    return VisionTransformer(
        config.model, size=source.size, channels=source.channels, classes=classes, mean=mean, deviation=deviation
    )


def channel_statistics(data: ImageData) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (C,) of each channel over all images; 1 for a channel that never changes."""
    total, squares = (torch.zeros(data.images.shape[1], dtype=torch.float64) for _ in range(2))
    count = 0
    for batch in data.in_batches():
        images = batch["image"].double()
        total += images.sum(dim=(0, 2, 3))
        squares += images.square().sum(dim=(0, 2, 3))
        count += images[:, 0].numel()
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(deviation > 1e-6, deviation, 1.0).float()


def augment_images(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images after flips, then a rotation and shift, then changes of colour; what is off draws nothing."""
    count = len(images)
    for probability, side in ((settings.flip_horizontal, 3), (settings.flip_vertical, 2)):
        if probability:
            flipped = torch.rand(count, 1, 1, 1, generator=generator) < probability
            images = torch.where(flipped, images.flip(side), images)
    if settings.max_rotation or settings.max_shift:
        angle = math.radians(settings.max_rotation) * _between_ones(count, generator)
        limit = settings.max_shift
        shift = torch.randint(-limit, limit + 1, (count, 2), generator=generator)
        images = move_images(images, angle, shift)
    if settings.brightness:
        images = images * _factor(count, settings.brightness, generator)
    if settings.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * _factor(count, settings.contrast, generator)
    if settings.saturation:
        grey = images.mean(dim=1, keepdim=True)
        images = grey + (images - grey) * _factor(count, settings.saturation, generator)
    return images.clamp(0, 1)


def move_images(images: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
    """Turn images (B, C, H, W) counterclockwise by angles (B,) in radians, then move them down and right by (B, 2).

    Between pixels values are interpolated; beyond the edge is the value at the edge.
    """
    height, width = images.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # where each pixel of the result comes from, in pixels from the centre of the image
    down = y - (height - 1) / 2 - shift[:, :1, None]
    right = x - (width - 1) / 2 - shift[:, 1:, None]
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    from_right = cosine * right - sine * down
    from_down = sine * right + cosine * down
    grid = torch.stack((2 * from_right / width, 2 * from_down / height), dim=-1)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _between_ones(count: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(count, generator=generator) - 1


def _factor(count: int, largest_change: float, generator: torch.Generator) -> Tensor:
    return (1 + largest_change * _between_ones(count, generator))[:, None, None, None]
