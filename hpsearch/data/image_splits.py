"""Labelled images in their official splits: which format a file or a folder has, and what reads it.

    photos/train/cat/1.png              subfolders for classes, or for splits with the classes below them
    train.csv                           a table of paths and labels
    mnist.npz, x_train.npy              numpy's arrays
    train-images-idx3-ubyte.gz          MNIST and those like it; the folder of them, too
    cifar-10-batches-py                 CIFAR-10 and CIFAR-100, in Python's or the binary version
    a folder of Hugging Face's datasets, saved or as parquet files

Needs no torch.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data.folds import PARTS, Part, opened_splits, part_called
from hpsearch.data.image_folders import SUFFIXES, ImageFiles, Layout, find_images
from hpsearch.data.image_pixels import Bytes, Indices, Shape, StoredImages, decoded, labels_of, of_array, of_files
from hpsearch.data.local_datasets import dataset_files, dataset_splits, is_dataset, names_of, rows_of
from hpsearch.data.own_data import array_of
from hpsearch.data.raw_images import (
    Reads,
    cifar_splits,
    idx_images,
    idx_splits,
    is_idx,
    labels_beside,
    npy_images,
    npy_splits,
    npz_splits,
)
from hpsearch.data.text_files import Column, Writing, read_labelled
from hpsearch.errors import DataError

_TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class ImageWriting:
    """How labelled images are written: the layout of a folder, the columns of a table or a dataset, coarse labels."""

    layout: Layout = "auto"
    image_column: Column = "image"
    label_column: Column = "label"
    header: bool = True
    coarse: bool = False


def image_splits(files: Mapping[Part, str], writing: ImageWriting) -> Reads:
    """Return what reads each of the splits that `files`, or the file or folder of `train`, holds.

    Raises:
        DataError: one of them holds no images with labels.
    """
    return opened_splits(files, lambda place: _inside(place, writing))


def _inside(place: Path, writing: ImageWriting) -> Reads:
    """Return the splits of a file or folder; one that is not divided is `train`."""
    if place.is_dir() or is_dataset(place):
        return _in_folder(place, writing)
    suffix = place.suffix.lower()
    if not place.exists():
        raise DataError(f"there is no folder of images, and no file, {place.absolute()}")
    if is_idx(place):
        return {"train": partial(idx_images, place)}
    if suffix == ".npz":
        return npz_splits(place)
    if suffix == ".npy":
        return {"train": partial(npy_images, place)}
    if suffix in _TABLES:
        return {"train": partial(_of_table, place, writing)}
    raise DataError(
        f"{place} is no file of images with labels; known are .csv and .tsv with paths, .npz, .npy, "
        "...-images-idx3-ubyte(.gz), and folders"
    )


def _in_folder(folder: Path, writing: ImageWriting) -> Reads:
    if is_dataset(folder):
        return {part: partial(_of_dataset, read, writing, f"{folder}, {part}")
                for part, read in dataset_splits(folder).items()}  # fmt: skip
    if raw := idx_splits(folder) or cifar_splits(folder, coarse=writing.coarse) or npy_splits(folder):
        return raw
    tables = {part: each for each in sorted(folder.iterdir())
              if each.suffix.lower() in _TABLES and (part := part_called(each.stem))}  # fmt: skip
    if "train" in tables:
        return {part: partial(_of_table, path, writing) for part, path in tables.items()}
    found = find_images(folder, writing.layout)
    if found.parts is None:
        return {"train": partial(_of_folder, found, range(len(found.files)))}
    return {part: partial(_of_folder, found, own.tolist()) for part in PARTS if len(own := found.of(part))}


def _of_folder(found: ImageFiles, own: Sequence[int]) -> StoredImages:
    labels = [found.classes[found.labels[index]] for index in own]
    return StoredImages(labels, of_files([found.files[index] for index in own]), found.classes)


def _of_table(path: Path, writing: ImageWriting) -> StoredImages:
    files, labels = _table(path, writing)
    missing = [each for each in files if not each.is_file()]
    if missing:
        raise DataError(f"{path} lists {len(missing)} images that are not there, such as {missing[0]}")
    return StoredImages(labels, of_files(files))


def _table(path: Path, writing: ImageWriting) -> tuple[list[Path], Sequence[str]]:
    """Return the images that a table lists, whose paths start at its folder, and their labels."""
    columns = Writing(writing.image_column, writing.label_column, header=writing.header, coarse=writing.coarse)
    rows = read_labelled(path, columns)
    return [path.parent / Path(text).expanduser() for text in rows.texts], [label or "" for label in rows.labels]


def _of_dataset(read: Callable[[], Any], writing: ImageWriting, origin: str) -> StoredImages:
    rows, columns = read(), (writing.image_column, writing.label_column)
    named = [column for column in columns if isinstance(column, str)]
    if len(named) < len(columns):
        raise DataError(f"{origin}: columns of a dataset have names, not numbers: {', '.join(rows.features)}")
    image, label = named
    names = names_of(rows, label)
    numbers = rows_of(rows, [image, label] if image not in rows.features else [label])[label]
    if any(number is None or (names and number < 0) for number in numbers):
        raise DataError(f"{origin} has rows without a label, as the Hub's test splits have; name another test")
    if type(rows.features[image]).__name__ != "Image":
        raise DataError(f"{origin}: '{image}' is no column of images (datasets.Image), but {rows.features[image]}")
    stored = rows.cast_column(image, type(rows.features[image])(decode=False))

    def pixels(indices: Indices, shape: Shape) -> Bytes:
        chosen = stored.select(indices.tolist())[image][:]
        return decoded(
            [(f"{origin}, row {row + 1}", _file(cell)) for row, cell in zip(indices, chosen, strict=True)], shape
        )

    labels = [names[number] if names else str(number) for number in numbers]
    return StoredImages(labels, pixels, names)


def _file(cell: Mapping[str, Any] | None) -> Any:
    if cell and cell.get("bytes") is not None:
        return io.BytesIO(cell["bytes"])
    return Path((cell or {}).get("path") or "")


def own_images(found: Mapping[str, Any], origin: str) -> StoredImages:
    """Return the images that a function of the user's returned.

    It returns the arrays `images` (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3, bytes or other numbers from
    0 to 255 or fractions from 0 to 1; and `labels` (N,), whole numbers or names. Images of another size than data.size
    are cut and scaled.

    Raises:
        DataError: it returned something else.
    """
    images = np.asarray(array_of(found, "images", "(N, H, W), (N, H, W, C) or (N, C, H, W)", origin))
    labels = np.asarray(array_of(found, "labels", "(N,), the class of each image", origin))
    pixels = of_array(images, f"{origin}, images")
    return StoredImages(labels_of(labels, len(images), f"{origin}, labels"), pixels)


def members_of(place: Path, writing: ImageWriting) -> Sequence[Path]:
    """Return the files that count as the data of a file or folder: the images that a table lists, the labels beside."""
    if place.is_dir() and is_dataset(place):
        return dataset_files(place)
    if place.is_dir():
        files = [each for each in place.rglob("[!.]*") if each.is_file()]
        images = [each for each in files if each.suffix.lower() in SUFFIXES]
        raw = any(each.suffix.lower() in (".npy", *_TABLES) or is_idx(each) for each in files)
        return images if images and not raw else files
    if place.suffix.lower() in _TABLES:
        return [place, *_unique(_table(place, writing)[0])]
    if place.suffix.lower() == ".npy":
        return [place, labels_beside(place)]
    if is_idx(place):
        labels = place.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
        return [place, *(there for name in (labels, f"{labels}.gz") if (there := place.with_name(name)).is_file())]
    return [place]


def _unique(files: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(files))


def everything(stored: StoredImages) -> Indices:
    """Return the numbers of all images."""
    return np.arange(len(stored.labels), dtype=np.int64)
