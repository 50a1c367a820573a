"""The settings of a simulation that looks like a recorded movie: background, density, brightness, blinking, width.

The molecules of some frames are fitted as Gaussians. A fit stands in two frames running within a pixel for the same
molecule. One that shines through a whole frame was seen in the frame before and in the one after, so that such fits
tell how bright molecules are; how long they shine follows from in how many frames they are seen: in 1 + lifetime ones
on average. Where the first and the last frame of a molecule are as bright as those between, or molecules of much the
same brightness are seen in one frame each, they light up and go out between frames, as in many simulated movies.

What is simulated to learn from has small frames, with more molecules to a pixel than a sparse movie: a network that
sees a few in each frame learns from as many frames far more, at a fraction of the time, and finds them where they are
rare all the same.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.foreign_tables import conventions
from hpsearch.data.microscopy import ReadOut
from hpsearch.data.movies import Movie
from hpsearch.data.spots import candidates, fit_spot
from hpsearch.errors import DataError

Floats = NDArray[np.float64]

_BLOCKS, _BLOCK = 4, 40
"""Blocks of frames that are looked at, and the frames of each."""
_MOST_SPOTS = 3000
_GUESS = 1.3
"""The width in pixels with which spots are looked for."""
_CLIP = 3.0
"""Standard deviations above the background from which on a pixel has light of a molecule."""
_SURE = 5.0
"""Standard deviations of its own by which the photons of a spot must exceed none."""
_ENOUGH = 20
"""Molecules that shine through a frame, from which on the others do not tell the brightness."""
_REACH = 1.0
"""Pixels within which two spots of successive frames are one molecule."""
_THRESHOLD = 0.4
"""The probability from which on a molecule is reported: a network that is trained so shortly is surer than it says."""
_SIDE = 16
"""Of simulated frames, in pixels: a spot with what is around it, and they can be halved four times."""
_FEWEST = 2.0
"""Molecules of a simulated frame, at least."""
_MARGIN = 0.1
"""The share by which the simulated background may be below or above what was seen."""
_AS_BRIGHT = 0.9
"""The brightness of a molecule's first and last frame, as a share of those between, from which on they are whole: of
molecules that light up at any time it is a half."""
_ALIKE = 0.6
"""The spread of the photons, over their median, up to which molecules that are seen in one frame shone through it:
those that light up at any time have a spread of about 1."""
_LONGER = 0.15
"""The standard deviation of the logarithm of a spot's width over its height from which on spots are not round."""


@dataclass(frozen=True)
class Estimate:
    """What was found; photons are those that the camera's settings make of counts."""

    frames: int
    """Frames that were looked at."""
    background: tuple[float, float]
    """Photons per pixel: the 5th and the 95th percentile over frames."""
    noise: float
    """Standard deviation of the pixels without molecules, in photons."""
    expected_noise: float
    """What the camera's settings and the background would make of it."""
    density: float
    """Molecules per frame and square pixel."""
    photons: float
    photons_sd: float
    lifetime: float
    """In frames."""
    whole_frames: bool
    """Whether molecules light up and go out between frames."""
    width: float
    """Standard deviation of the spots, in pixels."""
    uneven: float
    """Standard deviation of the logarithm of width over height from spot to spot, of the bright ones."""
    weakest: float
    """Photons of the weakest molecules that stand out."""
    spots: int

    def settings(self, camera: ReadOut, pixel: float) -> dict[str, Any]:
        """Return the section `data` of a space file."""
        lowest, highest = self.background
        return {
            "size": _SIDE,
            "pixel": pixel,
            "emitters": {
                "per_frame": max(_rounded(self.density * _SIDE**2), _FEWEST),
                "photons": _rounded(self.photons),
                "photons_sd": _rounded(self.photons_sd),
                "lifetime": _rounded(self.lifetime),
                **({"whole_frames": True} if self.whole_frames else {}),
                "depth": [0, 0],
            },
            "background": [_rounded(lowest * (1 - _MARGIN)), _rounded(highest * (1 + _MARGIN))],
            "labelled_photons": _rounded(self.weakest),
            "point_spread": {"round": {"width": _rounded(self.width)}},
            "camera": {camera.kind: camera.model_dump(exclude={"kind"})},
        }

    def remarks(self) -> list[str]:
        """Return what a user should know, in sentences."""
        looked = (
            f"{self.frames} frames and {self.spots} molecules were looked at; pixels without molecules have a standard "
            f"deviation of {self.noise:.3g} photons, where camera and background make one of {self.expected_noise:.3g}"
        )
        found = [looked]
        if not 1 / 1.5 < self.noise / self.expected_noise < 1.5:
            found.append("so the camera's settings (gain, electrons_per_count, baseline) are probably not this movie's")
        if self.uneven > _LONGER:
            found.append("spots are longer than wide: with a cylindrical lens, calibrate the point spread with beads")
        return found


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def space_of(data: Mapping[str, Any], movie: Path, emitters: Path) -> dict[str, Any]:
    """Return a space that searches and confirms on a movie with its table; a trial learns from simulated frames.

    Its network is small and its training short, about half a minute on a CPU.
    """
    return {
        "family": "decode",
        "objective": {"metric": "val/jaccard", "goal": "maximize", "at": "best"},
        "search": {"trials": 8, "seed": 0},
        "data": {
            **data,
            "frames": {"train": 1000, "val": 100, "test": 100},
            "movie": {"path": str(movie), "emitters": str(emitters), **conventions(emitters)},
        },
        "model": {"frame_depth": 1, "union_depth": 1, "features": {"choice": [8, 12, 16]}},
        "loss": "mixture",
        "detection": {"threshold": _THRESHOLD},
        "augmentation": {"flips": True, "turns": True},
        "train": {
            "epochs": 10,
            "batch_size": 8,
            "learning_rate": {"log": [2e-3, 8e-3]},
            "schedule": "cosine",
            "warmup": {"epochs": 1},
        },
        "start": [{"model.features": 12, "train.learning_rate": 4e-3}],
        "confirm": {"top": 1, "seeds": 3},
    }


def estimate(movie: Movie, camera: ReadOut) -> Estimate:
    """Return what the frames of a movie tell.

    Raises:
        DataError: no molecules are found in it, or its background is below 0, as with a wrong baseline.
    """
    backgrounds: list[float] = []
    noises: list[float] = []
    tracks: list[list[float]] = []
    measured: list[Floats] = []
    frames = 0
    for block in _blocks(movie):
        found: list[Floats] = []
        for counts in block:
            photons = camera.to_photons(counts.astype(np.float64))
            level, noise = _background(photons)
            backgrounds.append(level)
            noises.append(noise)
            spots = _spots(photons - level, noise) if len(measured) < _MOST_SPOTS else np.zeros((0, 5))
            found.append(spots)
            measured.extend(spots)
            frames += 1
        tracks += _tracks(found)
    lowest, highest = np.quantile(backgrounds, [0.05, 0.95])
    level, noise = float(np.median(backgrounds)), float(np.median(noises))
    if highest <= 0:
        raise DataError(
            f"{movie.path}: the background is {level:.3g} photons with this camera, and cannot be below 0; is the "
            f"baseline of {camera.baseline:g} counts that of this movie?"
        )
    if not tracks:
        raise DataError(f"{movie.path}: no molecules stand out from the background in {frames} frames")
    sizes = np.array(measured)
    sizes = sizes[sizes[:, 2] >= np.median(sizes[:, 2])][:, 3:]
    shapes = np.log(sizes[:, 0] / sizes[:, 1])
    blinking = _blinking(tracks)
    width = float(np.median(np.sqrt(sizes[:, 0] * sizes[:, 1])))
    return Estimate(
        frames=frames,
        background=(max(float(lowest), 0.0), float(highest)),
        noise=noise,
        expected_noise=camera.deviation(max(level, 0.0)),
        density=len(tracks) * blinking.seen_in / frames / (movie.height * movie.width),
        photons=blinking.photons,
        photons_sd=blinking.photons_sd,
        lifetime=blinking.lifetime,
        whole_frames=blinking.whole_frames,
        width=width,
        uneven=_deviation(shapes),
        weakest=_limit(noise, width),
        spots=len(tracks),
    )


def _blocks(movie: Movie) -> Iterator[NDArray[Any]]:
    """Yield blocks of successive frames, evenly spread over the movie; a short movie is one block."""
    if movie.frames <= _BLOCKS * _BLOCK:
        yield movie.counts(1, movie.frames)
        return
    for number in range(_BLOCKS):
        first = 1 + number * (movie.frames - _BLOCK) // (_BLOCKS - 1)
        yield movie.counts(first, first + _BLOCK - 1)


def _background(photons: Floats) -> tuple[float, float]:
    """Return mean and standard deviation of a frame's pixels without molecules: brighter ones are left out by turns."""
    pixels = photons.ravel()
    for _ in range(20):
        level, noise = float(np.median(pixels)), float(np.std(pixels))
        kept = pixels[pixels <= level + _CLIP * noise]
        if len(kept) == len(pixels):
            break
        pixels = kept
    return float(np.mean(pixels)), noise


def _deviation(values: Floats) -> float:
    """Return the standard deviation that normal values with this median distance from their median have."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _limit(noise: float, width: float) -> float:
    """Return the photons of a spot that stands out: a fitted Gaussian's deviation is noise x 2 sqrt(pi) x width."""
    return _SURE * noise * 2 * math.sqrt(math.pi) * width


def _spots(light: Floats, noise: float) -> Floats:
    """Return the spots (N, 5: x, y, photons, two widths) of a frame without its background that are sure ones."""
    bright = [(row, column) for row, column in candidates(light, width=_GUESS) if light[row, column] > 2 * noise]
    fitted = [fit_spot(light, row, column, width=_GUESS) for row, column in bright]
    spots: Floats = np.array([spot for spot in fitted if spot is not None]).reshape(-1, 5)
    wide = np.sqrt(spots[:, 3] * spots[:, 4])
    sure = (spots[:, 2] > _limit(noise, 1.0) * np.maximum(wide, 0.5)) & (spots[:, 3:] > 0.4).all(axis=1)
    found: list[Floats] = []
    for spot in sorted(spots[sure], key=lambda each: -each[2]):  # two candidates may lead to one spot
        if all(np.hypot(*(spot - other)[:2]) > _REACH for other in found):
            found.append(spot)
    return np.array(found).reshape(-1, 5)


def _tracks(frames: list[Floats]) -> list[list[float]]:
    """Return the photons of each molecule, frame after frame: nearest spots of successive frames are one."""
    done: list[list[float]] = []
    open_: list[tuple[Floats, list[float]]] = []
    for spots in frames:
        free = np.ones(len(spots), dtype=bool)
        going: list[tuple[Floats, list[float]]] = []
        for place, photons in open_:
            distance = np.where(free, np.hypot(*(spots[:, :2] - place).T), np.inf) if len(spots) else np.array([np.inf])
            nearest = int(distance.argmin())
            if distance[nearest] <= _REACH:
                free[nearest] = False
                going.append((spots[nearest, :2], [*photons, float(spots[nearest, 2])]))
            else:
                done.append(photons)
        open_ = going + [(spot[:2], [float(spot[2])]) for spot in spots[free]]
    return done + [photons for _, photons in open_]


@dataclass(frozen=True)
class _Blinking:
    """How bright molecules are, and for how long."""

    photons: float
    photons_sd: float
    lifetime: float
    whole_frames: bool

    @property
    def seen_in(self) -> float:
        """The number of frames in which a molecule is seen on average."""
        return self.lifetime if self.whole_frames else 1 + self.lifetime


def _blinking(tracks: list[list[float]]) -> _Blinking:
    seen_in = float(np.mean([len(track) for track in tracks]))
    seen = np.array([photons for track in tracks for photons in track])
    whole = np.array([photons for track in tracks for photons in track[1:-1]])
    if _light_up_between_frames(tracks, seen, whole):
        return _Blinking(float(np.median(seen)), _deviation(seen), seen_in, whole_frames=True)
    lifetime = max(seen_in - 1.0, 0.1)
    if len(whole) >= _ENOUGH:
        return _Blinking(float(np.median(whole)), _deviation(whole), lifetime, whole_frames=False)
    seen = seen * (1 + lifetime) / lifetime
    return _Blinking(float(np.mean(seen)), float(np.std(seen)), lifetime, whole_frames=False)


def _light_up_between_frames(tracks: list[list[float]], seen: Floats, whole: Floats) -> bool:
    """Check whether the frames in which a molecule is first and last seen have its light from end to end."""
    if len(whole) >= _ENOUGH:
        ends = np.array([photons for track in tracks if len(track) > 2 for photons in (track[0], track[-1])])
        return float(np.median(ends)) >= _AS_BRIGHT * float(np.median(whole))
    mostly_once = sum(len(track) == 1 for track in tracks) > len(tracks) / 2
    return mostly_once and _deviation(seen) <= _ALIKE * float(np.median(seen))
