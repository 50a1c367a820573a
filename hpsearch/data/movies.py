"""Movies of a microscope as TIFF stacks: what is in the file, and its frames, mapped into memory where they can be.

ImageJ's stacks, OME-TIFF, BigTIFF and plain files with a page for each frame are read, compressed ones too. Frames are
grey; rows are y, columns are x. Frame numbers count from 1, as in tables of molecules.
"""

import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.extras import Extra, require

CONTEXT = 3
"""Frames that a network sees together; a movie needs as many."""
_KINDS = "uif"
"""Types of pixels: unsigned and signed integers, floating point."""
_MOST_CHANNELS = 4
"""So many images side by side in the only axis of channels are colours; ImageJ calls the frames of longer ones so."""


@dataclass(frozen=True)
class Movie:
    """A file that was looked at: its frames (frames, height, width) and their type."""

    path: Path
    frames: int
    height: int
    width: int
    dtype: np.dtype[Any]
    series: int = 1
    """How many series of pages make the frames up."""

    @property
    def described(self) -> str:
        """The size in words."""
        return f"{self.path.name} ({self.frames:,} frames of {self.height} x {self.width} pixels)"

    def counts(self, first: int, last: int) -> NDArray[Any]:
        """Return the frames (last - first + 1, height, width) from number `first` to number `last`, counted from 1.

        They are mapped into memory if the file is not compressed and they lie in it one after another; otherwise they
        are decoded.

        Raises:
            DataError: the file cannot be read, or is not the same any more.
        """
        with _opened(self.path) as file:
            offset = file.series[0].dataoffset if self.series == 1 else None
            if offset is not None:
                kind = file.series[0].dtype.newbyteorder(file.byteorder)
                shape = (self.frames, self.height, self.width)
                whole: NDArray[Any] = np.memmap(self.path, kind, "r", offset, shape)
                return whole[first - 1 : last]
            return self._decoded(file, first, last)

    def blocks(self, size: int) -> Iterator[NDArray[Any]]:
        """Yield all frames in their order, at most `size` at once, with one open file."""
        with _opened(self.path) as file:
            if self.series == 1 and file.series[0].dataoffset is not None:
                whole = self.counts(1, self.frames)
                yield from (whole[start : start + size] for start in range(0, self.frames, size))
                return
            for start in range(1, self.frames + 1, size):
                yield self._decoded(file, start, min(start + size - 1, self.frames))

    def _decoded(self, file: Any, first: int, last: int) -> NDArray[Any]:
        """Decode some frames."""
        pages = [page for series in file.series for page in series.pages]
        if len(pages) != self.frames:  # one page holds them all
            whole: NDArray[Any] = file.asarray(series=0).reshape(self.frames, self.height, self.width)
            return whole[first - 1 : last]
        found = np.empty((last - first + 1, self.height, self.width), self.dtype)
        for number, page in enumerate(pages[first - 1 : last]):
            found[number] = page.asarray().reshape(self.height, self.width)
        return found


def open_movie(path: Path) -> Movie:
    """Return what is in a file; its frames are not read.

    Raises:
        DataError: it is no TIFF file, is truncated, or does not hold grey frames of one size.
    """
    with _opened(path) as file:
        first = file.series[0]
        if len({(series.shape, series.dtype) for series in file.series}) > 1:
            shapes = " and ".join(sorted({"x".join(map(str, series.shape)) for series in file.series}))
            raise DataError(f"{path} holds images of several sizes ({shapes}); a movie has frames of one size")
        _check_grey(path, file, first)
        height, width = first.shape[-2:]
        frames = math.prod(first.shape[:-2]) * len(file.series)
        movie = Movie(path, frames, height, width, np.dtype(first.dtype), len(file.series))
        if frames < CONTEXT:
            raise DataError(f"{path} holds {frames} image{'s' * (frames != 1)}; a movie has at least {CONTEXT} frames")
        if movie.dtype.kind not in _KINDS:
            raise DataError(f"{path} holds pixels of type {movie.dtype}; expected integers or floating-point numbers")
        _check_length(path, file)
    return movie


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a TIFF file and say in one sentence what is wrong with it.

    tifffile logs the loss of pages and goes on with those that it has; here a file with such a loss is refused.
    """
    require(f"reading {path}", Extra.MOVIES, kind=DataError)
    import tifffile

    heard = _Heard()
    logger = logging.getLogger("tifffile")
    spoke, logger.propagate = logger.propagate, False
    logger.addHandler(heard)
    try:
        with tifffile.TiffFile(path) as file:
            if not file.series:
                raise DataError(f"{path} is a TIFF file without an image")
            if heard.errors:
                raise DataError(f"{path} is truncated or damaged: {re.sub(r'^<[^>]*> ', '', heard.errors[0])}")
            yield file
    except tifffile.TiffFileError as error:
        raise DataError(f"{path} is not a TIFF file that can be read: {error}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, IndexError, KeyError) as error:
        raise DataError(f"{path} cannot be decoded: {error}") from None
    except ImportError as error:
        raise DataError(f"{path} is compressed in a way that needs another package: {error}") from None
    finally:
        logger.removeHandler(heard)
        logger.propagate = spoke


class _Heard(logging.Handler):
    """Keeps the errors that a library logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.errors.append(record.getMessage())


def _check_grey(path: Path, file: Any, first: Any) -> None:
    """Refuse colours and more axes than those of a movie.

    Raises:
        DataError: there are some.
    """
    long = [axis for axis, length in zip(first.axes, first.shape, strict=True) if length > 1]
    leading = [axis for axis in long if axis not in "YXS"]
    channels = dict(zip(first.axes, first.shape, strict=True)).get("C", 1)
    coloured = file.pages[0].samplesperpixel > 1 or "S" in long or (1 < channels <= _MOST_CHANNELS)
    if coloured or first.axes[-2:] != "YX":
        raise DataError(f"{path} is a colour image (axes {first.axes}); expected a movie of grey frames")
    if len(leading) > 1:
        shape = " x ".join(map(str, first.shape))
        raise DataError(
            f"{path} has the axes {first.axes} ({shape}); expected one axis of frames, then rows and columns"
        )


def _check_length(path: Path, file: Any) -> None:
    """Refuse a file that ends before its frames do.

    Raises:
        DataError: it does.
    """
    size = file.filehandle.size
    for series in file.series:
        end = series.dataoffset + series.nbytes if series.dataoffset is not None else 0
        last = series.pages[-1]
        if last is not None and series.dataoffset is None and last.dataoffsets:
            end = max(begin + count for begin, count in zip(last.dataoffsets, last.databytecounts, strict=True))
        if end > size:
            raise DataError(f"{path} is truncated: its frames end at byte {end:,}, the file at byte {size:,}")


def pixel_size(path: Path) -> float | None:
    """Return the side of a pixel in nm if ImageJ or an OME-TIFF says it, or None."""
    with _opened(path) as file:
        if file.ome_metadata:
            told = dict(re.findall(r'\b(PhysicalSizeX(?:Unit)?)="([^"]+)"', file.ome_metadata))
            scale = _NM.get(_unit(told.get("PhysicalSizeXUnit", "um")))
            return float(told["PhysicalSizeX"]) * scale if scale and "PhysicalSizeX" in told else None
        page, kind = file.pages[0], file.imagej_metadata or {}
        scale, resolution = _NM.get(_unit(str(kind.get("unit", "")))), page.tags.get("XResolution")
        if scale is None or resolution is None or not resolution.value[0]:
            return None
        pixels, length = resolution.value
        return float(scale * length / pixels)


def check_pixel(path: Path, pixel: float) -> None:
    """Hold what a movie's file says of its pixels against their side in nm.

    Raises:
        DataError: it says something else.
    """
    told = pixel_size(path)
    if told is not None and abs(told / pixel - 1) > ALIKE:
        raise DataError(f"{path} has pixels of {told:.4g} nm, as the file says, and data.pixel is {pixel:g}")


ALIKE = 0.05
"""By which part two sizes of pixels may differ."""
_NM = {"nm": 1.0, "um": 1e3, "micron": 1e3, "microns": 1e3, "mm": 1e6}


def _unit(written: str) -> str:
    for micro in ("\\u00B5", "\u00b5", "\u03bc", "&#181;", "&#956;"):
        written = written.replace(micro, "u")
    return written


def write_image(path: Path, image: NDArray[np.float32], *, pixel: float) -> None:
    """Write a grey image as an ImageJ TIFF with the side of its pixels in nm.

    Raises:
        OSError: the file cannot be written.
    """
    import tifffile

    per_micrometre = 1000.0 / pixel
    tifffile.imwrite(path, image, imagej=True, resolution=(per_micrometre,) * 2, metadata={"unit": "um"})
