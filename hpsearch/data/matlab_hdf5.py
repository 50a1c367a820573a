"""MATLAB's files of version 7.3, which are HDF5: read into what scipy makes of a file of version 7.

MATLAB writes arrays with their dimensions turned around, texts as numbers, cells and arrays of structures as references
to a group of their own, and says with attributes which is which. Tables, dates and other objects are left out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.extras import Extra, require

_HDF5 = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK = 512
"""Bytes that MATLAB writes before the HDF5 file itself."""
_LEFT_OUT = object()
_Known = dict[int, Any]
"""What was read by reference, by its place in the file: a file in which each names the next twice would never end."""


def is_hdf5(place: Path) -> bool:
    """Return whether a file is HDF5, with or without MATLAB's own beginning, or says that it is."""
    with place.open("rb") as file:
        beginning = file.read(_USER_BLOCK + len(_HDF5))
    return beginning.startswith((_HDF5, b"MATLAB 7.3")) or beginning[_USER_BLOCK:] == _HDF5


def read_hdf5(place: Path) -> dict[str, Any]:
    """Return the variables of a file of version 7.3, by name.

    Dimensions of 1 are dropped. Texts are str, structures dicts, arrays of structures lists of dicts, and cells arrays
    of objects, as `scipy.io.loadmat(..., simplify_cells=True)` gives them.

    Raises:
        DataError: The package h5py is not installed.
        OSError: It is no HDF5 file, or cut off.
    """
    require(f"{place}, a MATLAB file of version 7.3,", Extra.HDF5, kind=DataError)
    import h5py

    with h5py.File(place, "r") as file:
        known: _Known = {}
        found = {name: _value(file[name], known) for name in file if name[0] != "#"}
    return {name: value for name, value in found.items() if value is not _LEFT_OUT}


def _value(item: Any, known: _Known) -> Any:
    """Return a dataset or a group as Python has it.

    Raises:
        ValueError: Its values are in another file, which may be any of the user's.
    """
    if getattr(item, "external", None) or getattr(item, "is_virtual", False):
        raise ValueError(f"{item.name} has its values in another file")
    kind = item.attrs.get("MATLAB_class", b"").decode()
    if "MATLAB_sparse" in item.attrs:
        return _sparse(item)
    if "MATLAB_object_decode" in item.attrs:
        return _LEFT_OUT
    if hasattr(item, "keys"):
        return _structure(item, known)
    if "MATLAB_empty" in item.attrs:
        return "" if kind == "char" else np.empty(0)
    values = np.asarray(item[()])
    if values.dtype.kind == "O":
        return _cells(item.file, values, known)
    if kind == "char":
        return _text(values)
    if values.dtype.names:
        values = values["real"] + 1j * values["imag"]
    return _plain(values.astype(bool) if kind == "logical" else values)


def _plain(values: NDArray[Any]) -> Any:
    """Return an array in MATLAB's order of dimensions, without those of 1; a number where that leaves none."""
    turned = values.T.squeeze()
    return turned.item() if turned.ndim == 0 else np.ascontiguousarray(turned)


def _text(values: NDArray[Any]) -> Any:
    """Return a text, or an array of texts where there are several rows."""
    rows = ["".join(map(chr, row)).rstrip() for row in np.atleast_2d(values.T)]
    return rows[0] if len(rows) == 1 else np.array(rows)


def _structure(group: Any, known: _Known) -> Any:
    """Return a structure as a dict, and an array of them, whose fields are references, as a list of dicts."""
    fields = {name: group[name] for name in group}
    several = [name for name, field in fields.items() if _refers(field)]
    if not several or len(several) != len(fields):
        found = {name: _value(field, known) for name, field in fields.items()}
        return {name: value for name, value in found.items() if value is not _LEFT_OUT}
    columns = {name: _list(group.file, np.asarray(field[()]), known) for name, field in fields.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _refers(field: Any) -> bool:
    """Return whether a field holds what it has for each structure of an array: references, and not those of cells."""
    return not hasattr(field, "keys") and field.dtype.kind == "O" and "MATLAB_class" not in field.attrs


def _list(file: Any, references: NDArray[Any], known: _Known) -> list[Any]:
    import h5py

    found = []
    for item in (file[reference] for reference in references.T.ravel()):
        place = h5py.h5o.get_info(item.id).addr
        if place not in known:
            known[place] = _value(item, known)
        found.append(known[place])
    return [None if value is _LEFT_OUT else value for value in found]


def _cells(file: Any, references: NDArray[Any], known: _Known) -> Any:
    """Return cells as a list where they hold structures, and else as an array of objects."""
    found = _list(file, references, known)
    if any(isinstance(each, Mapping) for each in found):
        return found
    cells = np.empty(len(found), dtype=object)
    for index, each in enumerate(found):
        cells[index] = each
    return cells.reshape(references.T.shape).squeeze()


def _sparse(group: Any) -> Any:
    """Return a sparse matrix, which MATLAB writes by columns."""
    from scipy.sparse import csc_array

    columns = np.asarray(group["jc"][()], dtype=np.int64)
    rows = int(group.attrs["MATLAB_sparse"])
    if "data" not in group:  # nothing but zeros
        return csc_array((rows, len(columns) - 1))
    data, row = np.asarray(group["data"][()]), np.asarray(group["ir"][()], dtype=np.int64)
    return csc_array((data, row, columns), shape=(rows, len(columns) - 1))
