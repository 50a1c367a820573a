"""The classes of new images."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from hpsearch.data.images import SUFFIXES, Folder, read_images
from hpsearch.errors import DataError
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.families.prediction import Computing, Input, NoOptions, Predictor, files_of

Item = Path | tuple[str, NDArray[Any]]
"""A file, or an array with a name."""


class ImagePredictor(Predictor[Item, NoOptions, ClassPrediction]):
    """Tells the class of each image; files are cut and scaled to the model's size as those of a training folder are."""

    takes: ClassVar = (
        "images: files or folders of them; in Python also arrays (height, width) or (height, width, 3) of the model's "
        "size, uint8 from 0 to 255 or floats from 0 to 1"
    )
    Result = ClassPrediction

    def read(self, inputs: Sequence[Input], options: NoOptions) -> Iterator[Item]:
        """Return the files in their order, those of a folder sorted; arrays are checked.

        Raises:
            DataError: There is no such file, or an array does not fit the model.
        """
        del options
        items: list[Item] = []
        for number, each in enumerate(inputs):
            if isinstance(each, str | Path):
                items += files_of([each], SUFFIXES, what="image")
            else:
                name = f"array {number}"
                items.append((name, self._fitting(each, name)))
        return iter(items)

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
        source = self.config.data.source
        read = Folder(path=".", size=source.size, channels=source.channels)
        files = [each for each in items if isinstance(each, Path)]
        opened = iter(read_images(files, read).astype(np.float32) / np.float32(255))
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
