"""Training and scoring a vision transformer."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.images import LabelledImages
from hpsearch.families.relative_vit.augmentation import augment_images
from hpsearch.families.relative_vit.bias_maps import bias_maps
from hpsearch.families.relative_vit.network import VisionTransformer
from hpsearch.families.relative_vit.scores import ClassificationTally
from hpsearch.families.relative_vit.settings import RelativeVitConfig
from hpsearch.records import HeatMap
from hpsearch.training.task import Batch, Forward, Split, Splits, Task

_BATCH = 256


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
