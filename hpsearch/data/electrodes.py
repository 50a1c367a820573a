"""Electrodes by name: from standard and measured montages; and finding those of one file among those of another.

Names are compared as clinics and amplifiers write them: `EEG Fp1-REF`, `FP1.` and `Fp1` are one electrode, and so are
the old and new names of four temporal ones (T3 T4 T5 T6 are T7 T8 P7 P8).
"""

import difflib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.array_files import EEGLAB, ENDINGS, find_labels, read_arrays
from hpsearch.data.eeglab import eeglab_fields
from hpsearch.errors import DataError, UnknownNameError

Floats = NDArray[np.float64]

_PREFIX = re.compile(r"^(eeg|poly)[ _-]+", re.IGNORECASE)
_REFERENCE = re.compile(r"[ _-]+(ref|le|avg|av|ar|car|a1|a2|m1|m2|a1a2|a1\+a2|m1m2)$", re.IGNORECASE)
_OLD_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
_NAMED = 5
"""The most missing electrodes that a message names."""


@dataclass(frozen=True)
class Electrodes:
    """Names and positions (C, 3) in mm, in the montage's own coordinates; NaN where they are not known."""

    names: tuple[str, ...]
    positions: Floats

    def choose(self, names: Sequence[str], *, where: str) -> "Electrodes":
        """Return these electrodes, in this order.

        Raises:
            DataError: One is missing.
        """
        return Electrodes(tuple(names), self.positions[find_electrodes(names, self.names, where=where)])


def standard_montage(name: str) -> Electrodes:
    """Return one of MNE's standard montages, such as `spherical_1005` or `biosemi64`; old names are known too.

    Raises:
        UnknownNameError: There is no such montage; the message lists them.
    """
    import mne

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of a name that MNE has replaced
            return _from_mne(mne.channels.make_standard_montage(name))
    except ValueError:
        raise UnknownNameError("montage", name, mne.channels.get_builtin_montages()) from None


def read_montage(path: str | Path) -> Electrodes:
    """Return a measured montage: `.fif`, `.mat`, `.npz`, and what MNE's `read_custom_montage` reads (.elc, .sfp, ...).

    A `.mat` file may hold the structures of EEGLAB (X, Y, Z), FieldTrip (`chanpos`) or Brainstorm (`Loc`), or names;
    EEGLAB's `.set` has its own.

    Raises:
        DataError: It cannot be read, or names no electrodes.
    """
    place = Path(path)
    if place.suffix.lower() in ENDINGS:
        return _from_arrays(place, read_arrays(place))
    if place.suffix.lower() == EEGLAB:
        return _from_arrays(place, eeglab_fields(place))
    import mne

    try:
        if place.suffix.lower() != ".fif":
            return _from_mne(mne.channels.read_custom_montage(place, verbose="error"))
        return _from_mne(_montage_in_fif(place))
    except Exception as error:  # noqa: BLE001 -- MNE raises many kinds for a file that it cannot read
        raise DataError(f"{place} is not a montage that can be read: {error or type(error).__name__}") from None


def _montage_in_fif(place: Path) -> Any:
    import mne

    try:
        info = mne.io.read_info(place, verbose="error")
        return info.get_montage() or mne.channels.read_dig_fif(place)
    except ValueError:
        return mne.channels.read_dig_fif(place)


def _from_mne(montage: Any) -> Electrodes:
    positions = montage.get_positions()["ch_pos"]
    if not positions:
        raise DataError("it holds no electrodes")
    return Electrodes(tuple(positions), np.array(list(positions.values()), dtype=np.float64) * 1000.0)


def _from_arrays(place: Path, arrays: Mapping[str, Any]) -> Electrodes:
    names = find_labels(arrays)
    if not names:
        raise DataError(f"{place} has no names of electrodes: neither texts nor structures with labels")
    points = next((found for value in arrays.values() if (found := _points(value, len(names))) is not None), None)
    return Electrodes(tuple(names), np.full((len(names), 3), np.nan) if points is None else points)


def _points(value: Any, count: int) -> Floats | None:
    """Return the positions (count, 3) that a variable or the fields of a structure hold, if they do."""
    if isinstance(value, dict):
        inner = [value[name] for name in ("chanpos", "elecpos", "pos", "positions", "Channel") if name in value]
        return next((found for each in inner if (found := _points(each, count)) is not None), None)
    entries = list(value) if isinstance(value, list | np.ndarray) and np.ndim(value) else []
    if len(entries) == count and all(isinstance(each, dict) for each in entries):
        rows = [
            [each.get(axis) for axis in "XYZ"] if "X" in each else np.ravel(each.get("Loc", ())) for each in entries
        ]
        full = all(len(row) == 3 and all(np.size(number) == 1 for number in row) for row in rows)
        return np.array(rows, dtype=np.float64) if full else None
    array = np.asarray(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" else np.empty(0)
    return array.astype(np.float64) if array.shape == (count, 3) else None


def find_electrodes(wanted: Sequence[str], names: Sequence[str], *, where: str) -> NDArray[np.int64]:
    """Return for each wanted electrode its place among `names`; `where` says in words what has these names.

    Raises:
        DataError: One is missing, or has two channels; the message names the nearest ones.
    """
    exact = {name: index for index, name in enumerate(names)}
    plain: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        plain.setdefault(_plain(name), []).append(index)
    found = [[exact[name]] if name in exact else plain.get(_plain(name), []) for name in wanted]
    if missing := [name for name, places in zip(wanted, found, strict=True) if not places]:
        told = ", ".join(f"{name}{_nearest(name, names)}" for name in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise DataError(f"{where} lacks {len(missing)} of {len(wanted)} electrodes: {told}{more}")
    if double := [name for name, places in zip(wanted, found, strict=True) if len(places) > 1]:
        raise DataError(f"{where} has several channels for the electrode {double[0]}")
    return np.array([places[0] for places in found], dtype=np.int64)


def _plain(name: str) -> str:
    bare = _REFERENCE.sub("", _PREFIX.sub("", name.strip())).strip(" .").casefold()
    return _OLD_NAMES.get(bare, bare)


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(_plain(name), [_plain(each) for each in names], n=1, cutoff=0.5)
    return f" (nearest: {next(each for each in names if _plain(each) == near[0])})" if near else ""
