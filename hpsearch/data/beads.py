"""A point spread function from beads: a stack of images of small fluorescent beads at known distances from the focus.

In each image a Gaussian is fitted to each bead. The widths along x and y over the depth z follow, after Huang et al.,
Science 319:810-813 (2008), w(z) = w0 sqrt(1 + u^2 + A u^3 + B u^4) with u = (z - c) / d.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.data.movies import open_movie
from hpsearch.data.point_spread import GaussianShape
from hpsearch.errors import DataError
from hpsearch.settings import FILE

Floats = NDArray[np.float64]

_FEWEST = 9
"""Images of a stack; a curve has five numbers."""
_APART = 12
"""Pixels between beads, and between a bead and the edge half as many."""
_MOST_BEADS = 20
_SCATTER = 0.15
"""The largest mean deviation of the widths from their curve, as a part of the width in focus."""


class Calibration(GaussianShape):
    """The widths of beads in a stack, at `step` nm from image to image; z is 0 where x and y are equally wide."""

    kind: Literal["calibration"] = "calibration"
    path: Annotated[str, FILE]
    """A TIFF stack of beads on the glass, one image for each position of the focus, with the movie's pixels."""
    step: float = Field(gt=0)
    """nm from one image to the next; z grows with the number of the image."""

    @property
    def curves(self) -> "Curves":
        """The fitted curves.

        Raises:
            DataError: The file cannot be read, or shows no beads whose widths follow such a curve.
        """
        state = Path(self.path).stat()
        return _fitted(self.path, self.step, state.st_mtime_ns, state.st_size)

    @property
    def width(self) -> float:
        """The standard deviation in focus, in pixels: the mean of the least ones along x and y."""
        x, y = self.curves.x, self.curves.y
        return (x.width + y.width) / 2

    @property
    def range(self) -> tuple[float, float]:
        """The depths in nm that the stack covers."""
        return self.curves.lowest, self.curves.highest

    def widths(self, z: Floats) -> tuple[Floats, Floats]:
        """Return the widths along x and y; beyond the stack those at its ends."""
        curves = self.curves
        inside = np.clip(z, curves.lowest, curves.highest)
        return curves.x(inside), curves.y(inside)

    def depth(self, width_x: Floats, width_y: Floats) -> Floats:
        """Return the depth whose widths are nearest, by the distance of their roots (Huang et al. 2008)."""
        z = np.linspace(*self.range, 1001)
        known_x, known_y = (np.sqrt(each) for each in self.widths(z))
        x, y = np.sqrt(width_x)[:, None], np.sqrt(width_y)[:, None]
        nearest = ((x - known_x) ** 2 + (y - known_y) ** 2).argmin(axis=1)
        found: Floats = z[nearest]
        return found


@dataclass(frozen=True)
class Curve:
    """w(z), in pixels for nm."""

    width: float
    centre: float
    depth: float
    cubic: float
    quartic: float

    def __call__(self, z: Floats) -> Floats:
        """Return the widths at these depths."""
        return huang(z, self.width, self.centre, self.depth, self.cubic, self.quartic)


@dataclass(frozen=True)
class Curves:
    """Both curves, and the depths in nm between which beads were seen."""

    x: Curve
    y: Curve
    lowest: float
    highest: float
    beads: int


def huang(z: Floats, width: float, centre: float, depth: float, cubic: float, quartic: float) -> Floats:
    """Return w(z)."""
    u = (z - centre) / depth
    found: Floats = width * np.sqrt(np.maximum(1 + u**2 + cubic * u**3 + quartic * u**4, 1e-3))
    return found


@lru_cache(maxsize=4)
def _fitted(path: str, step: float, *_: int) -> Curves:
    movie = open_movie(Path(path))
    if movie.frames < _FEWEST:
        raise DataError(f"{path} has {movie.frames} images of beads; at least {_FEWEST} are needed")
    stack = movie.counts(1, movie.frames).astype(np.float64)
    places = _beads(stack)
    if not places:
        raise DataError(f"{path} shows no beads that lie apart from one another and from the edge")
    return fit_curves(_widths(stack, places), step=step, what=path, beads=len(places))


def _beads(stack: Floats) -> list[tuple[int, int]]:
    """Return the pixels (row, column) of beads, the brightest first."""
    from hpsearch.data.spots import candidates

    mean = stack.mean(axis=0)
    peaks = sorted(candidates(mean, width=1.5), key=lambda place: -mean[place])
    level = np.median(mean)
    found: list[tuple[int, int]] = []
    for row, column in peaks:
        bright = mean[row, column] - level > 0.2 * (mean.max() - level)
        edge = min(row, column, mean.shape[0] - 1 - row, mean.shape[1] - 1 - column)
        if bright and edge >= _APART / 2 and all(np.hypot(row - r, column - c) >= _APART for r, c in found):
            found.append((row, column))
    return found[:_MOST_BEADS]


def _widths(stack: Floats, places: list[tuple[int, int]]) -> Floats:
    """Return the medians (images, 2) over beads of the widths along x and y; NaN where no fit succeeds."""
    from hpsearch.data.spots import fit_spot

    found = np.full((len(stack), len(places), 2), np.nan)
    for image, counts in enumerate(stack):
        for bead, (row, column) in enumerate(places):
            spot = fit_spot(counts, row, column, width=1.5, radius=7)
            if spot is not None:
                found[image, bead] = spot[3:]
    medians = np.full((len(stack), 2), np.nan)
    seen = np.isfinite(found[:, :, 0]).any(axis=1)
    medians[seen] = np.nanmedian(found[seen], axis=1)
    return medians


def fit_curves(widths: Floats, *, step: float, what: str, beads: int = 1) -> Curves:
    """Return the curves of widths (images, 2), with z = 0 where they cross, or at the narrowest if they do not.

    Raises:
        DataError: they follow no such curve.
    """
    from scipy.optimize import curve_fit

    seen = np.isfinite(widths).all(axis=1)
    if seen.sum() < _FEWEST:
        raise DataError(f"{what}: beads can be fitted in {seen.sum()} images; at least {_FEWEST} are needed")
    z: Floats = (step * np.arange(len(widths), dtype=np.float64))[seen]
    widths = widths[seen]
    found = []
    for own in widths.T:
        start = [own.min(), z[own.argmin()], np.ptp(z) / 3, 0.0, 0.0]
        try:
            found.append(curve_fit(huang, z, own, p0=start, maxfev=5000)[0])
        except RuntimeError:
            raise DataError(f"{what}: the widths of the beads over {np.ptp(z):g} nm follow no focus") from None
        scatter = float(np.sqrt(np.mean((huang(z, *found[-1]) - own) ** 2)))
        if scatter > _SCATTER * found[-1][0]:
            raise DataError(f"{what}: the widths of the beads scatter by {scatter:.2g} pixels around their curve")
    fine: Floats = np.linspace(z[0], z[-1], 2001)
    x, y = (huang(fine, *each) for each in found)
    between = (fine >= min(found[0][1], found[1][1])) & (fine <= max(found[0][1], found[1][1]))
    apart = abs(found[0][1] - found[1][1]) > step and between.any()
    zero = fine[between][np.abs(x - y)[between].argmin()] if apart else fine[(x + y).argmin()]
    first, second = (Curve(float(w), float(c - zero), float(d), float(a), float(b)) for w, c, d, a, b in found)
    return Curves(first, second, float(z[0] - zero), float(z[-1] - zero), beads)
