"""Simulated data on disk: arrays in .npz files, named by a hash of everything that decides them.

Files are written under a temporary name and renamed, so that workers may make the same data at once and readers never
see half a file. A file that cannot be read is made again. No pickle is written or read.
"""

import hashlib
import json
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def cache_folder() -> Path:
    """Return `$HPSEARCH_CACHE`, or `hpsearch` below `$XDG_CACHE_HOME` (by default `~/.cache`)."""
    own = os.environ.get("HPSEARCH_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "hpsearch"


def cached_arrays(
    kind: str, key: Mapping[str, Any], make: Callable[[], Mapping[str, NDArray[Any]]], *, libraries: Iterable[str] = ()
) -> Arrays:
    """Return the arrays that `make` returns, from the cache when they are there.

    `kind` names the folder. `key` (what JSON can hold) must decide the arrays, together with the installed versions of
    numpy and of `libraries`. A cache that cannot be written costs a warning, not the data.
    """
    path = cache_path(kind, key, libraries=libraries)
    found = _read(path)
    if found is not None:
        return found
    made = {name: np.asarray(array) for name, array in make().items()}
    try:
        _write(path, made)
    except OSError as error:
        warnings.warn(f"the cache file {path} could not be written: {error}", stacklevel=2)
    return made


def cache_path(kind: str, key: Mapping[str, Any], *, libraries: Iterable[str] = ()) -> Path:
    """Return the folder of this key's arrays."""
    versions = {name: version(name) for name in sorted({"numpy", *libraries})}
    text = json.dumps({"key": key, "versions": versions}, sort_keys=True, allow_nan=False)
    return cache_folder() / kind / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def _read(path: Path) -> Arrays | None:
    """Return the arrays of a file, or None when it is missing or broken (the archive's checksums are verified)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        warnings.warn(f"the cache file {path} is broken and is made again", stacklevel=3)
        return None


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
