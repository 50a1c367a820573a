"""The classical way, as a floor for the network: local maxima, and a Gaussian fitted to each by least squares.

The fit knows the pixels and the point spread function's calibration: a spot's two widths give its depth. It sees one
frame at a time and takes spots for single molecules, so that it fails where spots overlap.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.optimize import least_squares

from hpsearch.data.point_spread import integrate_gaussian
from hpsearch.families.decode.localisation import Tally
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.families.decode.task import Localisation, true_positions
from hpsearch.training.task import Batch, Dataset

Floats = NDArray[np.float64]

_BATCH = 64
_FRAMES_TO_CHOOSE_ON = 200
_THRESHOLDS = 40
_RADIUS = 4
"""Pixels around a local maximum that are fitted."""
_CANDIDATE = 2.5
"""Standard deviations of the smoothed frame by which a local maximum must stand out; low, as fits are sorted later."""


@dataclass(frozen=True)
class Fits:
    """The spots that were fitted in the frames of a split, and the truth."""

    positions: list[Floats]
    """For each frame (N, 3) in nm."""
    photons: list[Floats]
    true: list[Floats]

    def score(self, *, brighter_than: float) -> dict[str, float]:
        """Return the scores of the spots with more photons than this."""
        tally = Tally()
        for positions, photons, true in zip(self.positions, self.photons, self.true, strict=True):
            tally.add(positions[photons > brighter_than], true)
        return tally.scores()


def score_fits(config: DecodeConfig, val: Dataset, scored: Dataset) -> dict[str, float]:
    """Return the scores of the spots above the number of photons that has the best Jaccard index on `val`."""
    chosen = fit_split(config, val, limit=_FRAMES_TO_CHOOSE_ON)
    photons = np.concatenate([np.zeros(1), *chosen.photons])
    thresholds = np.quantile(photons, np.linspace(0, 1, _THRESHOLDS, endpoint=False))
    best = max(thresholds, key=lambda photons: chosen.score(brighter_than=photons)["jaccard"])
    return fit_split(config, scored, limit=len(scored)).score(brighter_than=best)


def fit_split(config: DecodeConfig, data: Dataset, *, limit: int) -> Fits:
    """Fit the first frames of a split, at most `limit`."""
    task = Localisation(config)
    fits = Fits([], [], [])
    for batch in _batches(data, min(limit, len(data))):
        fits.true.extend(task.in_nm(true) for true in true_positions(batch))
        for frame in batch["frames"][:, 1].double().numpy():
            spots = fit_frame(frame, config)
            fits.positions.append(task.in_nm(spots[:, :3]))
            fits.photons.append(spots[:, 3])
    return fits


def _batches(data: Dataset, count: int) -> Iterator[Batch]:
    for start in range(0, count, _BATCH):
        yield data.batch(range(start, min(start + _BATCH, count)))


def fit_frame(frame: Floats, config: DecodeConfig) -> Floats:
    """Return x and y in pixels, z in nm and photons (N, 4) of the spots in a frame (height, width) of photons."""
    psf, (lowest, highest) = config.data.point_spread, config.data.emitters.depth
    fitted = [fit_spot(frame, row, column, width=psf.width) for row, column in candidates(frame, width=psf.width)]
    spots = np.array([spot for spot in fitted if spot is not None]).reshape(-1, 5)
    depth = np.clip(psf.depth(spots[:, 3], spots[:, 4]), lowest, highest)
    located: Floats = np.column_stack((spots[:, 0], spots[:, 1], depth, spots[:, 2]))
    return located


def candidates(frame: Floats, *, width: float) -> list[tuple[int, int]]:
    """Return the pixels (row, column) where a smoothed frame has a local maximum above its noise."""
    smooth = gaussian_filter(frame, width, mode="nearest")
    middle = np.median(smooth)
    noise = 1.4826 * np.median(np.abs(smooth - middle))
    peaks = (smooth == maximum_filter(smooth, 3)) & (smooth > middle + _CANDIDATE * noise)
    return [(int(row), int(column)) for row, column in np.argwhere(peaks)]


def fit_spot(frame: Floats, row: int, column: int, *, width: float) -> Floats | None:
    """Return x, y, photons and the widths along x and y, all in pixels, of the spot at a pixel; None if the fit fails.

    A fit fails when it leaves its window, finds no light, or a spot much wider than the window.
    """
    height, width_of_frame = frame.shape
    rows = slice(max(0, row - _RADIUS), min(height, row + _RADIUS + 1))
    columns = slice(max(0, column - _RADIUS), min(width_of_frame, column + _RADIUS + 1))
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
    inside = abs(x - column) <= _RADIUS and abs(y - row) <= _RADIUS
    narrow = max(log_x, log_y) < np.log(2 * _RADIUS)
    return (
        np.array([x, y, photons * light, np.exp(log_x), np.exp(log_y)]) if inside and narrow and photons > 0 else None
    )
