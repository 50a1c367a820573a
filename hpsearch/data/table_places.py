"""Whether a movie is bright where its table has molecules, and not rather where another reading of the table has them.

Exchanged axes, an axis that counts from the other end, frames that count from another number, pixels of another size
and the table of another movie all give numbers that look right. The movie itself tells them: the light around the
places of the table, against the mean of their frame.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.emitter_tables import EmitterTable
from hpsearch.data.movies import Movie

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_STRETCHES, _LENGTH = 4, 64
"""Stretches of the movie that are looked at, and their frames."""
_ENOUGH = 50
"""Pixels with molecules, below which nothing is said."""
_BRIGHT, _SURE = 3.0, 6.0
"""Standard errors by which places are brighter than their frame, and by which others are brighter than they."""
_CLEARLY = 1.1
"""How many times as bright the others are at least."""

Place = tuple[Floats, Floats, Floats]
"""Frame, y and x of molecules."""


def place_objection(movie: Movie, table: EmitterTable, *, first_frame: int) -> str:
    """Return what the brightness of the movie tells against a table, or nothing.

    Raises:
        DataError: The movie cannot be read.
    """
    height, width = movie.height, movie.width
    readings: Mapping[str, Callable[[Place], Place]] = {
        "": lambda place: place,
        "with x and y exchanged": lambda place: (place[0], place[2], place[1]),
        "with y counted from the last row": lambda place: (place[0], height - 1 - place[1], place[2]),
        "with x counted from the last column": lambda place: (place[0], place[1], width - 1 - place[2]),
        f"with frames counted from {first_frame - 1}": lambda place: (place[0] + 1, place[1], place[2]),
        f"with frames counted from {first_frame + 1}": lambda place: (place[0] - 1, place[1], place[2]),
    }
    plain, changing, pixel = _light(movie, table, list(readings.values()))
    own = _by_pixel(changing[0], pixel)
    if len(own) < _ENOUGH:
        return ""
    found = {name: _brighter(_by_pixel(changing[number], pixel), own) for number, name in enumerate(readings) if name}
    better = {name: ratio for name, ratio in found.items() if ratio is not None}
    if better:
        name = max(better, key=lambda each: better[each])
        return (
            f"{movie.path.name} is not bright where its molecules are, but {name} ({_times(better[name])}); mend the "
            f"table{', or set first_frame' if 'frames' in name else ''}"
        )
    if max(_errors(own), _errors(_by_pixel(plain, pixel))) < _BRIGHT:
        return (
            f"{movie.path.name} is no brighter where its molecules are than elsewhere: is it the table of another "
            "movie, or is the size of a pixel another one?"
        )
    return ""


def _light(
    movie: Movie, table: EmitterTable, readings: Sequence[Callable[[Place], Place]]
) -> tuple[Floats, Floats, Integers]:
    """Return the light at each molecule, that of each reading which changes over time, and the pixel of the molecule.

    The light is against the mean of the frame; what changes is against the mean of the place over time, too, so that
    a bright edge tells nothing. Outside of the frames it is NaN.
    """
    from scipy.ndimage import uniform_filter

    plain, changing, pixels = [], [], []
    length = min(movie.frames, _LENGTH if movie.frames > _STRETCHES * _LENGTH else _STRETCHES * _LENGTH)
    for start in np.unique(np.linspace(0, movie.frames - length, _STRETCHES).astype(int)):
        frames = np.asarray(movie.counts(start + 1, start + length), dtype=np.float64)
        frames = frames - frames.mean(axis=(1, 2), keepdims=True)
        around = uniform_filter(frames, size=(1, 3, 3), mode="nearest")
        inside = (table.frame >= start + 1) & (table.frame < start + length - 1)  # their neighbours are there, too
        place = (table.frame[inside].astype(np.float64) - start, table.y[inside], table.x[inside])
        plain.append(_at(around, readings[0](place)))
        around -= around.mean(axis=0)
        changing.append(np.stack([_at(around, read(place)) for read in readings]))
        pixels.append((np.rint(place[1]) * movie.width + np.rint(place[2])).astype(np.int64))
    return np.concatenate(plain), np.concatenate(changing, axis=1), np.concatenate(pixels)


def _by_pixel(values: Floats, pixel: Integers) -> Floats:
    """Return the mean of each pixel with a molecule: one that is on for long is seen once. Those without are NaN."""
    number = np.unique(pixel, return_inverse=True)[1]
    known = np.isfinite(values)
    count = np.bincount(number[known], minlength=int(number.max(initial=-1)) + 1)
    total = np.bincount(number[known], values[known], minlength=len(count))
    mean: Floats = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return mean


def _at(frames: Floats, place: Place) -> Floats:
    indices = [np.rint(axis).astype(np.int64) for axis in place]
    within = np.all([(index >= 0) & (index < size) for index, size in zip(indices, frames.shape, strict=True)], axis=0)
    values = np.full(len(within), np.nan)
    values[within] = frames[tuple(index[within] for index in indices)]
    return values


def _brighter(other: Floats, own: Floats) -> float | None:
    """Return how many times as bright other places are, if they are surely and clearly so."""
    both = np.isfinite(other) & np.isfinite(own)
    if both.sum() < _ENOUGH or _errors((other - own)[both]) < _SURE:
        return None
    ratio = float(other[both].mean() / max(float(own[both].mean()), 1e-12))
    return ratio if ratio > _CLEARLY else None


def _errors(values: Floats) -> float:
    """Return a mean in its standard errors."""
    known = values[np.isfinite(values)]
    deviation = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return float(known.mean()) / (deviation / np.sqrt(len(known))) if deviation else 0.0


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times as bright" if ratio < 100 else "more than 100 times as bright"
