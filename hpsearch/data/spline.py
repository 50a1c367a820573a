"""A point spread function as a cubic spline, as SMAP fits it to beads (Li et al., Nature Methods 15:367-369, 2018).

The image of a molecule is a piecewise polynomial of third order in the row, the column and the depth: cell (i, j, k) of
pixels and slices has 64 coefficients, number 16 m + 4 n + l being that of dr^l dc^n dz^m, with the fractions dr, dc, dz
of the place within the cell.

Files: SMAP's `.mat` (`SXY.cspline`, `cspline` or `cspline_psf_model`, with `coeff`, `dz`, `x0`, `z0`), whose first axis
counts rows; or our own `.npz` with `psf` (slices, rows, columns), the share of light of each pixel, `dz` in nm, and
`center`, the slice, row and column of the molecule, counted from 0 (by default the middle). Through the values of
`psf` goes the spline that scipy.interpolate.CubicSpline draws along each axis.
"""

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.data.array_files import read_arrays
from hpsearch.errors import DataError
from hpsearch.settings import FILE, Option

Floats = NDArray[np.float64]

_IN_SMAP = ("cspline", "cspline_psf_model")
_NEEDED = ("coeff", "dz", "x0", "z0")
_LIGHT = (0.3, 1.7)
"""Between these the pixels of the slice in focus must add up."""
_DEPTHS = 61


class Spline(Option):
    """A cubic spline from a file: of any shape, aberrations included."""

    kind: Literal["spline"] = "spline"
    path: Annotated[str, FILE]
    """SMAP's `.mat`, or `.npz` with psf (slices, rows, columns), dz and center."""
    transposed: bool = False
    """Whether the first axis counts columns instead of rows."""
    invert: bool = False
    """Whether z grows against the slices."""
    zoom: float = Field(default=1.0, gt=0)
    """Factor on the numbers of photons, where the spline's pixels do not add up to 1."""

    @property
    def loaded(self) -> "Coefficients":
        """The coefficients.

        Raises:
            DataError: The file cannot be read, or is no such spline.
        """
        state = Path(self.path).stat()
        return _loaded(self.path, self.transposed, state.st_mtime_ns, state.st_size)

    @property
    def range(self) -> tuple[float, float]:
        """The depths in nm that the slices cover."""
        found = self.loaded
        ends = sorted((-found.centre[2] * found.step, (found.values.shape[2] - found.centre[2]) * found.step))
        return (-ends[1], -ends[0]) if self.invert else (ends[0], ends[1])

    @property
    def width(self) -> float:
        """The standard deviation in pixels of a Gaussian like the spot at z = 0."""
        _, widths = _shapes(self)
        return float(np.sqrt(widths.prod(axis=1)).min())

    def depth(self, width_x: Floats, width_y: Floats) -> Floats:
        """Return the depth at which the widths of a fitted Gaussian are nearest to these."""
        z, widths = _shapes(self)
        known, own = np.sqrt(widths), np.sqrt(np.stack((width_x, width_y), axis=1))
        nearest = ((own[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)
        found: Floats = z[nearest]
        return found

    def image(self, x: Floats, y: Floats, z: Floats, photons: Floats, *, size: int) -> Floats:
        """Return the photons per pixel (size, size), rows along y, of molecules (E,) together."""
        found, total = self.loaded, np.zeros((size, size))
        for each in zip(x, y, z, photons, strict=True):
            patch, row, column = found.patch(each[0], each[1], -each[2] if self.invert else each[2])
            rows, columns = _overlap(row, patch.shape[0], size), _overlap(column, patch.shape[1], size)
            inside = patch[rows[0] - row : rows[1] - row, columns[0] - column : columns[1] - column]
            total[rows[0] : rows[1], columns[0] : columns[1]] += self.zoom * each[3] * inside
        return total


@dataclass(frozen=True)
class Coefficients:
    """A spline: values (rows, columns, slices, 64), nm from slice to slice, and where the molecule is in all three."""

    values: Floats
    step: float
    centre: tuple[float, float, float]

    def patch(self, x: float, y: float, z: float) -> tuple[Floats, int, int]:
        """Return the shares of light (rows, columns) around a molecule, and the row and column of the first of them."""
        row, along = _split(self.centre[0] - y)
        column, across = _split(self.centre[1] - x)
        place = min(max(z / self.step + self.centre[2], 0.0), float(self.values.shape[2]))
        cell = min(int(place), self.values.shape[2] - 1)
        powers = np.arange(4)
        terms = ((place - cell) ** powers)[:, None, None] * (across**powers)[:, None] * along**powers
        shares: Floats = self.values[:, :, cell] @ terms.ravel()
        return np.maximum(shares, 0.0), -row, -column


def _split(place: float) -> tuple[int, float]:
    whole = int(np.floor(place))
    return whole, place - whole


def _overlap(first: int, length: int, size: int) -> tuple[int, int]:
    """Return from where to where a patch that begins at `first` lies within a frame."""
    begin = min(max(first, 0), size)
    return begin, max(min(first + length, size), begin)


@lru_cache(maxsize=4)
def _loaded(path: str, transposed: bool, *_: int) -> Coefficients:
    read = {".mat": _from_smap, ".npz": _from_arrays}.get(Path(path).suffix.lower())
    if read is None:
        raise DataError(f"{path}: expected a spline as SMAP's .mat or as .npz")
    found = read(path)
    if transposed:
        swapped = found.values.reshape(*found.values.shape[:3], 4, 4, 4).transpose(1, 0, 2, 3, 5, 4)
        row, column, slice_ = found.centre
        found = Coefficients(swapped.reshape(*swapped.shape[:3], 64), found.step, (column, row, slice_))
    light = float(found.patch(0.0, 0.0, 0.0)[0].sum())
    if not _LIGHT[0] < light < _LIGHT[1]:
        raise DataError(f"{path}: the pixels in focus add up to {light:.3g}; expected shares of the light, about 1")
    return found


def _fields(structure: Any) -> dict[str, Any]:
    """Return the fields of a structure: scipy leaves those of a grid as objects of its own."""
    return dict(structure if isinstance(structure, dict) else getattr(structure, "__dict__", {}))


def _from_smap(path: str) -> Coefficients:
    content = read_arrays(path)
    holder: Any = next((content[name] for name in _IN_SMAP if name in content), None)
    if holder is None:
        listed: Any = np.ravel(np.asarray(content.get("SXY"), dtype=object))  # one for each region of the field
        holder = _fields(listed[0] if len(listed) else None).get("cspline")
    holder = _fields(holder)
    if missing := [name for name in _NEEDED if name not in holder]:
        raise DataError(
            f"{path} holds {', '.join(content) or 'nothing'}, and no {missing[0]} of a spline; expected SXY.cspline, "
            f"cspline or cspline_psf_model with {', '.join(_NEEDED)}"
        )
    values: Any = np.asarray(holder["coeff"])
    values = np.asarray(values.ravel()[0]) if values.dtype == object else values
    if values.ndim != 4 or values.shape[3] != 64:
        raise DataError(f"{path}: coeff has the shape {values.shape}; expected (rows, columns, slices, 64)")
    middle = float(np.ravel(holder["x0"])[0]) - 1.0  # MATLAB counts from 1; the depth is counted from 0
    return Coefficients(
        values.astype(np.float64), float(np.ravel(holder["dz"])[0]), (middle, middle, float(np.ravel(holder["z0"])[0]))
    )


def _from_arrays(path: str) -> Coefficients:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: np.asarray(content[name], dtype=np.float64) for name in content.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} cannot be read as .npz: {error}") from None
    if missing := [name for name in ("psf", "dz") if name not in arrays]:
        raise DataError(f"{path} has no {missing[0]}; it holds {', '.join(arrays)}; expected psf, dz and center")
    psf = arrays["psf"]
    if psf.ndim != 3 or min(psf.shape) < 4:
        raise DataError(f"{path}: psf has the shape {psf.shape}; expected (slices, rows, columns), 4 or more of each")
    middle = [(length - 1) / 2 for length in psf.shape]
    slice_, row, column = (float(each) for each in arrays.get("center", np.array(middle)))
    return Coefficients(coefficients(psf.transpose(1, 2, 0)), float(arrays["dz"]), (row, column, slice_))


def coefficients(values: Floats) -> Floats:
    """Return the coefficients (R - 1, C - 1, S - 1, 64) of the spline through values (R, C, S)."""
    from scipy.interpolate import CubicSpline

    for axis in (0, 2, 4):  # each brings two axes to the front: the powers, highest first, and the cells
        spline = CubicSpline(np.arange(values.shape[axis]), values, axis=axis)
        values = spline.c[::-1]
    cells = values.transpose(5, 3, 1, 0, 2, 4)
    return np.ascontiguousarray(cells).reshape(*cells.shape[:3], 64)


def _shapes(spline: Spline) -> tuple[Floats, Floats]:
    """Return depths, and the widths along x and y of Gaussians fitted to the spots there."""
    state = Path(spline.path).stat()
    return _fitted_shapes(spline, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _fitted_shapes(spline: Spline, _: int) -> tuple[Floats, Floats]:
    from hpsearch.data.spots import fit_spot

    size = 2 * (max(spline.loaded.values.shape[:2]) // 2) + 1
    middle, depths, widths = size // 2, [], []
    for z in np.linspace(*spline.range, _DEPTHS):
        centre = np.array([float(middle)])
        image = spline.image(centre, centre, np.array([z]), np.array([1e4]), size=size)
        spot = fit_spot(image, middle, middle, width=1.5, radius=7)
        if spot is not None:
            depths.append(z)
            widths.append(spot[3:])
    if not widths:
        raise DataError(f"{spline.path}: its spots are no spots that a Gaussian could be fitted to")
    return np.array(depths), np.array(widths)
