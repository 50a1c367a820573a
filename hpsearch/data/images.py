"""Labelled images: the user's, scikit-learn's digits, or noise for trying things out; and how they are divided."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from hpsearch.data.fingerprint import PACKAGE, Source
from hpsearch.data.folds import PARTS, Folds, Named, Part, check_splits, classes_in, named_splits, stratified_parts
from hpsearch.data.image_folders import SUFFIXES, Layout
from hpsearch.data.image_pixels import Shape, Size, StoredImages
from hpsearch.data.image_splits import ImageWriting, everything, image_splits, members_of, own_images
from hpsearch.data.own_data import own_source, own_splits
from hpsearch.data.raw_images import Reads
from hpsearch.errors import DataError, NoSplitError
from hpsearch.settings import CODE, FOLDER, NAMED, NEWER, OWN, PLACE, UNFOLD, Growing, Option, OwnOption
from hpsearch.user_code import is_reference


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


class OwnImages(OwnOption):
    """Images that a function of the user's returns, with the size and the channels that stand beside it."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, CODE]
    size: Size = (1, 1)
    channels: Literal[1, 3] = 1


class Synthetic(Option):
    """Noise with labels that mean nothing: to try out sizes and speed. There is nothing to learn in it."""

    kind: Literal["synthetic"] = "synthetic"
    examples: int = Field(default=1000, ge=10)
    """In all three splits together."""
    size: Size = (224, 224)
    """Height and width in pixels."""
    channels: Literal[1, 3] = 3
    classes: int = Field(default=1000, ge=2)


def _whose(value: Any) -> str:
    """Say whether a source is code of the user's, for pydantic."""
    kind = value.get("kind", "") if isinstance(value, Mapping) else getattr(value, "kind", "")
    return OWN if isinstance(kind, str) and is_reference(kind) else NAMED


NamedImages = Digits | Folder | Synthetic
ImagesOf = NamedImages | OwnImages


class ImageSettings(Growing):
    """Which images, and how they are divided: in equal proportions of the classes."""

    train: Annotated[str | None, PLACE, NEWER] = None
    """Images with labels, in place of `source`: a folder (subfolders for classes, or for splits with the classes below
    them); a .csv or .tsv of paths and labels; arrays (.npz with x_train, y_train, x_test ... or x and y; x_train.npy
    with y_train.npy beside it); MNIST's idx files, CIFAR's batches or a folder of Hugging Face's `datasets`. `size` and
    `channels` go with it. A relative path starts at the folder of the space file."""
    val: Annotated[str | None, PLACE, NEWER] = None
    test: Annotated[str | None, PLACE, NEWER] = None
    """Separate images for validation and test. A part that has none, and that `train` does not hold, is drawn from
    it."""
    size: Annotated[Size | None, NEWER] = None
    """Height and width in pixels to which the images of `train` are cut and scaled."""
    channels: Annotated[Literal[1, 3] | None, NEWER] = None
    """Of the images of `train`. 3: colour, 1: grey."""
    layout: Annotated[Layout, NEWER] = "auto"
    """What the subfolders of `train` are: classes or splits; see `source.images.layout`."""
    image_column: Annotated[str | int, NEWER] = "image"
    label_column: Annotated[str | int, NEWER] = "label"
    """Columns of a table or dataset by name, or those of a table by number from 1 on."""
    header: Annotated[bool, NEWER] = True
    """Whether the first row of a table names its columns."""
    class_names: Annotated[tuple[str, ...] | None, NEWER] = None
    """Names of the classes whose labels are the numbers from 0 on."""
    coarse_labels: Annotated[bool, NEWER] = False
    """The 20 groups of CIFAR-100's classes; of labels in a table, what stands before the first colon."""
    source: Annotated[
        Annotated[NamedImages, Field(discriminator="kind"), Tag(NAMED)] | Annotated[OwnImages, Tag(OWN)],
        Discriminator(_whose),
        UNFOLD,
    ] = Digits()
    """In place of `train`: digits, noise, a folder, or a function of yours, `./mydata.py:load`, which returns
    {"images": ..., "labels": ...}; see `hpsearch.data.own_data`. `size` and `channels` go with it, too."""
    val_fraction: float = Field(default=0.15, ge=0, lt=1)
    """Fraction of the images that are for validation."""
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    """Fraction of the images that are for the test; without effect where the test is given or `folds` divide them. 0:
    there is no test split, and nothing is confirmed."""
    folds: Folds | None = None
    """Cross-validation: the fold `index` of `count` is the test split."""

    @field_validator("source")
    @classmethod
    def _train_takes_its_place(cls, source: ImagesOf, info: ValidationInfo) -> ImagesOf:
        train: str | None = info.data.get("train")
        code = isinstance(source, OwnImages)
        if (train is None and not code) or not {"size", "channels", "layout"} <= info.data.keys():
            return source
        if info.data["size"] is None or info.data["channels"] is None:
            name = "source" if code else "train"
            raise ValueError(f"{name} needs size and channels beside it: for MNIST, size: [28, 28] and channels: 1")
        if isinstance(source, OwnImages) or train is None:
            return OwnImages(kind=source.kind, size=info.data["size"], channels=info.data["channels"])
        own = Folder(path=train, size=info.data["size"], channels=info.data["channels"], layout=info.data["layout"])
        if source not in (own, Digits()):
            raise ValueError("train and source are two ways to name the images; leave one of them out")
        return own

    @model_validator(mode="after")
    def _something_is_left_for_training(self) -> "ImageSettings":
        if self.val_fraction + (1 / self.folds.count if self.folds else self.test_fraction) >= 1:
            raise ValueError("nothing is left for training: val_fraction and the test split take all images")
        own = isinstance(self.source, OwnImages)
        check_splits(*self._named, val_fraction=self.val_fraction, source=self.source.kind if own else None)
        if self.folds and self.test:
            raise ValueError("with folds the test part is a fold of all images: leave test out")
        if self.train is None and not own and (self.size or self.channels):
            raise ValueError("size and channels go with train; those of source stand within it")
        return self

    @model_serializer(mode="wrap")
    def _source_is_what_train_says(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found = self._without_what_is_newer(dump)
        if self.train is not None:
            del found["source"]
        return found

    @property
    def files(self) -> Mapping[Part, str]:
        """The files and folders of the splits that have one."""
        return named_splits(*self._named)

    @property
    def _named(self) -> tuple[Named, Named]:
        older = self.source.path if isinstance(self.source, Folder) and self.train is None else None
        return {"train": self.train, "val": self.val, "test": self.test}, {"train": older}

    def setting(self, part: Part) -> str:
        """Return the dotted name of the setting that names a part's images."""
        if isinstance(self.source, OwnImages):
            return "data.source"
        return "data.source.images.path" if part == "train" and self.train is None else f"data.{part}"

    @property
    def writing(self) -> ImageWriting:
        """How the images are written."""
        return ImageWriting(
            layout=self.source.layout if isinstance(self.source, Folder) else self.layout,
            image_column=self.image_column,
            label_column=self.label_column,
            header=self.header,
            coarse=self.coarse_labels,
        )


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, C, H, W), black at 0 and white at `white`, and the number of each one's class."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    white: int = 255


_HOW_WRITTEN = ("image_column", "label_column", "header", "class_names", "coarse_labels")
"""Settings that decide what is read from equal files."""


def image_source(settings: ImageSettings) -> Source:
    """Return the origin of the images; size and colours do not count, as the images stay the same."""
    source = settings.source
    if isinstance(source, OwnImages):
        return own_source(source.kind)
    if isinstance(source, Folder):
        files = {settings.setting(part): path for part, path in settings.files.items()}
        if settings.train is None:
            return Source("images", files, suffixes=SUFFIXES)
        written = {name: getattr(settings, name) for name in _HOW_WRITTEN}
        chosen = {name: value for name, value in written.items() if value != type(settings).model_fields[name].default}
        return Source("images", files, chosen, members=partial(members_of, writing=settings.writing))
    if isinstance(source, Digits):
        return Source("digits", {"digits": f"{PACKAGE}sklearn/datasets/data/digits.csv.gz"})
    return Source("noise", settings=source.model_dump(mode="json"), simulated=True)


def load_images(settings: ImageSettings, part: Part, seed: int) -> LabelledImages:
    """Return one part of the images; which image is in which part follows from the seed, or from `folds`.

    Raises:
        DataError: the images are not as they should be, a file cannot be read, or there are too few.
    """
    source = settings.source
    if isinstance(source, Synthetic):
        return _noise(settings, source, part, seed)
    if isinstance(source, Digits):
        digits = _digits()
        chosen = _divide(settings, digits.labels, seed, part)
        return LabelledImages(digits.images[chosen], digits.labels[chosen], digits.classes, digits.white)
    given = given_splits(settings)
    if settings.folds is not None and "test" in given:
        raise DataError("with folds the test part is a fold of all images, but these have their own test part")
    train = given["train"]()
    classes = classes_of(train, settings)
    if part != "train" and part in given:
        own = given[part]()
        chosen = everything(own)
    else:
        own = train
        chosen = _divide(settings, numbers_of(train, classes, "train"), seed, part, given)
    pixels = own.pixels(chosen, Shape(source.size, source.channels))
    return LabelledImages(pixels, numbers_of(own, classes, part)[chosen], named_classes(classes, settings))


def given_splits(settings: ImageSettings) -> Reads:
    """Return what reads each of the splits that files or folders hold; the others are drawn from `train`.

    Raises:
        DataError: a file or folder does not hold what it should.
    """
    if isinstance(settings.source, OwnImages):
        return own_splits(settings.source.kind, own_images, test=bool(settings.test_fraction))
    return image_splits(settings.files, settings.writing)


def classes_of(train: StoredImages, settings: ImageSettings) -> tuple[str, ...]:
    """Return the labels of the classes in the order of their numbers.

    Raises:
        DataError: there is one class only, or a label that has no name.
    """
    classes = tuple(train.classes) or classes_in(train.labels)
    if len(classes) < 2:
        raise DataError(f"all images for training have the class {', '.join(classes)}; two or more are needed")
    names = settings.class_names
    if names is not None and not train.classes:
        alien = next((each for each in classes if not each.isdecimal() or int(each) >= len(names)), None)
        if alien is not None:
            raise DataError(f"the label {alien} has no name: class_names has {len(names)}, for 0 to {len(names) - 1}")
    return classes


def named_classes(classes: tuple[str, ...], settings: ImageSettings) -> tuple[str, ...]:
    """Return the classes by the names that the settings give to their numbers."""
    names = settings.class_names
    return classes if names is None else tuple(names[int(each)] if each.isdecimal() else each for each in classes)


def numbers_of(stored: StoredImages, classes: tuple[str, ...], part: Part) -> NDArray[np.int64]:
    """Return the number of each image's class.

    Raises:
        DataError: there is none for a label.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    if alien := sorted(set(stored.labels) - numbers.keys()):
        raise DataError(
            f"the {part} part has the class '{alien[0]}', of which training has no image; it has: "
            f"{', '.join(classes[:10])}"
        )
    return np.array([numbers[label] for label in stored.labels], dtype=np.int64)


def has_test(settings: ImageSettings) -> bool:
    """Check whether there is a test split; a folder that cannot be read is taken to have none."""
    own = isinstance(settings.source, OwnImages)
    if settings.test_fraction or settings.folds or not (settings.files or own):
        return bool(settings.test_fraction or settings.folds)
    try:
        return "test" in given_splits(settings)
    except DataError:
        return False


def objections_to(settings: ImageSettings) -> dict[str, str]:
    """Return which files and folders hold no images with labels, or classes that training lacks, by setting."""
    found: dict[str, str] = {}
    classes: tuple[str, ...] = ()
    for part in PARTS:
        setting = settings.setting(part if part in settings.files else "train")
        try:
            given = given_splits(settings)
            if part in given:
                stored = given[part]()
                classes = classes or classes_of(stored, settings)
                numbers_of(stored, classes, part)
        except DataError as error:
            found[setting] = f"{setting}: {error}"
            if part == "train":
                break
    return found


def _divide(
    settings: ImageSettings, labels: NDArray[np.int64], seed: int, part: Part, given: Collection[Part] = ()
) -> NDArray[np.int64]:
    """Return the indices of a part of what is divided; parts that are `given` take nothing of it."""
    if part == "test" and not (settings.test_fraction or settings.folds):
        raise NoSplitError("there is no test split: data.test_fraction is 0")
    return stratified_parts(
        labels,
        val_fraction=0.0 if "val" in given else settings.val_fraction,
        test_fraction=0.0 if "test" in given else settings.test_fraction,
        seed=seed,
        folds=settings.folds,
    )[part]


def _digits() -> LabelledImages:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images[:, None].astype(np.uint8)
    return LabelledImages(images, bunch.target.astype(np.int64), tuple(map(str, bunch.target_names)), white=16)


def _noise(settings: ImageSettings, source: Synthetic, part: Part, seed: int) -> LabelledImages:
    """Return random pixels and labels; the labels cannot be divided by class, as most classes have hardly any image."""
    count = len(_divide(settings, np.zeros(source.examples, dtype=np.int64), seed, part, given=()))
    generator = np.random.default_rng([seed, PARTS.index(part)])
    images = generator.integers(0, 256, (count, source.channels, *source.size), dtype=np.uint8)
    classes = tuple(f"class {number}" for number in range(source.classes))
    return LabelledImages(images, generator.integers(0, source.classes, count), classes)
