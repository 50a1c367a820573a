"""Labelled images: scikit-learn's digits, a folder of the user's, or noise for trying things out. Needs no torch.

A folder holds a subfolder for each class, named as the class, with its images anywhere below it; or first one for each
split, as in ImageNet:

photos/cat/1.png                                  classes
photos/train/cat/1.png, photos/test/cat/2.png     splits, and in them classes
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.data.fingerprint import PACKAGE, Source
from hpsearch.data.folds import Folds, stratified_parts
from hpsearch.data.preparation import counted
from hpsearch.errors import DataError
from hpsearch.settings import FOLDER, UNFOLD, Option, Settings

Part = Literal["train", "val", "test"]
Layout = Literal["auto", "classes", "splits"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_FILLERS = frozenset({"set", "split", "data", "images", "image", "imgs", "img", "photos"})
"""Words that may accompany a split's name: training_set, val-images."""
_PART_NAMES: Mapping[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_LIKE_SPLITS = _PART_NAMES.keys() | {"eval", "evaluation", "holdout", "trainval", "fold", "part"}
"""Words in the names of subfolders that may be divisions of the data."""
_SAY = "say with layout, next to the path, which it is: splits, or classes"
Size = tuple[int, int]
"""Height and width in pixels."""
_NAMED = 5
"""The most unreadable files that are named."""
_PARTS: tuple[Part, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class ImageFiles:
    """Image files in a fixed order, each with the number of its class, and its split where the folder has splits."""

    classes: tuple[str, ...]
    files: Sequence[Path]
    labels: NDArray[np.int64]
    parts: Sequence[Part] | None = None

    def of(self, part: Part) -> NDArray[np.int64]:
        """Return the indices of the images in the subfolder of a split; none where there is no such one."""
        return np.array([number for number, own in enumerate(self.parts or ()) if own == part], dtype=np.int64)


def find_images(folder: Path, layout: Layout = "auto") -> ImageFiles:
    """Return the images of a folder.

    Raises:
        DataError: the folder is not as it should be.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder of images {folder.absolute()}")
    subfolders = _subfolders(folder)
    splits = _splits(folder, subfolders, layout)
    if not splits:
        classes, files, labels = _in_classes(folder)
        if layout == "auto":
            _refuse_splits_below(folder, subfolders)
            _refuse_other_splits(folder, subfolders)
        return ImageFiles(classes, files, np.array(labels, dtype=np.int64))
    found = {part: _in_classes(place, fewest=1) for part, place in splits.items()}
    classes = found["train"][0]
    if len(classes) < 2:
        raise DataError(f"{splits['train'].absolute()} has 1 subfolder; two classes or more are needed")
    for part, (own, _, _) in found.items():
        if alien := sorted(set(own) - set(classes)):
            raise DataError(
                f"{splits[part].absolute()} has the class '{alien[0]}', of which {splits['train'].name} has no image; "
                f"it has: {', '.join(classes)}"
            )
    files = [file for _, own, _ in found.values() for file in own]
    labels = [classes.index(own[label]) for own, _, numbers in found.values() for label in numbers]
    parts = [part for part, (_, own, _) in found.items() for _ in own]
    return ImageFiles(classes, files, np.array(labels, dtype=np.int64), parts)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _splits(folder: Path, subfolders: Sequence[Path], layout: Layout) -> dict[Part, Path]:
    """Return the subfolders of the splits, or none where the subfolders are classes."""
    if layout == "classes":
        return {}
    named = [(part, each) for each in subfolders if (part := _part_called(each.name))]
    splits = dict(named)
    others = [each for each in subfolders if not _part_called(each.name)]
    if layout == "auto" and (not splits or _is_a_class(splits, others)):
        return {}
    if layout == "auto" and others:
        names = ", ".join(each.name for _, each in named)
        raise DataError(
            f"the subfolders of {folder.absolute()} are called like splits ({names}) and like classes "
            f"({', '.join(each.name for each in others[:3])}); {_SAY}. Subfolders next to splits are not read"
        )
    if "train" not in splits:
        raise DataError(f"{folder.absolute()} has no subfolder train, so that there is nothing to learn from")
    if len(splits) < len(named):
        twice = " and ".join(each.name for part, each in named if [other for other, _ in named].count(part) > 1)
        raise DataError(f"{folder.absolute()} has {twice}, which are the same split; leave one of them")
    flat = [each.name for each in splits.values() if not _subfolders(each)]
    if layout == "auto" and len(flat) == len(splits):
        raise DataError(
            f"{folder.absolute()} has subfolders called like splits ({', '.join(flat)}) with images, but without "
            f"subfolders for classes; {_SAY}"
        )
    return splits


def _is_a_class(splits: Mapping[Part, Path], others: Sequence[Path]) -> bool:
    """Check whether a folder called train is one class among others, as trains are among vehicles."""
    alone = splits.keys() == {"train"} and bool(others)
    return alone and (not _subfolders(splits["train"]) or any(map(_subfolders, others)))


def _part_called(name: str) -> Part | None:
    """Return the split that a subfolder is called after, such as Train, valid, training_set or test2017; else None."""
    words = [word for word in re.split(r"[^a-z]+", name.casefold()) if word and word not in _FILLERS]
    return _PART_NAMES.get(words[0].removesuffix("set")) if len(words) == 1 else None


def _refuse_splits_below(folder: Path, classes: Sequence[Path]) -> None:
    """Refuse to mix the splits of classes that are divided themselves: photos/cat/train, photos/cat/test."""
    for each in classes:
        inside = {part: below.name for below in _subfolders(each) if (part := _part_called(below.name))}
        if len(inside) > 1:
            raise DataError(
                f"{each.absolute()} has subfolders called like splits ({', '.join(inside.values())}), which would be "
                f"mixed; move the splits above the classes ({folder.name}/train/{each.name}), or say with layout: "
                "classes, next to the path, that they are to be divided by hpsearch"
            )


def _refuse_other_splits(folder: Path, subfolders: Sequence[Path]) -> None:
    """Refuse to take for classes what has the same subfolders and such names: photos/train/cat, photos/holdout/cat."""
    inside = [{below.name for below in _subfolders(each)} for each in subfolders]
    like = [each.name for each in subfolders if _LIKE_SPLITS & set(re.split(r"[^a-z]+", each.name.casefold()))]
    if like and len(subfolders) > 1 and len(set.intersection(*inside)) > 1:
        names = ", ".join(each.name for each in subfolders[:5])
        raise DataError(
            f"the subfolders of {folder.absolute()} ({names}) have the same subfolders, as splits have; call them "
            "train, val and test if they are splits, or say with layout: classes, next to the path, that they are not"
        )


def _in_classes(folder: Path, *, fewest: int = 2) -> tuple[tuple[str, ...], list[Path], list[int]]:
    """Return the classes of a folder, its image files in a fixed order, and the number of each one's class."""
    subfolders = _subfolders(folder)
    if len(subfolders) < fewest:
        raise DataError(
            f"{folder.absolute()} has {len(subfolders)} subfolders; a folder of images needs one for each of two or "
            "more classes"
        )
    files: list[Path] = []
    labels: list[int] = []
    for number, subfolder in enumerate(subfolders):
        own = sorted(path for path in subfolder.rglob("[!.]*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not own:
            kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
            raise DataError(f"there is no image in {subfolder.absolute()}; known are {kinds}")
        files += own
        labels += [number] * len(own)
    return tuple(each.name for each in subfolders), files, labels


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
    """Return the origin of the images; size and colours do not count, as the images stay the same."""
    source = settings.source
    if isinstance(source, Folder):
        return Source("images", {"data.source.images.path": source.path}, suffixes=SUFFIXES)
    if isinstance(source, Digits):
        return Source("digits", {"digits": f"{PACKAGE}sklearn/datasets/data/digits.csv.gz"})
    return Source("noise", settings=source.model_dump(mode="json"), simulated=True)


def load_images(settings: ImageSettings, part: Part, seed: int) -> LabelledImages:
    """Return one part of the images; which image is in which part follows from the seed, or from `folds`.

    Raises:
        DataError: the folder is not as it should be, a file cannot be read, or there are too few images.
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
        raise DataError("with folds the test part is a fold of all images, but this folder has its own test part")
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
    """Return the images (N, C, H, W) of files.

    Raises:
        DataError: files cannot be read; it names them.
    """
    images = np.empty((len(files), source.channels, *source.size), dtype=np.uint8)
    broken: list[str] = []
    for index, path in counted(enumerate(files), "files read", len(files)):
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
