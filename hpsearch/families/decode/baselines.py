"""The classical way, as a floor for the network: local maxima, and a Gaussian fitted to each by least squares.

The fit knows the pixels and the point spread function's calibration: a spot's two widths give its depth. It sees one
frame at a time and takes spots for single molecules, so that it fails where spots overlap.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.spots import candidates, fit_spot
from hpsearch.families.decode.localisation import Tally
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.families.decode.task import Localisation, true_positions
from hpsearch.training.by_example import ByExample, MethodScores
from hpsearch.training.task import Batch, Dataset

Floats = NDArray[np.float64]

_BATCH = 64
_FRAMES_TO_CHOOSE_ON = 200
_THRESHOLDS = 40


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
        for each in self._tallies(brighter_than):
            tally.merge(each)
        return tally.scores()

    def by_frame(self, *, brighter_than: float) -> ByExample:
        """Return the same as a function of how often each frame counts."""
        counted = np.array([astuple(each) for each in self._tallies(brighter_than)], dtype=np.float64)
        return ByExample(len(counted), lambda weights: Tally(*(weights @ counted)).scores())

    def _tallies(self, brighter_than: float) -> Iterator[Tally]:
        for positions, photons, true in zip(self.positions, self.photons, self.true, strict=True):
            tally = Tally()
            tally.add(positions[photons > brighter_than], true)
            yield tally


def score_fits(config: DecodeConfig, val: Dataset, scored: Dataset) -> dict[str, float]:
    """Return the scores of the spots above the number of photons that has the best Jaccard index on `val`."""
    chosen = fit_split(config, val, limit=_FRAMES_TO_CHOOSE_ON)
    photons = np.concatenate([np.zeros(1), *chosen.photons])
    thresholds = np.quantile(photons, np.linspace(0, 1, _THRESHOLDS, endpoint=False))
    best = max(thresholds, key=lambda photons: chosen.score(brighter_than=photons)["jaccard"])
    fits = fit_split(config, scored, limit=len(scored))
    return MethodScores(fits.score(brighter_than=best), partial(fits.by_frame, brighter_than=best))


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
