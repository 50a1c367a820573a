"""The activity of sources on a cortical surface as MNE's files: a value for each vertex and time (`.stc`)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError

SUFFIXES = ("-lh.stc", "-rh.stc")
"""The files of the two hemispheres; MNE reads both by the name without them."""


def estimate_files(path: Path) -> tuple[Path, Path]:
    """Return the two files of an estimate that is called `NAME.stc`, `NAME-lh.stc` or `NAME-rh.stc`."""
    stem = path.name
    for suffix in (*SUFFIXES, ".stc"):
        stem = stem.removesuffix(suffix)
    left, right = (path.with_name(stem + suffix) for suffix in SUFFIXES)
    return left, right


def write_estimate(
    path: Path, activity: NDArray[np.float32], surface: NDArray[np.int64], *, rate: float, begin: float = 0.0
) -> None:
    """Write activity (T, R) of regions as `.stc` files; every vertex gets the activity of its region.

    surface (V, 3) has the hemisphere (0 left, 1 right), number and region of each vertex; rate in Hz, begin in s.

    Raises:
        DataError: No vertices are known.
    """
    import mne

    if not len(surface):
        raise DataError("the sources of this head are no vertices of a FreeSurfer surface: write .npz in place of .stc")
    rows = surface[np.lexsort((surface[:, 1], surface[:, 0]))]
    vertices = [rows[rows[:, 0] == side, 1] for side in (0, 1)]
    values = np.ascontiguousarray(activity.T[rows[:, 2]])
    estimate = mne.SourceEstimate(values, vertices, tmin=begin, tstep=1.0 / rate)
    for target, part in zip(estimate_files(path), ("lh", "rh"), strict=True):
        estimate.save(target.with_name(target.name.removesuffix(f"-{part}.stc")), overwrite=True, verbose="error")
