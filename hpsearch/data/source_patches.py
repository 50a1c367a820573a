"""Where the sources are: patches of neighbouring regions whose activity fades with the distance from the centre.

After Sun et al., PNAS 119(31) e2201128119, 2022.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HALF_WIDTH = 0.8493
"""The standard deviation of a Gaussian that has fallen to one half at distance 1: 1 / sqrt(2 ln 2)."""


@dataclass(frozen=True)
class Patch:
    """A source: its regions (n,), the first of them the centre, and their magnitudes (n,), 1 at the centre."""

    regions: Integers
    magnitudes: Floats


def draw_patches(
    centres: Floats,
    neighbours: NDArray[np.bool_],
    *,
    count: int,
    sizes: tuple[int, int],
    generator: np.random.Generator,
) -> list[Patch]:
    """Return `count` patches that share no region; sizes in regions, both ends included.

    centres (R, 3) in mm, neighbours (R, R). The magnitude falls to one half at a distance of 40 to 60 mm.
    """
    free = np.ones(len(centres), dtype=bool)
    patches: list[Patch] = []
    for _ in range(count):
        centre = int(generator.choice(np.flatnonzero(free)))
        size = int(generator.integers(sizes[0], sizes[1] + 1))
        direction = generator.standard_normal(3)
        regions = grow_patch(centres, neighbours & free[:, None] & free, centre=centre, size=size, direction=direction)
        distance = np.linalg.norm(centres[regions] - centres[centre], axis=1)
        patches.append(Patch(regions, fade(distance, half=generator.uniform(40.0, 60.0))))
        free[regions] = False
        free &= ~neighbours[regions].any(axis=0)
        if not free.any():
            break
    return patches


def grow_patch(
    centres: Floats, neighbours: NDArray[np.bool_], *, centre: int, size: int, direction: Floats
) -> Integers:
    """Return about `size` regions around `centre`, ring by ring; a last, partial ring is filled along `direction`.

    A region that the patch surrounds is added, so that it has no holes; one that is cut off cannot be reached.
    """
    chosen = np.zeros(len(centres), dtype=bool)
    chosen[centre] = True
    order = [centre]
    while len(order) < size:
        ring = np.flatnonzero(neighbours[chosen].any(axis=0) & ~chosen)
        if len(ring) == 0:
            break
        ahead = (centres[ring] - centres[centre]) @ direction
        taken = ring[np.argsort(-ahead, kind="stable")][: size - len(order)]
        chosen[taken] = True
        order.extend(taken.tolist())
    touching = neighbours.any(axis=1)
    surrounded = touching & ~chosen & ~(neighbours & ~chosen).any(axis=1)
    order.extend(np.flatnonzero(surrounded).tolist())
    return np.array(order, dtype=np.int64)


def fade(distance: Floats, *, half: float) -> Floats:
    """Return the magnitudes at these distances from the centre: a Gaussian that is 1 at 0 and one half at `half`."""
    magnitude: Floats = np.exp(-(distance**2) / (2.0 * (HALF_WIDTH * half) ** 2))
    return magnitude


def scale_to_ratio(signal: Floats, background: Floats, *, decibels: float) -> float:
    """Return the factor for `background` at which the signal's power is `decibels` above the background's."""
    return float(np.sqrt(np.mean(signal**2) / np.mean(background**2) / 10.0 ** (decibels / 10.0)))
