"""The molecules of a movie: a table and a super-resolution image of a movie of any size and length.

Frames are read in their order and computed a batch at a time; large ones in windows. A window is larger than the part
of it that counts by what the network sees around a pixel, and begins where the network halves its resolution, so that
the molecules are those of the whole frame. (Group normalisation and channel attention average over all that they see:
with them, windows are nearly that.) At the movie's ends a frame stands in for its missing neighbour.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hpsearch.data.movies import ALIKE, CONTEXT, open_movie, pixel_size, write_image
from hpsearch.data.rendering import Rendering, render, write_png
from hpsearch.errors import DataError
from hpsearch.families.decode.localisation import Channels, Units, detect
from hpsearch.families.decode.settings import DecodeConfig, Mixture, ModelSettings
from hpsearch.families.prediction import Computing, Input, Prediction, Predictor, files_of
from hpsearch.settings import Settings

Floats = NDArray[np.float64]

_KINDS = frozenset({".tif", ".tiff"})
_BLOCK = 64
"""Frames that are read at once."""
_MOST_PIXELS = 1 << 19
"""Of the windows that are computed at once."""
_AROUND_A_PEAK = 4
"""Pixels that decide whether a pixel is a molecule, see `localisation.detect`."""
_LARGEST_IMAGE = 1 << 28
"""Pixels of a rendered image."""
_DARK = 3.0
"""Standard deviations of reading by which the middle pixel may lie below the camera's baseline."""


class MovieOptions(Settings):
    """How a movie is read, and how its image is drawn."""

    unit: Literal["counts", "photons"] = "counts"
    """What a pixel holds: the counts of the camera that the model was trained for, or photons."""
    pixel: float | None = Field(default=None, gt=0)
    """The side of the movie's pixels in nm, held against that of the model."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """The probability from which on a molecule is reported; `detection.threshold` by default."""
    window: int = Field(default=256, ge=16)
    """Pixels of the side of the windows in which larger frames are computed."""
    render: Rendering = "gaussian"
    """`gaussian` draws each molecule as wide as it is uncertain, `histogram` counts molecules."""
    render_pixel: float = Field(default=10.0, gt=0)
    """The side of the rendered image's pixels in nm."""
    blur: float = Field(default=20.0, gt=0)
    """The width in nm with which molecules are drawn by a model that gives no uncertainties."""


@dataclass(frozen=True)
class Molecules(Prediction):
    """The N molecules of a movie, ordered by frame.

    Attributes:
        frame: (N,), counted from 1.
        position: (N, 3), x, y and z in nm; x and y from the outer corner of the first pixel.
        photons: (N,).
        background: (N,), photons per pixel.
        probability: (N,).
        deviation: (N, 4), standard deviations of photons, and of x, y and z in nm; None if the model gives none.
        frames: How many the movie has.
        size: Height and width of the movie's field in nm.
        options: How the image is drawn.
        remark: What is odd about the movie, or nothing.
    """

    endings: ClassVar = {
        ".csv": "a row for each molecule, with the columns of ThunderSTORM: frame from 1, nm, photons, uncertainties",
        ".png": "a super-resolution image in shades of grey",
        ".tif": "the same with molecules per pixel as numbers, for ImageJ",
        ".npz": "arrays: frame, position, photons, background, probability, deviation, as in Python",
    }
    frame: NDArray[np.int64]
    position: Floats
    photons: Floats
    background: Floats
    probability: Floats
    deviation: Floats | None
    frames: int
    size: tuple[float, float]
    options: MovieOptions
    remark: str = ""

    def __len__(self) -> int:
        return len(self.frame)

    def summary(self) -> str:
        """Return how many molecules were found, and how exactly."""
        lines = [f"{len(self):,} molecules in {self.frames:,} frames ({len(self) / self.frames:.3g} a frame)"]
        if len(self):
            lines.append(f"median photons {np.median(self.photons):.4g}, background {np.median(self.background):.4g}")
        if self.deviation is not None and len(self):
            lateral, axial = np.median(self.lateral), np.median(self.deviation[:, 3])
            lines.append(f"median uncertainty {lateral:.3g} nm in the plane, {axial:.3g} nm in depth")
        return "\n".join([*lines, *([self.remark] if self.remark else [])])

    @property
    def lateral(self) -> Floats:
        """The uncertainty of each position in the plane, in nm: the quadratic mean of x and y."""
        if self.deviation is None:
            return np.full(len(self), self.options.blur)
        found: Floats = np.sqrt((self.deviation[:, 1:3] ** 2).mean(axis=1))
        return found

    def image(self) -> NDArray[np.float32]:
        """Return the rendered image (rows, columns) in molecules per pixel; see `MovieOptions`."""
        side = self.options.render_pixel
        height, width = (int(np.ceil(length / side - 1e-9)) for length in self.size)
        x, y = self.position[:, 0] / side - 0.5, self.position[:, 1] / side - 0.5
        widths = self.lateral / side if self.options.render == "gaussian" else None
        return render(x, y, widths, height=height, width=width)

    def save(self, path: Path, ending: str) -> None:
        """Write a table, an image or arrays."""
        if ending.lower() == ".png":
            write_png(path, self.image())
        elif ending.lower() == ".tif":
            write_image(path, self.image(), pixel=self.options.render_pixel)
        elif ending.lower() == ".npz":
            more: dict[str, Any] = {} if self.deviation is None else {"deviation": self.deviation}
            names = ("frame", "position", "photons", "background", "probability")
            np.savez(path, **{name: getattr(self, name) for name in names}, **more)
        else:
            self._write_table(path)

    def _write_table(self, path: Path) -> None:
        columns: dict[str, NDArray[Any]] = {
            "id": np.arange(1, len(self) + 1),
            "frame": self.frame,
            "x [nm]": self.position[:, 0],
            "y [nm]": self.position[:, 1],
            "z [nm]": self.position[:, 2],
            "intensity [photon]": self.photons,
            "offset [photon]": self.background,
        }
        if self.deviation is not None:
            columns["uncertainty_xy [nm]"] = self.lateral
            columns["uncertainty_z [nm]"] = self.deviation[:, 3]
            columns["uncertainty_intensity [photon]"] = self.deviation[:, 0]
        columns["probability"] = self.probability
        form = ",".join("%d" if name in ("id", "frame") else "%.4f" for name in columns)
        header = ",".join(f'"{name}"' for name in columns)
        np.savetxt(path, np.column_stack([*columns.values()]), fmt=form, header=header, comments="", encoding="utf-8")


@dataclass(frozen=True)
class OpenedMovie:
    """A movie that is to be computed: its size, and what yields blocks of its frames in their order."""

    frames: int
    height: int
    width: int
    blocks: Iterable[NDArray[Any]]
    middle: float
    """The median of the first frames, in what the movie holds."""


class MoviePredictor(Predictor[OpenedMovie, MovieOptions, Molecules]):
    """Finds the molecules of a movie."""

    takes: ClassVar = (
        "a movie: a TIFF stack of grey frames (ImageJ, OME, BigTIFF, pages) as the model's camera counts them, or an "
        "array (frames, height, width)"
    )
    Options = MovieOptions
    Result = Molecules
    alone: ClassVar = True
    config: DecodeConfig

    @property
    def example(self) -> str:
        """Frames without light, as the camera counts them."""
        data = self.config.data
        return f"np.full(({_BLOCK}, {data.size}, {data.size}), {data.camera.baseline})"

    def read(self, inputs: Sequence[Input], options: MovieOptions) -> list[OpenedMovie]:
        """Return the movie.

        Raises:
            DataError: It cannot be read, or its pixels, size or counts are not those that the model was trained for.
        """
        (given,) = inputs
        opened, name = self._opened(given)
        data = self.config.data
        told = options.pixel or (None if isinstance(given, np.ndarray) else pixel_size(Path(given)))
        if told is not None and abs(told / data.pixel - 1) > ALIKE:
            raise DataError(f"{name} has pixels of {told:.4g} nm; the model was trained for {data.pixel:g} nm")
        least = min(data.size, 2 * reach(self.config.model) + 1)
        if min(opened.height, opened.width) < least:
            size = f"{opened.height} x {opened.width}"
            raise DataError(f"{name} has frames of {size} pixels; the model needs at least {least} x {least}")
        if options.unit == "counts":
            below = -float(data.camera.to_photons(np.array(opened.middle)))
            if below > _DARK * data.camera.deviation(0.0) + 1.0:
                raise DataError(
                    f"{name} has a median of {opened.middle:g} counts, and the model's camera counts "
                    f"{data.camera.baseline:g} without any light: is it another camera, or (unit=photons) photons?"
                )
        if opened.height * opened.width * (data.pixel / options.render_pixel) ** 2 > _LARGEST_IMAGE:
            raise DataError(
                f"an image of {name} with pixels of {options.render_pixel:g} nm is too large; choose larger"
            )
        return [opened]

    def _opened(self, given: Input) -> tuple[OpenedMovie, str]:
        if not isinstance(given, str | Path):
            array = np.asarray(given)
            if array.ndim != 3 or len(array) < CONTEXT or array.dtype.kind not in "uif":
                raise DataError(
                    f"the movie is an array of {array.dtype} of the shape {array.shape}; expected numbers "
                    f"(frames, height, width) with at least {CONTEXT} frames"
                )
            blocks = (array[start : start + _BLOCK] for start in range(0, len(array), _BLOCK))
            frames, height, width = array.shape
            return OpenedMovie(frames, height, width, blocks, float(np.median(array[:CONTEXT]))), "the movie"
        (path,) = files_of([given], _KINDS, what="movie")
        movie = open_movie(path)
        middle = float(np.median(movie.counts(1, CONTEXT)))
        return OpenedMovie(movie.frames, movie.height, movie.width, movie.blocks(_BLOCK), middle), str(path)

    def predict(self, items: Iterable[OpenedMovie], options: MovieOptions, computing: Computing) -> Molecules:
        """Return the molecules of the movie."""
        (movie,) = items
        levels: list[float] = []

        def compute(batch: Sequence[tuple[int, NDArray[Any]]]) -> Floats:
            numbers, counts = np.array([each[0] for each in batch]), np.stack([each[1] for each in batch])
            photons = counts.astype(np.float64)
            if options.unit == "counts":
                photons = self.config.data.camera.to_photons(photons)
            levels.append(float(np.median(photons)))
            found = self._molecules(torch.from_numpy(photons.astype(np.float32)), options, computing.device)
            found[:, 0] = numbers[found[:, 0].astype(np.int64)]
            return found

        nothing = np.zeros((0, 11 if self._doubts else 7))
        found = np.concatenate(
            [nothing, *computing.over(_triples(movie.blocks), compute, unit="frames", total=movie.frames)]
        )
        pixel, (lowest, highest) = self.config.data.pixel, self.config.data.background
        level, remark = float(np.median(levels)), ""
        if not lowest / 2 <= level <= highest * 2:
            remark = f"pixels have a median of {level:.3g} photons; the model was trained for {lowest:g} to {highest:g}"
        return Molecules(
            frame=found[:, 0].astype(np.int64),
            position=found[:, 1:4],
            photons=found[:, 4],
            background=found[:, 5],
            probability=found[:, 6],
            deviation=found[:, 7:] if self._doubts else None,
            frames=movie.frames,
            size=(movie.height * pixel, movie.width * pixel),
            options=options,
            remark=remark,
        )

    @property
    def _doubts(self) -> bool:
        """Whether the model says how uncertain it is."""
        return isinstance(self.config.loss, Mixture)

    def _molecules(self, frames: Tensor, options: MovieOptions, device: torch.device) -> Floats:
        """Return the molecules (N, 7 or 11) of photons (B, 3, H, W), ordered by frame, row and column.

        The columns are the place in the batch, x, y, z in nm, photons, background, probability, and the deviations of
        photons, x, y and z.
        """
        height, width = frames.shape[2:]
        parts = [np.zeros((0, 13 if self._doubts else 9))]
        for rows in _windows(height, options.window, self.config.model):
            for columns in _windows(width, options.window, self.config.model):
                window = frames[:, :, rows.begin : rows.end, columns.begin : columns.end]
                most = max(1, _MOST_PIXELS // (window.shape[2] * window.shape[3]))
                for first in range(0, len(window), most):
                    found = self._in_window(window[first : first + most].to(device), options)
                    found[:, 0] += first
                    found[:, [1, -2]] += columns.begin
                    found[:, [2, -1]] += rows.begin
                    parts.append(found[rows.holds(found[:, -1]) & columns.holds(found[:, -2])])
        table = np.concatenate(parts)
        table = table[np.lexsort((table[:, -2], table[:, -1], table[:, 0]))][:, :-2]
        table[:, 1:3] = (table[:, 1:3] + 0.5) * self.config.data.pixel
        return table

    def _in_window(self, frames: Tensor, options: MovieOptions) -> Floats:
        """Return molecules as `_molecules` does, but x and y in the window's pixels, and column and row at the end."""
        units, settings = Units.of(self.config.data), self.config.detection
        if options.threshold is not None:
            settings = settings.model_copy(update={"threshold": options.threshold})
        channels = Channels.of(self.model(units.scale_frames(frames)).float())
        probability = detect(channels, settings)
        place = probability.nonzero(as_tuple=True)
        frame, row, column = place
        emitters = units.restore_emitters(channels.means[frame, :, row, column])
        parts = [
            frame[:, None],
            emitters[:, 1:2] + column[:, None],
            emitters[:, 2:3] + row[:, None],
            emitters[:, 3:],
            emitters[:, :1],
            channels.background[place][:, None] * units.background,
            probability[place][:, None],
        ]
        if channels.deviations is not None:
            doubts = units.restore_emitters(channels.deviations[frame, :, row, column])
            parts.append(
                doubts * torch.tensor([1.0, self.config.data.pixel, self.config.data.pixel, 1.0], device=doubts.device)
            )
        found = torch.cat([part.double() for part in (*parts, column[:, None], row[:, None])], dim=1)
        return found.cpu().numpy()


def reach(settings: ModelSettings) -> int:
    """Return from how many pixels away a pixel of the network's output depends on the frames.

    A level of a U-Net whose pixels are 2^l wide has two 3x3 convolutions on the way down and two on the way up (the
    coarsest only the former); halving and enlarging a frame brings in less than 2^depth pixels each.
    """

    def of_net(depth: int) -> int:
        convolutions: int = 2 * (2 ** (depth + 1) - 1) + 2 * (2**depth - 1)
        return int(convolutions + 2 * (2**depth - 1))

    return of_net(settings.frame_depth) + of_net(settings.union_depth) + 1


@dataclass(frozen=True)
class _Window:
    """A part of a row or column of pixels, from `begin` to `end`; those from `first` to `last` count (not included)."""

    begin: int
    end: int
    first: int
    last: int

    def holds(self, places: Floats) -> NDArray[np.bool_]:
        """Check which pixels count."""
        found: NDArray[np.bool_] = (places >= self.first) & (places < self.last)
        return found


def _windows(length: int, part: int, settings: ModelSettings) -> list[_Window]:
    """Return windows whose parts that count cover a length; a single one where it is not longer than a part."""
    if length <= part:
        return [_Window(0, length, 0, length)]
    multiple = 2 ** max(settings.frame_depth, settings.union_depth)
    part = max(part // multiple, 1) * multiple
    margin = -(-(reach(settings) + _AROUND_A_PEAK) // multiple) * multiple
    return [
        _Window(max(first - margin, 0), min(first + part + margin, length), first, min(first + part, length))
        for first in range(0, length, part)
    ]


def _triples(blocks: Iterable[NDArray[Any]]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield each frame's number, from 1, and the frame between its neighbours, (3, height, width)."""
    number, before, here = 0, None, None
    for block in blocks:
        for after in block:
            if here is not None:
                number += 1
                yield number, np.stack((here if before is None else before, here, after))
            before, here = here, after
    if here is not None:
        yield number + 1, np.stack((here if before is None else before, here, here))
