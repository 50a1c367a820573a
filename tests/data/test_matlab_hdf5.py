"""MATLAB's files of version 7.3 give what scipy makes of the same content in version 7."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csc_array

from hpsearch.data.array_files import read_arrays
from hpsearch.data.matlab_hdf5 import read_hdf5
from hpsearch.errors import DataError
from tests.matlab_files import write_73

NUMBERS = np.random.default_rng(0)
CELLS = np.empty((1, 3), dtype=object)
CELLS[0] = [NUMBERS.normal(size=(1, 4)), "Fp1", NUMBERS.normal(size=(2, 3))]
CONTENT: dict[str, Any] = {
    "matrix": NUMBERS.normal(size=(3, 5)),
    "cube": NUMBERS.normal(size=(2, 3, 4)).astype(np.float32),
    "row": np.arange(6)[None],
    "one": np.array([[7.5]]),
    "text": "an electrode",
    "mask": np.array([[True, False, True]]),
    "cells": CELLS,
    "sparse": csc_array(np.diag([1.0, 0.0, 3.0])[:, :2]),
    "none": csc_array((4, 3)),
    "structure": {"name": "Cz", "inner": {"rate": np.array([[128.0]])}, "pos": NUMBERS.normal(size=(2, 3))},
    "several": [{"labels": "Fp1", "X": np.array([[1.5]])}, {"labels": "Oz", "X": np.array([[-2.0]])}],
    "wave": np.array([[1 + 2j, 3 - 1j]]),
}


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            same(found[name], value)
    elif isinstance(expected, list) or getattr(expected, "dtype", np.dtype(float)).kind == "O":
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, str):
        assert found == expected
    else:
        one, other = (
            value.toarray() if hasattr(value, "toarray") else np.asarray(value) for value in (found, expected)
        )
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype or (one.dtype.kind == other.dtype.kind == "f")


@pytest.mark.parametrize("name", CONTENT)
def test_a_variable_is_what_scipy_makes_of_it_in_version_7(name: str, tmp_path: Path) -> None:
    content = {"first": np.arange(3.0), name: CONTENT[name]}
    savemat(tmp_path / "seven.mat", content)
    expected = loadmat(tmp_path / "seven.mat", simplify_cells=True)
    found = read_arrays(write_73(tmp_path / "newer.mat", content))
    assert list(found) == sorted(content)
    if name == "mask":  # scipy keeps it as numbers of 8 bits
        expected["mask"] = expected["mask"].astype(bool)
    for each in content:
        same(found[each], expected[each])


def test_what_python_has_nothing_for_is_left_out(tmp_path: Path) -> None:
    import h5py

    place = write_73(tmp_path / "table.mat", {"a": np.arange(3.0)})
    with h5py.File(place, "r+") as file:
        file.create_dataset("table", data=np.arange(6, dtype=np.uint32)).attrs["MATLAB_object_decode"] = 3
    assert list(read_hdf5(place)) == ["a"]


def test_values_of_another_file_are_not_read(tmp_path: Path) -> None:
    import h5py

    (tmp_path / "secret").write_bytes(b"1234567890")
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("a", shape=(10,), dtype="u1", external=[(str(tmp_path / "secret"), 0, 10)])
    with pytest.raises(DataError, match=r"in another file|damaged, or not a MATLAB file"):
        read_arrays(tmp_path / "a.mat")


def test_cells_that_each_name_the_next_twice_come_to_an_end(tmp_path: Path) -> None:
    """Read again and again they would take 2 to the power of 40 readings."""
    import h5py

    with h5py.File(tmp_path / "a.mat", "w") as file:
        named = file.create_dataset("#refs#/x", data=np.ones((1, 1))).ref
        for level in range(40):
            place = "top" if level == 39 else f"#refs#/{level}"
            cell = file.create_dataset(place, (1, 2), dtype=h5py.ref_dtype)
            cell.attrs["MATLAB_class"] = np.bytes_("cell")
            cell[0, 0] = cell[0, 1] = named
            named = cell.ref
    assert list(read_hdf5(tmp_path / "a.mat")) == ["top"]


def test_a_missing_package_is_said_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_73(tmp_path / "a.mat", {"a": np.arange(3.0)})
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "h5py" else find(name))
    with pytest.raises(DataError, match=r'a\.mat, a MATLAB file of version 7\.3, needs the package h5py.*\[hdf5\]"'):
        read_arrays(place)


def test_a_file_that_is_cut_off_is_said(tmp_path: Path) -> None:
    place = write_73(tmp_path / "a.mat", {"a": np.arange(3000.0)})
    place.write_bytes(place.read_bytes()[:4000])
    with pytest.raises(DataError, match="damaged, or not a MATLAB file"):
        read_arrays(place)
