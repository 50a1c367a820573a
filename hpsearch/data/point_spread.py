"""Point spread functions: how the light of one molecule falls on the pixels, depending on its depth.

Coordinates x and y count pixels: pixel (row, column) is the square of side 1 around y = row, x = column. z is in nm.
One more is one more class with the methods of `Round`, as an option of `MicroscopySettings.point_spread`.
"""

from abc import abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.settings import Option

Floats = NDArray[np.float64]


class GaussianShape(Option):
    """A spot is a Gaussian along x and y, whose widths depend on the depth, integrated over each pixel."""

    @abstractmethod
    def widths(self, z: Floats) -> tuple[Floats, Floats]:
        """Return the standard deviations along x and y, in pixels, at depths in nm."""

    @abstractmethod
    def depth(self, width_x: Floats, width_y: Floats) -> Floats:
        """Return the depth in nm that spots of these widths have."""

    def image(self, x: Floats, y: Floats, z: Floats, photons: Floats, *, size: int) -> Floats:
        """Return the photons per pixel (size, size), rows along y, of molecules (E,) together."""
        width_x, width_y = self.widths(z)
        columns = integrate_gaussian(x, width_x, size)
        rows = integrate_gaussian(y, width_y, size)
        together: Floats = (photons[:, None] * rows).T @ columns
        return together


class GaussianSpread(GaussianShape):
    """What the functions below share: how a Gaussian beam widens with the distance from its focus."""

    width: float = Field(default=1.3, gt=0)
    """Standard deviation in focus, in pixels."""
    focal_depth: float = Field(default=280.0, gt=0)
    """Distance from the focus in nm at which the spot is wider by a factor of sqrt(2)."""

    def _defocused(self, distance: Floats) -> Floats:
        widened: Floats = self.width * np.sqrt(1.0 + (distance / self.focal_depth) ** 2)
        return widened


class Astigmatic(GaussianSpread):
    """A cylindrical lens puts the foci of x and y at different depths, so that the shape of a spot tells its depth."""

    kind: Literal["astigmatic"] = "astigmatic"
    offset: float = Field(default=250.0, gt=0)
    """Half the distance between the foci, in nm: x is in focus at z = -offset and y at z = +offset."""

    def widths(self, z: Floats) -> tuple[Floats, Floats]:
        """Return the widths; at z = 0 they are equal."""
        return self._defocused(z + self.offset), self._defocused(z - self.offset)

    def depth(self, width_x: Floats, width_y: Floats) -> Floats:
        """Return the depth: the difference of the squared widths is proportional to it."""
        slope = 4.0 * self.offset * (self.width / self.focal_depth) ** 2
        found: Floats = (width_x**2 - width_y**2) / slope
        return found


class Round(GaussianSpread):
    """An objective without a cylindrical lens: the spot is round, and depths above and below the focus look alike."""

    kind: Literal["round"] = "round"

    def widths(self, z: Floats) -> tuple[Floats, Floats]:
        """Return the widths, which are equal."""
        width = self._defocused(z)
        return width, width

    def depth(self, width_x: Floats, width_y: Floats) -> Floats:
        """Return the depth above the focus; 0 where the spot is narrower than in focus."""
        mean_square = (width_x**2 + width_y**2) / 2.0
        found: Floats = self.focal_depth * np.sqrt(np.maximum(mean_square / self.width**2 - 1.0, 0.0))
        return found


def integrate_gaussian(centre: Floats, width: Floats, size: int) -> Floats:
    """Return the share (E, size) of normal distributions (E,) within each pixel from k - 1/2 to k + 1/2."""
    from scipy.special import erf  # scipy is slow to load, and settings must not wait for it

    edges = np.arange(size + 1) - 0.5
    cumulative = erf((edges - centre[:, None]) / (np.sqrt(2.0) * width[:, None]))
    share: Floats = np.diff(cumulative, axis=1) / 2.0
    return share
