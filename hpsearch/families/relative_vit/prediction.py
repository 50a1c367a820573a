"""The classes of new images, and new labelled images to score a classifier on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from hpsearch.data.folds import Part
from hpsearch.data.image_folders import SUFFIXES
from hpsearch.data.image_pixels import Pixels, Shape, StoredImages, read_images
from hpsearch.data.image_splits import image_splits
from hpsearch.data.images import LabelledImages, named_classes
from hpsearch.data.raw_images import images_alone
from hpsearch.errors import DataError
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.families.prediction import Computing, Examination, Input, NoOptions, Predictor, files_of
from hpsearch.families.relative_vit.settings import RelativeVitConfig
from hpsearch.families.relative_vit.task import ImageClassification, ImageData

Item = Path | tuple[str, NDArray[Any]]
"""A file, or an array with a name."""


class ImagePredictor(Predictor[Item, NoOptions, ClassPrediction]):
    """Tells the class of each image; files are cut and scaled to the model's size as those of a training folder are."""

    takes: ClassVar = (
        "images: files or folders of them, MNIST's idx files, .npy and .npz, or a folder of these or CIFAR's; in "
        "Python also arrays (height, width) or (height, width, 3) of the model's size, uint8 from 0 to 255 or floats "
        "from 0 to 1"
    )
    Result = ClassPrediction

    @property
    def example(self) -> str:
        """A black image of the model's size."""
        source = self.config.data.source
        shape = tuple(source.size) if source.channels == 1 else (*source.size, source.channels)
        return f"np.zeros({shape}, dtype=np.uint8)"

    def read(self, inputs: Sequence[Input], options: NoOptions) -> Iterator[Item]:
        """Return the files in their order, those of a folder sorted; arrays are checked.

        Raises:
            DataError: There is no such file, or an array does not fit the model.
        """
        del options
        parts: list[Iterable[Item]] = []
        for number, each in enumerate(inputs):
            if not isinstance(each, str | Path):
                parts.append([(f"array {number}", self._fitting(each, f"array {number}"))])
                continue
            place = Path(each).expanduser()
            if place.is_dir():
                published = self._published(place)
                parts.append(files_of([place], SUFFIXES, what="image") if published is None else published)
                continue
            alone = images_alone(place) if place.is_file() else None
            parts.append(files_of([place], SUFFIXES, what="image") if alone is None else self._stored(place, *alone))
        return chain.from_iterable(parts)

    def _published(self, folder: Path) -> Iterator[Item] | None:
        """Return the test images of a folder without image files, such as MNIST's or CIFAR's, or all that it has.

        None where it is no such folder.
        """
        if any(each.suffix.lower() in SUFFIXES for each in folder.rglob("[!.]*")):
            return None
        try:
            splits = image_splits({"train": str(folder)}, self.config.data.writing)
        except DataError:
            return None
        part: Part = "test" if "test" in splits else "train"
        stored = splits[part]()
        place = f"{folder}, {part}" if len(splits) > 1 else folder
        return self._stored(place, stored.pixels, len(stored.labels))

    def _stored(self, place: Path | str, pixels: Pixels, count: int) -> Iterator[Item]:
        """Yield the images of a file of many, each with its number from 0 on."""
        for number in range(count):
            image = pixels(np.array([number]), _shape(self.config))[0]
            yield f"{place}, image {number}", image.astype(np.float32) / np.float32(255)

    def predict(self, items: Iterable[Item], options: NoOptions, computing: Computing) -> ClassPrediction:
        """Return the classes of the images."""
        del options
        classes = tuple(self.facts["classes"])
        names: list[str] = []
        rows = [np.zeros((0, len(classes)))]

        def compute(batch: Sequence[Item]) -> NDArray[np.float64]:
            images = torch.from_numpy(self._pixels(batch)).to(computing.device)
            found: NDArray[np.float64] = self.model(images).float().double().softmax(dim=-1).cpu().numpy()
            names.extend(str(each) if isinstance(each, Path) else each[0] for each in batch)
            return found

        rows += computing.over(items, compute, unit="images")
        return ClassPrediction(tuple(names), classes, np.concatenate(rows))

    def _pixels(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """Return images (N, C, H, W) from 0 to 1."""
        files = [each for each in items if isinstance(each, Path)]
        opened = iter(read_images(files, _shape(self.config)).astype(np.float32) / np.float32(255))
        return np.stack([next(opened) if isinstance(each, Path) else each[1] for each in items])

    def _fitting(self, image: Any, name: str) -> NDArray[np.float32]:
        """Return an array as (C, H, W) from 0 to 1."""
        source, array = self.config.data.source, np.asarray(image)
        wanted = tuple(source.size) if source.channels == 1 else (*source.size, 3)
        if array.shape != wanted and array.shape != (*source.size, source.channels):
            raise DataError(
                f"{name} has the shape {array.shape}; this model takes images of {source.size[0]} x {source.size[1]} "
                f"pixels and {source.channels} channel{'s' if source.channels > 1 else ''}, so arrays {wanted}"
            )
        if array.dtype == np.uint8:
            array = array.astype(np.float32) / np.float32(255)
        elif not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"{name} holds {array.dtype}; an image is uint8 from 0 to 255, or floats from 0 to 1")
        elif not (array.min() >= 0 and array.max() <= 1):
            raise DataError(f"{name} goes from {array.min():g} to {array.max():g}; floats must be from 0 to 1")
        pixels: NDArray[np.float32] = array.reshape(*source.size, source.channels).transpose(2, 0, 1).astype(np.float32)
        return pixels


def _shape(config: RelativeVitConfig) -> Shape:
    """Return the size and the channels of the training images, to which files are cut and scaled."""
    return Shape(config.data.source.size, config.data.source.channels)


def examine(
    config: RelativeVitConfig, facts: Mapping[str, Any], paths: Sequence[Path], model: torch.nn.Module
) -> Examination:
    """Return the labelled images of files and folders of any format that `data.train` has.

    Raises:
        DataError: A folder is not as it should be, or has a class that the model does not know.
    """
    del model
    classes = tuple(facts["classes"])
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for path in paths:
        stored = _stored(path, config)
        named = named_classes(tuple(stored.labels), config.data)
        if unknown := sorted(set(named) - set(classes)):
            raise DataError(
                f"{path} has the class '{unknown[0]}', which the model does not know; it knows: {', '.join(classes)}"
            )
        labels += [classes.index(name) for name in named]
        pixels.append(stored.pixels(np.arange(len(named)), _shape(config)))
    images = LabelledImages(np.concatenate(pixels), np.array(labels, dtype=np.int64), classes)
    data = ImageData(images)
    return Examination(ImageClassification(config, data), data)


def _stored(path: Path, config: RelativeVitConfig) -> StoredImages:
    """Return the images of a path: those of its test split, where it holds splits."""
    splits = image_splits({"train": str(path)}, config.data.writing)
    if len(splits) > 1 and "test" not in splits:
        raise DataError(
            f"{path} holds splits ({', '.join(splits)}), but none for the test; name what is to be scored on"
        )
    return splits["test" if "test" in splits else "train"]()
