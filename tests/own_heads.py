"""Files of a head, its noise and its examples, as laboratories keep them, made from the small computed head."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from hpsearch.data.lead_field import LeadField, load_lead_field

ELECTRODES, REGIONS = 16, 64
PADDING = 15213
"""What DeepSIF fills up lists with."""


def small_head() -> LeadField:
    """The head that the files below are made from."""
    return load_lead_field(ELECTRODES, REGIONS)


def structures(head: LeadField) -> np.ndarray:
    """EEGLAB's list of electrodes, whose X points to the nose and whose Y to the left ear."""
    rows = np.zeros((1, len(head.names)), dtype=[("labels", object), ("X", object), ("Y", object), ("Z", object)])
    for index, (name, (right, front, up)) in enumerate(zip(head.names.tolist(), head.electrodes, strict=True)):
        rows[0, index] = (name, front, -right, up)
    return rows


def cells(head: LeadField, *, base: int = 1) -> np.ndarray:
    """The neighbours as a cell array of lists of different lengths, counted from 1 as in MATLAB."""
    rows = np.empty((1, len(head.centres)), dtype=object)
    for index, row in enumerate(head.neighbours):
        rows[0, index] = np.flatnonzero(row)[None].astype(np.uint16) + base
    return rows


def write_head(folder: Path, **changes: Any) -> dict[str, Any]:
    """Write a lead field as DeepSIF's files have it; changes replace variables, and None leaves one out.

    Returns the settings that name the files.
    """
    head = small_head()
    gain = head.gain + 100.0  # against some other reference
    given = {"fwd": gain, "pos": head.centres, "ori": head.normals, "nbs": cells(head), "eloc": structures(head)}
    given |= changes
    parts = {
        "path": ("lead_field.mat", {"fwd": given["fwd"]}),
        "cortex": ("cortex.mat", {"pos": given["pos"], "ori": given["ori"]}),
        "parcellation": ("regions.mat", {"nbs": given["nbs"]}),
        "electrodes": ("electrodes.mat", {"eloc": given["eloc"]}),
    }
    found = {}
    for setting, (file, arrays) in parts.items():
        held = {name: value for name, value in arrays.items() if value is not None}
        if held:
            savemat(folder / file, held)
            found[setting] = str(folder / file)
    return found


def write_noise(folder: Path, *, seconds: float = 20.0, rate: float = 100.0, **changes: Any) -> str:
    """Write rest that is not white: a few sources far from the scalp, some brain, in an order of its own."""
    head, generator = small_head(), np.random.default_rng(3)
    samples = round(seconds * rate)
    data = (head.gain @ generator.standard_normal((REGIONS, samples))).T
    savemat(folder / "noise.mat", {"data": data, "fs": rate, "labels": head.names.astype(object), **changes})
    return str(folder / "noise.mat")
