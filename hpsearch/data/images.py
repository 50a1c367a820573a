"""Labelled images: scikit-learn's digits, a folder of the user's, or noise for trying things out. Needs no torch.

A folder holds a subfolder for each class, named as the class, with its images anywhere below it; or first one for each
split, see `image_folders.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.data.fingerprint import PACKAGE, Source
from hpsearch.data.folds import Folds, stratified_parts
from hpsearch.data.image_folders import SUFFIXES, ImageFiles, Layout, Part, find_images
from hpsearch.errors import DataError
from hpsearch.settings import FOLDER, UNFOLD, Option, Settings

Size = tuple[int, int]
"""Height and width in pixels."""
_NAMED = 5
"""So many unreadable files are named."""
_PARTS: tuple[Part, ...] = ("train", "val", "test")


class Digits(Option):
    """The 1,797 handwritten digits that come with scikit-learn: 8 x 8 pixels of 17 grey levels, 10 classes."""

    kind: Literal["digits"] = "digits"

    @property
    def size(self) -> Size:
        """Height and width in pixels."""
        return (8, 8)

    @property
    def channels(self) -> int:
        """Grey only."""
        return 1


class Folder(Option):
    """Images from a folder with a subfolder for each class, or first for each split; cut and scaled to `size`."""

    kind: Literal["images"] = "images"
    path: Annotated[str, FOLDER]
    """A relative path starts at the folder of the space file, `~` at the home directory."""
    layout: Layout = "auto"
    """What the subfolders are: `classes`; or `splits` (train, val, test) with the classes below them, of which val or
    test may be missing, and is then drawn from train. `auto` tells by their names, and asks where these say both."""
    size: Size = (224, 224)
    """Height and width in pixels."""
    channels: Literal[1, 3] = 3
    """3: colour, 1: grey."""


class Synthetic(Option):
    """Noise with labels that mean nothing: to try out sizes and speed. There is nothing to learn in it."""

    kind: Literal["synthetic"] = "synthetic"
    examples: int = Field(default=1000, ge=10)
    """In all three splits together."""
    size: Size = (224, 224)
    """Height and width in pixels."""
    channels: Literal[1, 3] = 3
    classes: int = Field(default=1000, ge=2)


class ImageSettings(Settings):
    """Which images, and how they are divided: in equal proportions of the classes."""

    source: Annotated[Digits | Folder | Synthetic, Field(discriminator="kind"), UNFOLD] = Digits()
    val_fraction: float = Field(default=0.15, gt=0, lt=1)
    """Fraction of all images that are for validation."""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Fraction of all images that are for the test; without effect where `folds` divide them."""
    folds: Folds | None = None
    """Cross-validation: the fold `index` of `count` is the test split."""

    @model_validator(mode="after")
    def _something_is_left_for_training(self) -> "ImageSettings":
        if self.val_fraction + (1 / self.folds.count if self.folds else self.test_fraction) >= 1:
            raise ValueError("nothing is left for training: val_fraction and the test split take all images")
        return self


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, C, H, W), black at 0 and white at `white`, and the number of each one's class."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    white: int = 255


def image_source(settings: ImageSettings) -> Source:
    """Return where the images come from; their size and colours are how they are shown, not which they are."""
    source = settings.source
    if isinstance(source, Folder):
        return Source("images", {"data.source.images.path": source.path}, suffixes=SUFFIXES)
    if isinstance(source, Digits):
        return Source("digits", {"digits": f"{PACKAGE}sklearn/datasets/data/digits.csv.gz"})
    return Source("noise", settings=source.model_dump(mode="json"), simulated=True)


def load_images(settings: ImageSettings, part: Part, seed: int) -> LabelledImages:
    """Return one part of the images; which image is in which part follows from the seed, or from `folds`.

    Errors: DataError for a folder that is not as it should be, files that cannot be read, or too few images.
    """
    source = settings.source
    if isinstance(source, Synthetic):
        return _noise(settings, source, part, seed)
    if isinstance(source, Digits):
        digits = _digits()
        chosen = _divide(settings, digits.labels, seed)[part]
        return LabelledImages(digits.images[chosen], digits.labels[chosen], digits.classes, digits.white)
    found = find_images(Path(source.path).expanduser(), source.layout)
    parts = {} if found.parts else _divide(settings, found.labels, seed)
    chosen = parts[part] if parts else _given(settings, found, part, seed)
    images = read_images([found.files[index] for index in chosen], source)
    return LabelledImages(images, found.labels[chosen], found.classes)


def _given(settings: ImageSettings, found: ImageFiles, part: Part, seed: int) -> NDArray[np.int64]:
    """Return the images of a split that lies in a subfolder of its own; one that has none is drawn from `train`."""
    if settings.folds is not None and len(found.of("test")):
        raise DataError("with folds the test part is a fold of all images, but this folder has a test part of its own")
    own = found.of(part)
    if part != "train" and len(own):
        return own
    train = found.of("train")
    drawn = {each: not len(found.of(each)) for each in _PARTS}
    parts = stratified_parts(
        found.labels[train],
        val_fraction=settings.val_fraction if drawn["val"] else 0,
        test_fraction=settings.test_fraction if drawn["test"] else 0,
        seed=seed,
        folds=settings.folds,
    )
    return train[parts[part]]


def _divide(settings: ImageSettings, labels: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    return stratified_parts(
        labels,
        val_fraction=settings.val_fraction,
        test_fraction=settings.test_fraction,
        seed=seed,
        folds=settings.folds,
    )


def _digits() -> LabelledImages:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images[:, None].astype(np.uint8)
    return LabelledImages(images, bunch.target.astype(np.int64), tuple(map(str, bunch.target_names)), white=16)


def _noise(settings: ImageSettings, source: Synthetic, part: Part, seed: int) -> LabelledImages:
    """Return random pixels and labels; the labels cannot be divided by class, as most classes have hardly any image."""
    count = len(_divide(settings, np.zeros(source.examples, dtype=np.int64), seed)[part])
    generator = np.random.default_rng([seed, _PARTS.index(part)])
    images = generator.integers(0, 256, (count, source.channels, *source.size), dtype=np.uint8)
    classes = tuple(f"class {number}" for number in range(source.classes))
    return LabelledImages(images, generator.integers(0, source.classes, count), classes)


def read_images(files: Sequence[Path], source: Folder) -> NDArray[np.uint8]:
    """Return the images (N, C, H, W) of files. Errors: DataError, which names those that cannot be read."""
    images = np.empty((len(files), source.channels, *source.size), dtype=np.uint8)
    broken: list[str] = []
    for index, path in enumerate(files):
        try:
            images[index] = _read_image(path, source)
        except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: Pillow's word for a broken PNG
            broken.append(f"{path} ({error})")
    if broken:
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise DataError(f"{len(broken)} images cannot be read: {'; '.join(broken[:_NAMED])}{more}")
    return images


def _read_image(path: Path, source: Folder) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    height, width = source.size
    with Image.open(path) as file:
        if file.mode.startswith(("I", "F")):
            raise ValueError(f"its pixels are of kind {file.mode}; convert it to 8 bits")
        upright = ImageOps.exif_transpose(file).convert("L" if source.channels == 1 else "RGB")
        fitted = ImageOps.fit(upright, (width, height), method=Image.Resampling.BICUBIC)
    pixels: NDArray[np.uint8] = np.asarray(fitted).reshape(height, width, source.channels).transpose(2, 0, 1)
    return pixels
