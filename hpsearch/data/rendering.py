"""Super-resolution images: where molecules were found, on pixels much smaller than the camera's."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Rendering = Literal["gaussian", "histogram"]

_WIDTHS_PER_OCTAVE = 4
_NARROWEST = 0.5
"""Pixels of the rendered image; a narrower Gaussian would be a histogram's pixel."""
_BRIGHTEST = 99.8
"""Percentile of the pixels with light that is white in a PNG; brighter ones are cut."""


def render(x: Floats, y: Floats, deviation: Floats | None, *, height: int, width: int) -> Image:
    """Return how many molecules each pixel (height, width) holds.

    Args:
        x: Columns, in pixels of the image; 0 is the centre of the first pixel.
        y: Rows.
        deviation: Each molecule is a normal distribution with this standard deviation, in pixels of the image; of
            widths that differ by less than a tenth all are drawn alike. None: each counts in its pixel.
        height: Rows of the image.
        width: Columns.
    """
    image = np.zeros((height, width), np.float32)
    column, row = np.round(x).astype(np.int64), np.round(y).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = (row * width + column)[inside]
    if deviation is None:
        image += np.bincount(flat, minlength=height * width).reshape(height, width)
        return image
    from scipy.ndimage import gaussian_filter

    octave = np.round(_WIDTHS_PER_OCTAVE * np.log2(np.maximum(deviation[inside], _NARROWEST)))
    for each in np.unique(octave):
        counted = np.bincount(flat[octave == each], minlength=height * width).reshape(height, width)
        image += gaussian_filter(counted.astype(np.float32), 2.0 ** (each / _WIDTHS_PER_OCTAVE), mode="constant")
    return image


def write_png(path: Path, image: Image) -> None:
    """Write an image in shades of grey; the brightest few pixels are white alike.

    Raises:
        OSError: the file cannot be written.
    """
    import PIL.Image

    lit = image[image > 0]
    white = float(np.percentile(lit, _BRIGHTEST)) if lit.size else 1.0
    shades = np.clip(image / white * 255, 0, 255).astype(np.uint8)
    PIL.Image.fromarray(shades).save(path, format="PNG")
