"""Blinking molecules: where they are, when they are on, and how many photons of theirs fall into each frame.

After Speiser, Mueller et al., Nature Methods 18:1082-1090, 2021. Coordinates x and y count pixels: pixel (row, column)
is the square of side 1 around y = row, x = column. z is in nm. Time counts frames: frame f lasts from f to f + 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.settings import Settings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MARGIN = 5.0
"""Mean on-times before the first frame in which molecules may light up: those that still shine then are 1 in 150."""


class EmitterSettings(Settings):
    """How many molecules shine, where, how brightly and for how long."""

    per_frame: float = Field(default=25.0, gt=0)
    """Mean number of molecules that give light to a frame, however little."""
    photons: float = Field(default=10_000.0, gt=0)
    """Mean number of photons of a molecule that shines for a whole frame."""
    photons_sd: float = Field(default=3_000.0, ge=0)
    """Their standard deviation from molecule to molecule; negative draws become 0."""
    lifetime: float = Field(default=2.0, gt=0)
    """Mean time for which a molecule is on, in frames; the times are exponential."""
    depth: tuple[float, float] = (-750.0, 750.0)
    """Range of z in nm, in which it is uniform."""

    @model_validator(mode="after")
    def _ordered(self) -> "EmitterSettings":
        if self.depth[0] >= self.depth[1]:
            raise ValueError("depth is given as [lowest, highest]")
        return self


@dataclass(frozen=True)
class Emitters:
    """What molecules give to frames: an entry for each molecule and frame that it shines in, ordered by frame."""

    frame: Integers
    x: Floats
    y: Floats
    z: Floats
    photons: Floats
    """Photons that reach the camera within the frame, on average over their own randomness."""


def draw_emitters(settings: EmitterSettings, *, frames: int, size: int, generator: np.random.Generator) -> Emitters:
    """Draw the molecules of a movie of square frames.

    Molecules light up at a uniform time, before the first frame too. One is on in 1 + lifetime frames on average, by
    which the number of molecules follows from the number per frame.
    """
    early = _MARGIN * settings.lifetime
    mean = settings.per_frame * (frames + early) / (1 + settings.lifetime)
    count = int(generator.poisson(mean))
    start = generator.uniform(-early, frames, count)
    end = start + generator.exponential(settings.lifetime, count)
    x, y = generator.uniform(-0.5, size - 0.5, (2, count))
    z = generator.uniform(*settings.depth, count)
    intensity = np.maximum(generator.normal(settings.photons, settings.photons_sd, count), 0.0)
    molecule, frame, share = split_over_frames(start, end, frames)
    return Emitters(frame, x[molecule], y[molecule], z[molecule], intensity[molecule] * share)


def split_over_frames(start: Floats, end: Floats, frames: int) -> tuple[Integers, Integers, Floats]:
    """Return molecule, frame and share of the frame for each frame in which a molecule is on, ordered by frame."""
    first = np.clip(np.floor(start), 0, frames).astype(np.int64)
    last = np.clip(np.ceil(end), 0, frames).astype(np.int64)  # the first frame without light
    touched = np.maximum(last - first, 0)
    molecule = np.repeat(np.arange(len(start)), touched)
    within = np.arange(len(molecule)) - np.repeat(np.cumsum(touched) - touched, touched)
    frame = first[molecule] + within
    share = np.minimum(end[molecule], frame + 1) - np.maximum(start[molecule], frame)
    order = np.argsort(frame, kind="stable")
    return molecule[order], frame[order], share[order]
