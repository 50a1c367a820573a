"""The user's own examples for source imaging: EEG with the activity behind it, of other simulators or of recordings."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.data.array_files import as_numbers, find_by_name, find_labels, pick_array, read_arrays
from hpsearch.data.disk_cache import Arrays, cached_arrays
from hpsearch.data.electrodes import find_electrodes
from hpsearch.data.fingerprint import hash_file
from hpsearch.data.lead_field import LeadField
from hpsearch.data.recordings import RATES
from hpsearch.errors import DataError
from hpsearch.settings import FILE, Settings

_EEG = ("eeg", "EEG", "data", "x", "X")
_SOURCES = ("sources", "source", "nmm", "activity", "y", "Y")
_VERSION = 1
"""Raised when a change here changes what a file gives."""


class PairSettings(Settings):
    """Examples from files instead of simulated ones: eeg (N, T, C) and sources (N, T, R) in a `.npz` or `.mat` file."""

    path: Annotated[str, FILE]
    """The examples to learn from, and to validate and test on those that no file of their own has."""
    val_path: Annotated[str | None, FILE] = None
    test_path: Annotated[str | None, FILE] = None
    val: float = Field(default=0.1, gt=0, lt=1)
    """The fraction of `path` that validates, unless `val_path` does."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """The fraction of `path` for the test, unless `test_path` does."""
    eeg: str | None = None
    """The name of the EEG in the files, if it is not `eeg`."""
    sources: str | None = None
    """The name of the sources' activity in the files, if it is not `sources`."""

    @model_validator(mode="after")
    def _leaves_some(self) -> "PairSettings":
        if self.val + self.test >= 1:
            raise ValueError(f"the fractions val ({self.val}) and test ({self.test}) leave nothing to learn from")
        return self

    @property
    def files(self) -> dict[str, str]:
        """The files by the settings that name them."""
        named = {"path": self.path, "val_path": self.val_path, "test_path": self.test_path}
        return {name: value for name, value in named.items() if value is not None}


def load_pairs(
    settings: PairSettings,
    head: LeadField,
    *,
    samples: int,
    rate: float,
    split: Literal["train", "val", "test"],
    seed: int,
) -> Arrays:
    """Return a split: eeg (N, T, C), normalised as the simulated one is, and sources (N, T, R), of largest magnitude 1.

    Raises:
        DataError: The files cannot be used, or do not fit the head, the length or the rate.
    """
    own = {"val": settings.val_path, "test": settings.test_path}.get(split)
    path = Path(own or settings.path)
    arrays = read_pairs(settings, path, head, samples=samples, rate=rate)
    if own is None:
        chosen = _part(settings, split, len(arrays["eeg"]), seed)
        arrays = {name: array[chosen] for name, array in arrays.items()}
    return arrays


def _part(settings: PairSettings, split: str, count: int, seed: int) -> NDArray[np.int64]:
    """Return the examples of a split of `path`, in the file's order."""
    order = np.random.default_rng(seed).permutation(count)
    sizes = {
        name: 0 if own else max(1, round(part * count))
        for name, part, own in (("val", settings.val, settings.val_path), ("test", settings.test, settings.test_path))
    }
    if sum(sizes.values()) >= count:
        raise DataError(f"{settings.path} has {count} examples, too few to learn from, validate and test on")
    parts = {"val": order[: sizes["val"]], "test": order[sizes["val"] : sum(sizes.values())]}
    return np.sort(parts.get(split, order[sum(sizes.values()) :]))


def read_pairs(settings: PairSettings, path: Path, head: LeadField, *, samples: int, rate: float) -> Arrays:
    """Return all examples of a file, checked and normalised, from the cache if possible.

    Raises:
        DataError: It cannot be used.
    """
    key = {"version": _VERSION, "file": _hash(path), "names": [settings.eeg, settings.sources], "samples": samples}
    key |= {"rate": rate, "electrodes": head.names.tolist(), "regions": len(head.centres)}
    return cached_arrays("eeg_pairs", key, lambda: _read(settings, path, head, samples=samples, rate=rate))


def _hash(path: Path) -> str:
    try:
        return hash_file(path)[1]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _read(settings: PairSettings, path: Path, head: LeadField, *, samples: int, rate: float) -> Arrays:
    arrays = read_arrays(path)
    names = find_labels(arrays)
    eeg = _examples(arrays, settings.eeg, _EEG, len(names) if names else len(head.names), "EEG", "data.pairs.eeg")
    sources = _examples(
        arrays, settings.sources, _SOURCES, len(head.centres), "activity of the sources", "data.pairs.sources"
    )
    if eeg.shape[:2] != sources.shape[:2]:
        raise DataError(f"{path}: eeg is {_shape(eeg)}, and sources are {_shape(sources)}: (examples, time) must agree")
    if eeg.shape[1] != samples:
        raise DataError(f"{path}: the clips are {eeg.shape[1]} samples long, and data.samples is {samples}")
    own = as_numbers(find_by_name(arrays, RATES))
    if own is not None and own.size == 1 and float(own.item()) != rate:
        raise DataError(f"{path}: the rate is {own.item():g} Hz, and data.rate is {rate:g}")
    if names:
        eeg = eeg[:, :, find_electrodes(head.names.tolist(), names, where=str(path))]
    return {"eeg": _normalised(eeg, path), "sources": _scaled(sources, path)}


def _examples(
    arrays: Any, variable: str | None, usual: tuple[str, ...], width: int, what: str, setting: str
) -> NDArray[Any]:
    def fits(shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and width in shape[1:]

    found = pick_array(
        arrays,
        variable=variable,
        usual=usual,
        fits=fits,
        what=f"an array of the {what} (examples, time, {width})",
        setting=setting,
    )[1]
    return found if found.shape[2] == width else found.transpose(0, 2, 1)


def _shape(array: NDArray[Any]) -> str:
    return "x".join(map(str, array.shape))


def _normalised(eeg: NDArray[Any], path: Path) -> NDArray[np.float32]:
    values = eeg - eeg.mean(axis=2, keepdims=True, dtype=np.float64)
    values -= values.mean(axis=1, keepdims=True)
    return _scaled(values, path)


def _scaled(values: NDArray[Any], path: Path) -> NDArray[np.float32]:
    """Return examples with a largest magnitude of 1.

    Raises:
        DataError: An example has missing values, or is 0.
    """
    largest = np.abs(values).max(axis=(1, 2), keepdims=True)
    for trouble, bad in (("has values that are no numbers", ~np.isfinite(largest)), ("is silent", largest == 0)):
        if bad.any():
            raise DataError(f"{path}: the example {int(np.flatnonzero(bad)[0])}, counted from 0, {trouble}")
    return np.asarray(values / largest, dtype=np.float32)
