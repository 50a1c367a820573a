"""From images as they lie somewhere, files or arrays, to arrays (N, C, H, W) of bytes of the size that is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.disk_cache import cached_arrays
from hpsearch.data.fingerprint import hash_file, hash_of
from hpsearch.data.preparation import counted
from hpsearch.errors import DataError

Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]
Size = tuple[int, int]
"""Height and width in pixels."""
_NAMED = 5
"""The most unreadable files that are named."""
_LARGE = 1 << 24
"""Decoded images of so many bytes are kept on the disk and mapped from there."""
_ROWS = 4096


@dataclass(frozen=True)
class Shape:
    """The size of images in pixels, and their channels: 3 for colour, 1 for grey."""

    size: Size
    channels: int


Pixels = Callable[[Indices, Shape], Bytes]
"""From the numbers of images to their pixels (N, C, H, W)."""


@dataclass(frozen=True)
class StoredImages:
    """Labelled images; their pixels are read when they are asked for.

    `classes` are in the order of their numbers, if that is known: otherwise the labels tell. `files` are all that the
    images come from.
    """

    labels: Sequence[str]
    pixels: Pixels
    classes: tuple[str, ...] = ()


def of_files(files: Sequence[Path]) -> Pixels:
    """Return what decodes image files; many are decoded once, and mapped into memory from the cache."""

    def pixels(indices: Indices, shape: Shape) -> Bytes:
        chosen = [files[index] for index in indices]
        if len(chosen) * shape.channels * shape.size[0] * shape.size[1] < _LARGE:
            return read_images(chosen, shape)
        key = {"size": list(shape.size), "channels": shape.channels, "files": _hash_all(chosen)}
        return cached_arrays("images", key, lambda: {"images": read_images(chosen, shape)}, libraries=("pillow",))[
            "images"
        ]

    return pixels


def _hash_all(files: Sequence[Path]) -> str:
    try:
        return hash_of(hash_file(path)[1] for path in files)
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror or error}") from None


def read_images(files: Sequence[Path], shape: Shape) -> Bytes:
    """Return the images of files.

    Raises:
        DataError: files cannot be read; it names them.
    """
    return decoded([(str(path), path) for path in files], shape)


def decoded(images: Sequence[tuple[str, Path | IO[bytes]]], shape: Shape) -> Bytes:
    """Return images from files, or from bytes, each with what it is called.

    Raises:
        DataError: some cannot be read; it names them.
    """
    found = np.empty((len(images), shape.channels, *shape.size), dtype=np.uint8)
    broken: list[str] = []
    for index, (name, file) in counted(enumerate(images), "images read", len(images)):
        try:
            found[index] = _read_image(file, shape)
        except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: Pillow's word for a broken PNG
            broken.append(f"{name} ({error})")
    if broken:
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise DataError(f"{len(broken)} images cannot be read: {'; '.join(broken[:_NAMED])}{more}")
    return found


def _read_image(source: Path | IO[bytes], shape: Shape) -> Bytes:
    from PIL import Image, ImageOps

    with Image.open(source) as file:
        if file.mode.startswith(("I", "F")):
            raise ValueError(f"its pixels are of kind {file.mode}; convert it to 8 bits")
        return _fitted(ImageOps.exif_transpose(file), shape)


def _fitted(image: Any, shape: Shape) -> Bytes:
    """Return a Pillow image as (C, H, W): cut to the proportions, and scaled."""
    from PIL import Image, ImageOps

    height, width = shape.size
    plain = image.convert("L" if shape.channels == 1 else "RGB")
    fitted = ImageOps.fit(plain, (width, height), method=Image.Resampling.BICUBIC)
    pixels: Bytes = np.asarray(fitted).reshape(height, width, shape.channels).transpose(2, 0, 1)
    return pixels


def of_array(images: NDArray[Any], origin: str) -> Pixels:
    """Return what scales the images of an array: (N, H, W), (N, H, W, C) or (N, C, H, W), C being 1 or 3.

    They are bytes, or other numbers from 0 to 255, or fractions from 0 to 1.

    Raises:
        DataError: they are not; it says what was found.
    """
    rows = _by_channels(images, origin)
    factor = _factor(images, origin)

    def pixels(indices: Indices, shape: Shape) -> Bytes:
        found = np.empty((len(indices), shape.channels, *shape.size), dtype=np.uint8)
        for start in range(0, len(indices), _ROWS):
            part = rows(indices[start : start + _ROWS])
            plain = part if part.dtype == np.uint8 else np.round(part.astype(np.float64) * factor).astype(np.uint8)
            if plain.shape[1:3] == shape.size and plain.shape[3] == shape.channels:
                found[start : start + len(plain)] = plain.transpose(0, 3, 1, 2)
                continue
            for number, image in enumerate(plain):
                found[start + number] = _fitted(_as_picture(image), shape)
        return found

    return pixels


def _as_picture(image: Bytes) -> Any:
    from PIL import Image

    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else np.ascontiguousarray(image))


def _by_channels(images: NDArray[Any], origin: str) -> Callable[[Indices], NDArray[Any]]:
    """Return what gives some of the images as (n, H, W, C)."""
    if images.ndim == 3 and images.size:
        return lambda indices: images[indices][:, :, :, None]
    if images.ndim == 4 and images.shape[3] in (1, 3) and images.size:
        return lambda indices: images[indices]
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.size:
        return lambda indices: images[indices].transpose(0, 2, 3, 1)
    shape = "x".join(map(str, images.shape)) or "a single number"
    flat = "; rows of pixels are to be reshaped" if images.ndim == 2 else ""
    raise DataError(
        f"{origin}: images are (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, not {shape}{flat}"
    )


def _factor(images: NDArray[Any], origin: str) -> float:
    """Return by what numbers are multiplied to be bytes."""
    if images.dtype == np.uint8:
        return 1.0
    if images.dtype.kind not in "buif":
        raise DataError(f"{origin}: images are numbers, not of the type {images.dtype}")
    if images.dtype == np.bool_:
        return 255.0
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 255):
        raise DataError(
            f"{origin}: the pixels are from {low:g} to {high:g}; expected are 0 to 255, or fractions from 0 to 1, "
            "before any normalisation"
        )
    return 255.0 if images.dtype.kind == "f" and high <= 1 else 1.0


def labels_of(labels: NDArray[Any], count: int, origin: str, *, what: str = "images") -> tuple[str, ...]:
    """Return the labels of `count` images, or what else they are of: whole numbers or names, one for each.

    Raises:
        DataError: they are something else.
    """
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1:
        hot = "; of one-hot rows take the argmax" if flat.ndim == 2 else ""
        raise DataError(
            f"{origin}: labels are (N,), one for each of the {what}, not {'x'.join(map(str, labels.shape))}{hot}"
        )
    if len(flat) != count:
        raise DataError(f"{origin}: there are {count} {what} and {len(flat)} labels")
    if flat.dtype.kind == "f" and np.all(flat == np.round(flat)):
        flat = flat.astype(np.int64)
    if flat.dtype.kind not in "iuUbS":
        raise DataError(f"{origin}: labels are whole numbers or names, not of the type {flat.dtype}")
    if flat.dtype.kind == "S":
        flat = np.char.decode(flat, "utf-8", "replace")
    return tuple(str(int(label)) if flat.dtype.kind in "iub" else str(label) for label in flat.tolist())
