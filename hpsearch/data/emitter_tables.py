"""Tables of molecules: those that ThunderSTORM, SMAP and the SMLM challenge write, and our own in ThunderSTORM's form.

Those of rapidSTORM and Picasso are read by `foreign_tables.py`.

A table has a line for each molecule and frame. Frames count from 1 (or from what the settings say). Positions are in
nm, with the origin at the outer corner of the first pixel, as in the SMLM challenge and ThunderSTORM, or at its centre.
Here x and y count pixels, and the centre of the first pixel is 0: a corner's x of 0 nm is -1/2 pixel.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.foreign_tables import read_foreign
from hpsearch.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Origin = Literal["corner", "center"]

_NAMES = {
    "frame": ("frame", "frames", "frame_ix", "frame_number"),
    "x": ("x", "xnano", "xnm", "x_nm", "x_nano"),
    "y": ("y", "ynano", "ynm", "y_nm", "y_nano"),
    "z": ("z", "znano", "znm", "z_nm", "z_nano"),
    "photons": ("intensity", "photons", "phot", "photon", "n_photons", "intensity_photons"),
}
"""What the columns are called, without their unit, in small letters."""
_NEEDED = ("frame", "x", "y")
_CHALLENGE = ("index", "frame", "x", "y", "z", "photons")
"""The columns of a table without names."""
_NANOMETRES = {"nm": 1.0, "um": 1000.0, "µm": 1000.0, "μm": 1000.0}
_PIXELS = ("px", "pixel", "pixels")
_COUNTS = ("ad", "adu", "counts", "au")
_COLUMN = re.compile(r"\s*(?P<name>[^\[(]*?)\s*(?:[\[(]\s*(?P<unit>[^\])]*?)\s*[\])])?\s*")


@dataclass(frozen=True)
class EmitterTable:
    """Molecules: the frame of each, counted from 0, and its numbers; None where the table has no such column."""

    frame: Integers
    x: Floats
    """In pixels; the centre of the first pixel is 0."""
    y: Floats
    z: Floats | None
    """In nm."""
    photons: Floats | None

    def within(self, first: int, last: int) -> "EmitterTable":
        """Return the molecules of the frames from `first` to `last`, which then count from 0."""
        found = self.chosen((self.frame >= first) & (self.frame <= last))
        return replace(found, frame=found.frame - first)

    def chosen(self, here: NDArray[np.bool_]) -> "EmitterTable":
        """Return the molecules for which `here` holds."""
        z, photons = (None if each is None else each[here] for each in (self.z, self.photons))
        return EmitterTable(self.frame[here], self.x[here], self.y[here], z, photons)


def read_emitters(path: Path, *, pixel: float, origin: Origin = "corner", first_frame: int = 1) -> EmitterTable:
    """Read a table, ordered by frame; `pixel` is the side of a pixel in nm.

    Columns are found by their names, whatever their order: `frame`, `"x [nm]"` or `xnano`, and so on. Units in nm, um
    or px are understood; without one it is nm. A table without names has the columns of the SMLM challenge: index,
    frame, x, y, z, photons. rapidSTORM's text and Picasso's HDF5 count frames from 0.

    Raises:
        DataError: it cannot be read, lacks a column, or holds something else than numbers.
    """
    found = read_foreign(path, pixel=pixel, first_frame=first_frame, origin=origin) or _read_named(path, pixel)
    frame = found["frame"]
    if len(frame) and not np.array_equal(frame, np.round(frame)):
        raise DataError(f"{path}: the column of frames holds {frame[frame != np.round(frame)][0]:g}, no frame number")
    order = np.argsort(frame, kind="stable")
    shift = 0.5 if origin == "corner" else 0.0
    return EmitterTable(
        frame[order].astype(np.int64) - first_frame,
        found["x"][order] / pixel - shift,
        found["y"][order] / pixel - shift,
        found["z"][order] if "z" in found else None,
        found["photons"][order] if "photons" in found else None,
    )


def _read_named(path: Path, pixel: float) -> dict[str, Floats]:
    """Return the columns of a table with commas, tabs or semicolons, in nm and photons."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text; expected a table with commas (.csv)") from None
    delimiter = next((each for each in "\t;" if each in first and "," not in first), ",")
    header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])]
    places, factors = _columns(path, header, pixel)
    rows = _rows(path, [places[name] for name in places], delimiter, skip=int(not _is_number(header[0])))
    return {name: rows[:, number] * factors[name] for number, name in enumerate(places)}


def _columns(path: Path, header: Sequence[str], pixel: float) -> tuple[dict[str, int], dict[str, float]]:
    """Return the place of each column, and the factor that makes nm or photons of it.

    Raises:
        DataError: one is missing, twice there, or in a unit that is not known.
    """
    if not header or header == [""]:
        raise DataError(f"{path} begins with an empty line; expected the names of columns or numbers")
    if _is_number(header[0]):
        if len(header) < len(_CHALLENGE):
            known = ", ".join(_CHALLENGE)
            raise DataError(
                f"{path} has {len(header)} columns without names; expected those of the SMLM challenge ({known}), or a "
                "first line with names such as frame, x [nm], y [nm]"
            )
        return {name: number for number, name in enumerate(_CHALLENGE) if number}, dict.fromkeys(_CHALLENGE, 1.0)
    places: dict[str, int] = {}
    factors: dict[str, float] = {}
    for number, cell in enumerate(header):
        match = _COLUMN.fullmatch(cell)
        plain = re.sub(r"[\s\-]+", "_", match["name"].lower()) if match else ""
        name = next((name for name, known in _NAMES.items() if plain in known), None)
        if name is None:
            continue
        if name in places:
            raise DataError(f"{path} has two columns for {name}: {header[places[name]]!r} and {cell!r}")
        places[name] = number
        factors[name] = _factor(path, name, cell, (match["unit"] or "").lower() if match else "", pixel)
    if missing := [name for name in _NEEDED if name not in places]:
        raise DataError(
            f"{path} has no column for {' and '.join(missing)}; it has {', '.join(map(repr, header))}; expected names "
            "such as frame, x [nm], y [nm], z [nm], intensity [photon], or xnano, ynano, znano"
        )
    return places, factors


def _factor(path: Path, name: str, cell: str, unit: str, pixel: float) -> float:
    if name in ("frame", "photons"):
        if name == "photons" and unit in _COUNTS:
            raise DataError(f"{path}: the column {cell!r} is in counts of the camera; expected photons")
        return 1.0
    if unit in _PIXELS and name != "z":
        return pixel
    if unit and unit not in _NANOMETRES:
        raise DataError(f"{path}: the column {cell!r} is in {unit}; expected nm, um or px")
    return _NANOMETRES.get(unit, 1.0)


def _rows(path: Path, columns: Sequence[int], delimiter: str, *, skip: int) -> Floats:
    """Return the numbers (N, columns) of a table.

    Raises:
        DataError: something is no number, or lines differ in length.
    """
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a table with names only is a movie without molecules
            rows: Floats = np.loadtxt(
                path,
                delimiter=delimiter,
                skiprows=skip,
                usecols=columns,
                quotechar='"',
                ndmin=2,
                encoding="utf-8-sig",
                comments=None,
            )
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be read as a table of numbers: {error}") from None
    if rows.size and not np.isfinite(rows).all():
        line = int(np.argwhere(~np.isfinite(rows))[0, 0]) + 1 + skip
        raise DataError(f"{path}: line {line} holds a number that is not finite")
    return rows.reshape(-1, len(columns))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def misfits(table: EmitterTable, *, frames: int, height: int, width: int, pixel: float, first_frame: int = 1) -> str:
    """Return why a table cannot be that of a movie of this size, or nothing if it can.

    Molecules may lie a little outside of the frames, but not many of them.
    """
    if not len(table.frame):
        return "it holds no molecule"
    lowest, highest = int(table.frame.min()) + first_frame, int(table.frame.max()) + first_frame
    if lowest < first_frame or highest >= frames + first_frame:
        known = f"the movie has the frames {first_frame} to {frames + first_frame - 1}"
        hint = " (set first_frame: 0 if they count from 0)" if lowest == 0 and first_frame == 1 else ""
        return f"its frames go from {lowest} to {highest}, and {known}{hint}"
    inside = (np.abs(table.x - (width - 1) / 2) <= width / 2) & (np.abs(table.y - (height - 1) / 2) <= height / 2)
    size = f"{width * pixel:g} x {height * pixel:g} nm ({width} x {height} pixels of {pixel:g} nm)"
    right, bottom = (float(np.max(each) + 0.5) * pixel for each in (table.x, table.y))
    if inside.mean() < _INSIDE:
        return f"its positions go to {right:g} x {bottom:g} nm, and the frames are {size}"
    if max(right, bottom) <= max(width, height) and pixel > _CLEARLY:
        return f"its positions go to {right:g} x {bottom:g}, so they seem to be in pixels, not in nm; frames are {size}"
    return ""


_INSIDE = 0.9
"""The least share of molecules within the frames."""
_CLEARLY = 4.0
"""nm of a pixel, below which nm and pixels cannot be told apart."""
