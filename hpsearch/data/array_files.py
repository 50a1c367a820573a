"""Arrays by name from the files that people keep them in: MATLAB's `.mat` and numpy's `.npz`.

Files of a single array (`.npy`; numbers in `.txt` and `.csv`) give it the name that the reader wants.

What a variable is called differs from laboratory to laboratory. A setting names it; without one it is taken by a name
that is usual, or as the only one of a fitting shape.
"""

import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.matlab_hdf5 import is_hdf5, read_hdf5
from hpsearch.errors import DataError, suggestion

ENDINGS = (".mat", ".npz")
SINGLE = (".npy", ".txt", ".csv")
"""Files that hold one array without a name."""
_LABELS = ("labels", "label", "Name", "name", "names", "ch_names", "channels", "electrodes", "chanlocs", "Channel")
"""What the names of electrodes are called, by themselves or in the structures of EEGLAB, FieldTrip and Brainstorm."""
EEGLAB = ".set"
"""EEGLAB's ending of a MATLAB file, see `eeglab.py`."""
_SHOWN = 12
"""The most variables that a message lists."""


def read_arrays(path: str | Path, *, alone: str | None = None, eeglab: bool = False) -> dict[str, Any]:
    """Return what a file holds, by name. MATLAB's cells and structures become object arrays, lists and dicts.

    `alone` is the name of the array of a file that holds only one; without it such files are not read. `eeglab` is
    whether the file may be one of EEGLAB.

    Raises:
        DataError: It cannot be read, or is of another format.
    """
    place = Path(path)
    suffix = place.suffix.lower()
    known = (*ENDINGS, *(() if alone is None else SINGLE), *((EEGLAB,) if eeglab else ()))
    if suffix not in known:
        raise DataError(f"{place}: the ending '{place.suffix}' is not one of {', '.join(known)}")
    try:
        if suffix in SINGLE:
            return {str(alone): _read_single(place)}
        return _read_npz(place) if suffix == ".npz" else _read_matlab(place)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 -- scipy raises many kinds for a file that is cut short
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{place} cannot be read: {error.strerror}") from None
        kind = {
            ".mat": "a MATLAB file",
            EEGLAB: "a file of EEGLAB",
            ".npz": "an .npz file",
            ".npy": "an .npy file",
        }.get(suffix, "a table of numbers")
        raise DataError(f"{place} is damaged, or not {kind}: {error or type(error).__name__}") from None


def _read_single(place: Path) -> NDArray[Any]:
    if place.suffix.lower() == ".npy":
        found: NDArray[Any] = np.load(place, allow_pickle=False)
        return found
    return np.loadtxt(place, delimiter="," if place.suffix.lower() == ".csv" else None)


def _read_npz(place: Path) -> dict[str, Any]:
    try:
        with np.load(place, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{place} is damaged, or not an .npz file: {error}") from None


def _read_matlab(place: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    if is_hdf5(place):
        return read_hdf5(place)
    content = loadmat(place, simplify_cells=True)
    return {name: value for name, value in content.items() if not name.startswith("__")}


def describe(arrays: Mapping[str, Any]) -> str:
    """List variables with their shapes."""
    told = [f"{name} {'x'.join(map(str, np.shape(value))) or 'alone'}" for name, value in arrays.items()]
    return ", ".join(told[:_SHOWN]) + (f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "") or "nothing"


def pick_array(
    arrays: Mapping[str, Any],
    *,
    variable: str | None,
    usual: Iterable[str],
    fits: Callable[[tuple[int, ...]], bool],
    what: str,
    setting: str,
) -> tuple[str, NDArray[Any]]:
    """Return the name and the array of numbers that is meant: by its name, a usual name, or as the only one that fits.

    `what` says in words what is looked for, with its article, `setting` is the one that names the variable.

    Raises:
        DataError: There is no such array, or there are several.
    """
    if variable is not None:
        if variable not in arrays:
            near = suggestion(variable, arrays)
            raise DataError(f"there is no variable '{variable}'{near}; the file has {describe(arrays)}")
        found = as_numbers(arrays[variable])
        if found is None or not fits(found.shape):
            raise DataError(f"{describe({variable: arrays[variable]})} is not {what}")
        return variable, found
    numbers = {name: array for name in arrays if (array := as_numbers(arrays[name])) is not None and fits(array.shape)}
    named = [name for name in usual if name in numbers]
    chosen = named[:1] or list(numbers)
    if len(chosen) == 1:
        return chosen[0], numbers[chosen[0]]
    if chosen:
        raise DataError(f"several variables may be {what}: {describe(numbers)}; name one in {setting}")
    raise DataError(f"none of its variables is {what}: it has {describe(arrays)}")


def as_numbers(value: Any) -> NDArray[Any] | None:
    """Return a value as an array of real numbers, a sparse matrix as a full one, or None for anything else."""
    full = value.toarray() if hasattr(value, "toarray") else value
    array = np.asarray(full) if isinstance(full, np.ndarray | int | float | bool) else None
    return array if array is not None and array.dtype.kind in "fiub" else None


def find_by_name(arrays: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the first of these variables that is there, or None."""
    return next((arrays[name] for name in names if name in arrays), None)


def labels_in(value: Any) -> list[str] | None:
    """Return the names of electrodes that a value holds, in its order: texts, or structures that have labels."""
    if isinstance(value, Mapping):
        found = (labels_in(value[name]) for name in _LABELS if name in value)
        return next((names for names in found if names), None)
    entries = list(value) if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim) else []
    if entries and all(isinstance(each, str) for each in entries):
        return [str(each).strip() for each in entries]
    if entries and all(isinstance(each, Mapping) for each in entries):
        key = next((name for name in _LABELS if name in entries[0]), None)
        return [str(each.get(key, "")).strip() for each in entries] if key else None
    return None


def find_labels(arrays: Mapping[str, Any]) -> list[str] | None:
    """Return the names of electrodes among variables: those that are called so, or the only structures with labels."""
    if (names := labels_in(arrays)) is not None:
        return names
    found = [names for value in arrays.values() if (names := labels_in(value)) is not None]
    return found[0] if len(found) == 1 else None
