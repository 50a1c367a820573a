"""Spots in an image: local maxima, and a Gaussian fitted to each by least squares."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.optimize import least_squares

from hpsearch.data.point_spread import integrate_gaussian

Floats = NDArray[np.float64]

_RADIUS = 4
"""Pixels around a local maximum that are fitted."""
_CANDIDATE = 2.5
"""Standard deviations of the smoothed frame by which a local maximum must stand out; low, as fits are sorted later."""


def candidates(frame: Floats, *, width: float) -> list[tuple[int, int]]:
    """Return the pixels (row, column) where a smoothed frame has a local maximum above its noise."""
    smooth = gaussian_filter(frame, width, mode="nearest")
    middle = np.median(smooth)
    noise = 1.4826 * np.median(np.abs(smooth - middle))
    peaks = (smooth == maximum_filter(smooth, 3)) & (smooth > middle + _CANDIDATE * noise)
    return [(int(row), int(column)) for row, column in np.argwhere(peaks)]


def fit_spot(frame: Floats, row: int, column: int, *, width: float, radius: int = _RADIUS) -> Floats | None:
    """Return x, y, photons and the widths along x and y, all in pixels, of the spot at a pixel; None if the fit fails.

    A fit fails when it leaves its window, finds no light, or a spot much wider than the window.
    """
    height, width_of_frame = frame.shape
    rows = slice(max(0, row - radius), min(height, row + radius + 1))
    columns = slice(max(0, column - radius), min(width_of_frame, column + radius + 1))
    window = frame[rows, columns]
    level = float(np.quantile(window, 0.2))
    light = max(float((window - level).sum()), 1.0)

    def residual(parameters: Floats) -> Floats:
        x, y, photons, background, log_x, log_y = parameters
        across = integrate_gaussian(np.array([x]), np.exp([log_x]).clip(1e-3, 1e3), width_of_frame)[0, columns]
        along = integrate_gaussian(np.array([y]), np.exp([log_y]).clip(1e-3, 1e3), height)[0, rows]
        misfit: Floats = (photons * np.outer(along, across) + background - window / light).ravel()
        return misfit

    start = np.array([column, row, 1.0, level / light, np.log(1.5 * width), np.log(1.5 * width)])
    x, y, photons, _, log_x, log_y = least_squares(residual, start, method="lm", max_nfev=150).x
    inside = abs(x - column) <= radius and abs(y - row) <= radius
    narrow = max(log_x, log_y) < np.log(2 * radius)
    return (
        np.array([x, y, photons * light, np.exp(log_x), np.exp(log_y)]) if inside and narrow and photons > 0 else None
    )
