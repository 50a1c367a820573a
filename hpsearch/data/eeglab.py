"""EEGLAB's datasets: `.set` files, with the samples within or in a `.fdt` file of the same folder.

A `.set` file is a MATLAB file of version 7 or 7.3 that holds the structure `EEG`, or, as newer versions of EEGLAB write
it, the fields of that structure by themselves. Samples are in uV, channels x time x trials in MATLAB's order.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.array_files import as_numbers, describe, labels_in, read_arrays
from hpsearch.errors import DataError

Floats = NDArray[np.float64]

_VOLTS = 1e-6
"""V in a uV."""
_NEEDED = ("data", "nbchan", "pnts", "srate")


def eeglab_fields(path: str | Path) -> dict[str, Any]:
    """Return the fields of a dataset.

    Raises:
        DataError: It cannot be read, or is no dataset.
    """
    arrays = read_arrays(path, eeglab=True)
    found = arrays.get("EEG", arrays)
    if not isinstance(found, Mapping) or (missing := [name for name in _NEEDED if name not in found]):
        lacking = "EEG is no structure" if not isinstance(found, Mapping) else f"it has no {', '.join(missing)}"
        raise DataError(f"{path} is no dataset of EEGLAB: {lacking}; it holds {describe(arrays)}")
    return dict(found)


def samples_file(path: str | Path) -> Path | None:
    """Return the file that has a dataset's samples, in the same folder: of its own name, or of that which it names.

    Raises:
        DataError: The dataset cannot be read.
    """
    place = Path(path)
    if (own := place.with_suffix(".fdt")).is_file():
        return own
    named = eeglab_fields(place)["data"]
    other = place.with_name(Path(named.replace("\\", "/")).name) if isinstance(named, str) and named else None
    return other if other is not None and other.is_file() else None


def read_eeglab(path: str | Path, *, cut: bool) -> tuple[list[Floats], float, tuple[str, ...] | None]:
    """Return the pieces (C, T) of a dataset in V, its rate in Hz and the names of its channels, or None.

    Trials are pieces, and so is, with `cut`, what lies between two boundaries of a continuous recording.

    Raises:
        DataError: It cannot be read, or is no dataset.
    """
    fields = eeglab_fields(path)
    channels, points, rate = (_number(fields, name, path) for name in ("nbchan", "pnts", "srate"))
    shape = round(channels), round(points), -1
    size = shape[0] * shape[1]
    data = fields["data"]
    values = _beside(path, data) if isinstance(data, str) else as_numbers(data)
    if values is None or values.size == 0 or not size or values.size % size:
        held = "none" if values is None or values.size == 0 else f"{values.size}"
        raise DataError(f"{path} should have {shape[0]} channels x {shape[1]} samples, and has {held} numbers")
    whole = np.asarray(values, dtype=np.float64).reshape(shape, order="F") * _VOLTS
    pieces = [whole[:, :, trial] for trial in range(whole.shape[2])]
    if cut and len(pieces) == 1:
        pieces = np.split(pieces[0], _boundaries(fields, shape[1]), axis=1)
    labels = labels_in(fields.get("chanlocs"))
    alone = fields.get("chanlocs")
    if labels is None and shape[0] == 1 and isinstance(alone, Mapping) and "labels" in alone:
        labels = [str(alone["labels"])]
    if labels is not None and len(labels) != shape[0]:
        raise DataError(f"{path} has {shape[0]} channels, and {len(labels)} names in chanlocs")
    return pieces, rate, None if labels is None else tuple(labels)


def _number(fields: Mapping[str, Any], name: str, path: str | Path) -> float:
    value = as_numbers(fields[name])
    if value is None or value.size != 1 or not 0 < float(value.item()) < np.inf:
        raise DataError(f"{path} is no dataset of EEGLAB: {name} is {fields[name]!r}, not a positive number")
    return float(value.item())


def _beside(path: str | Path, named: str) -> NDArray[Any]:
    """Return the samples of the file that a dataset names: numbers of 32 bits."""
    place = samples_file(path)
    if place is not None and place.suffix.lower() == ".dat":
        raise DataError(
            f"{place} is of EEGLAB's older form, channel after channel: open {path} there and save it again"
        )
    if place is None:
        raise DataError(f"{path} has its samples in {named}, which is not in its folder: copy it there, too")
    try:
        return np.fromfile(place, dtype="<f4")
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error.strerror or error}") from None


def _boundaries(fields: Mapping[str, Any], samples: int) -> list[int]:
    """Return the samples before which a continuous recording was cut, from EEGLAB's events.

    A latency counts from 1; that of a boundary lies half a sample before the first one behind the cut.
    """
    events = fields.get("event")
    events = [events] if isinstance(events, Mapping) else events if isinstance(events, list) else []
    marks = (each for each in events if isinstance(each, Mapping) and str(each.get("type")) == "boundary")
    found = (as_numbers(each.get("latency")) for each in marks)
    known = (value.item() for value in found if value is not None and value.size == 1 and np.isfinite(value).all())
    return sorted(cut for cut in {int(np.floor(latency - 0.5)) for latency in known} if 0 < cut < samples)
