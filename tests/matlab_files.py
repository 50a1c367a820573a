"""MATLAB's files of version 7.3, written by h5py as MATLAB writes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def write_73(place: Path, content: Mapping[str, Any]) -> Path:
    """Write arrays, texts, dicts, lists of dicts (arrays of structures) and arrays of objects (cells)."""
    with h5py.File(place, "w", userblock_size=512) as file:
        for name, value in content.items():
            _write(file, name, value)
    with place.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM")
    return place


def _write(group: Any, name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, each in value.items():
            _write(inner, key, each)
    elif isinstance(value, list):
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for key in value[0]:
            _references(inner, key, np.array([each[key] for each in value] + [None], dtype=object)[None, :-1])
    elif isinstance(value, str):
        _plain(group, name, np.array([[ord(letter) for letter in value]], dtype=np.uint16).T, "char")
    elif hasattr(value, "tocsc"):
        _sparse(group, name, value.tocsc())
    elif value.dtype == object:
        _references(group, name, np.atleast_2d(value)).attrs["MATLAB_class"] = np.bytes_("cell")
    elif value.size == 0:
        _plain(group, name, np.array([0, 0], dtype=np.uint64), "double").attrs["MATLAB_empty"] = np.uint8(1)
    elif value.dtype == bool:
        _plain(group, name, np.atleast_2d(value).astype(np.uint8).T, "logical")
    else:
        kind = {"float64": "double", "float32": "single"}.get(value.dtype.name, value.dtype.name)
        _plain(group, name, np.atleast_2d(value).T, kind)


def _plain(group: Any, name: str, values: Any, kind: str) -> Any:
    written = group.create_dataset(name, data=values)
    written.attrs["MATLAB_class"] = np.bytes_(kind)
    return written


def _references(group: Any, name: str, values: Any) -> Any:
    kept = group.file.require_group("#refs#")
    found = np.empty(values.shape, dtype=h5py.ref_dtype)
    for place, value in np.ndenumerate(values):
        label = f"r{len(kept)}"
        _write(kept, label, value if isinstance(value, str | Mapping | list) else np.asarray(value))
        found[place] = kept[label].ref
    return group.create_dataset(name, data=found.T, dtype=h5py.ref_dtype)


def _sparse(group: Any, name: str, matrix: Any) -> None:
    inner = group.create_group(name)
    inner.attrs["MATLAB_class"] = np.bytes_("double")
    inner.attrs["MATLAB_sparse"] = np.uint64(matrix.shape[0])
    for key, values in (("data", matrix.data), ("ir", matrix.indices), ("jc", matrix.indptr)):
        if key == "jc" or matrix.nnz:
            inner.create_dataset(key, data=values if key == "data" else values.astype(np.uint64))
