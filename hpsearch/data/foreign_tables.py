"""Tables of molecules that are not written with commas: rapidSTORM's text and Picasso's HDF5.

Both count frames from 0. rapidSTORM (Wolter et al., Nature Methods 9:1040, 2012) describes its columns in the first
line, in XML, and has nm and counts of the camera; Picasso (Schnitzbauer et al., Nature Protocols 12:1198, 2017) has
pixels, counted from the centre of the first one, and photons.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.extras import Extra, require

Floats = NDArray[np.float64]

PICASSO = (".hdf5", ".h5")
_RAPIDSTORM = "# <localizations"
_FIELDS: Mapping[str, str] = {
    "Position-0-0": "x",
    "Position-1-0": "y",
    "Position-2-0": "z",
    "ImageNumber-0-0": "frame",
}
_METRES = {"nanometer": 1.0, "micrometer": 1e3, "meter": 1e9, "frame": 1.0}
_LOCALISATIONS = "locs"
"""Picasso's name of the table within the file."""


def conventions(path: Path) -> dict[str, Any]:
    """Return the settings `first_frame` and `origin` that such a table needs; nothing for other tables."""
    if path.suffix.lower() in PICASSO:
        return {"first_frame": 0, "origin": "center"}
    return {"first_frame": 0} if _begins_as_rapidstorm(path) else {}


def _begins_as_rapidstorm(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_RAPIDSTORM)) == _RAPIDSTORM.encode()
    except OSError:
        return False


def read_foreign(path: Path, *, pixel: float, first_frame: int, origin: str) -> dict[str, Floats] | None:
    """Return the columns frame, x, y, and z and photons where there are any, in nm; None of other tables.

    Raises:
        DataError: It is damaged, lacks a column, or counts frames or pixels otherwise than the settings.
    """
    if path.suffix.lower() in PICASSO:
        found, tool = _picasso(path, pixel), "Picasso"
    elif _begins_as_rapidstorm(path):
        found, tool = _rapidstorm(path), "rapidSTORM"
    else:
        return None
    if missing := [name for name in ("frame", "x", "y") if name not in found]:
        raise DataError(f"{path} has no column for {' and '.join(missing)}; it has {', '.join(found) or 'none'}")
    if first_frame != 0:
        raise DataError(f"{path} is a table of {tool}, which counts frames from 0: set {_told(path)}")
    if bad := [name for name, values in found.items() if not np.isfinite(values).all()]:
        raise DataError(f"{path}: the column {bad[0]} holds a number that is not finite")
    if origin != conventions(path).get("origin", origin):
        raise DataError(
            f"{path} is a table of {tool}, which counts from the centre of the first pixel: set {_told(path)}"
        )
    return found


def _told(path: Path) -> str:
    return " and ".join(f"{name}: {value}" for name, value in conventions(path).items())


def _rapidstorm(path: Path) -> dict[str, Floats]:
    with path.open(encoding="utf-8", errors="replace") as file:
        fields = [dict(re.findall(r'(\w+)="([^"]*)"', field)) for field in re.findall(r"<field[^>]*>", file.readline())]
    places = {_FIELDS[each.get("identifier", "")]: number for number, each in enumerate(fields) if _known(each)}
    units = {name: fields[number].get("unit", "nanometer") for name, number in places.items()}
    if strange := [name for name, unit in units.items() if unit not in _METRES]:
        raise DataError(f"{path}: {strange[0]} is in {units[strange[0]]}; expected {', '.join(_METRES)}")
    try:
        rows = np.loadtxt(path, usecols=list(places.values()), ndmin=2)
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be read as a table of numbers: {error}") from None
    return {name: rows[:, number] * _METRES[units[name]] for number, name in enumerate(places)}


def _known(field: Mapping[str, str]) -> bool:
    return field.get("identifier", "") in _FIELDS


def _picasso(path: Path, pixel: float) -> dict[str, Floats]:
    require(f"{path}, a table of Picasso,", Extra.HDF5, kind=DataError)
    import h5py

    try:
        with h5py.File(path, "r") as file:
            table = file[_LOCALISATIONS][()] if _LOCALISATIONS in file else None
            inside = ", ".join(file) or "nothing"
    except Exception as error:  # noqa: BLE001 -- h5py raises many kinds for what it cannot read
        raise DataError(f"{path} is damaged, or no HDF5 file: {error or type(error).__name__}") from None
    if table is None or np.ndim(table) != 1 or not (columns := table.dtype.names):
        raise DataError(f"{path} is no table of Picasso: it has no {_LOCALISATIONS} with columns, but {inside}")
    _check_pixel(path, pixel)
    scale = {"x": pixel, "y": pixel}
    known = [name for name in ("frame", "x", "y", "z", "photons") if name in columns]
    if odd := [name for name in known if table[name].dtype.kind not in "fiu" or table[name].ndim != 1]:
        raise DataError(f"{path}: the column {odd[0]} does not hold one number for each molecule")
    return {name: np.asarray(table[name], dtype=np.float64) * scale.get(name, 1.0) for name in known}


def _check_pixel(path: Path, pixel: float) -> None:
    """Refuse a table whose description, in a .yaml file of its name, tells another size of the pixels."""
    try:
        text = path.with_suffix(".yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    told = re.search(r"^Pixelsize(?: \(nm\))?: *(\d+\.?\d*|\.\d+) *$", text, flags=re.MULTILINE)
    if told and abs(float(told[1]) - pixel) > pixel / 100:
        raise DataError(f"{path.with_suffix('.yaml')} says pixels of {told[1]} nm, and the settings {pixel:g} nm")
