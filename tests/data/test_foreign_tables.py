"""Tables of rapidSTORM and Picasso, as these tools write them, and what does not fit in them."""

import importlib.util
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hpsearch.data.emitter_tables import read_emitters
from hpsearch.data.foreign_tables import conventions
from hpsearch.errors import DataError

FLOAT = 'syntax="floating point with . for decimals and optional scientific e-notation"'
HEADER = (
    '# <localizations insequence="true" repetitions="variable">'
    f'<field identifier="Position-0-0" {FLOAT} semantic="position in sample space in X" unit="nanometer" min="0 m" />'
    f'<field identifier="Position-1-0" {FLOAT} semantic="position in sample space in Y" unit="nanometer" min="0 m" />'
    '<field identifier="ImageNumber-0-0" syntax="integer" semantic="frame number" unit="frame" min="0 fr" />'
    f'<field identifier="Amplitude-0-0" {FLOAT} semantic="emission strength" unit="A/D count" /></localizations>'
)
LINES = "150 50 1 4810.2\n1.00e+2 250 0 9000\n"


def rapidstorm(folder: Path, header: str = HEADER, lines: str = LINES) -> Path:
    (folder / "table.txt").write_text(f"{header}\n{lines}")
    return folder / "table.txt"


def picasso(folder: Path, *, pixelsize: str = "100", name: str = "locs", **columns: Any) -> Path:
    """Write a table and its description as Picasso's Localize does."""
    given = {"frame": [0, 1], "x": [0.5, 1.0], "y": [2.0, 0.0], "photons": [1500.0, 800.0], "sx": [1.2, 1.3], **columns}
    kinds = [(key, "<u4" if key == "frame" else "<f4") for key in given]
    table = np.array(list(zip(*given.values(), strict=True)), dtype=kinds)
    with h5py.File(folder / "movie_locs.hdf5", "w") as file:
        file.create_dataset(name, data=table)
    (folder / "movie_locs.yaml").write_text(f"Box Size: 7\nPixelsize: {pixelsize}\n---\nFrames: 2\n")
    return folder / "movie_locs.hdf5"


def test_a_table_of_rapidstorm(tmp_path: Path) -> None:
    table = read_emitters(rapidstorm(tmp_path), pixel=100, first_frame=0)
    assert (table.frame.tolist(), table.x.tolist(), table.y.tolist()) == ([0, 1], [0.5, 1.0], [2.0, 0.0])
    assert (table.z, table.photons) == (None, None)  # counts of a camera are no photons
    assert conventions(tmp_path / "table.txt") == {"first_frame": 0}


def test_a_table_of_picasso(tmp_path: Path) -> None:
    table = read_emitters(picasso(tmp_path), pixel=100, origin="center", first_frame=0)
    assert (table.frame.tolist(), table.x.tolist(), table.y.tolist()) == ([0, 1], [0.5, 1.0], [2.0, 0.0])
    assert table.photons is not None
    assert (table.z, table.photons.tolist()) == (None, [1500.0, 800.0])
    assert conventions(tmp_path / "movie_locs.hdf5") == {"first_frame": 0, "origin": "center"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"header": HEADER.replace("ImageNumber", "Frame")}, "no column for frame; it has x, y"),
        ({"header": HEADER.replace('"nanometer"', '"parsec"')}, "x is in parsec; expected nanometer"),
        ({"lines": "150 50 1\n150 many 1\n"}, "cannot be read as a table of numbers"),
        ({"lines": "150 nan 1 3\n"}, "the column y holds a number that is not finite"),
        ({"lines": "150 50 1.5 3\n"}, "holds 1.5, no frame number"),
    ],
)
def test_what_is_wrong_in_a_table_of_rapidstorm(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_emitters(rapidstorm(tmp_path, **changes), pixel=100, first_frame=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixelsize": "130"}, r"movie_locs\.yaml says pixels of 130 nm, and the settings 100 nm"),
        ({"name": "molecules"}, "is no table of Picasso: it has no locs with columns, but molecules"),
        ({"x": [np.nan, 1.0]}, "the column x holds a number that is not finite"),
    ],
)
def test_what_is_wrong_in_a_table_of_picasso(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_emitters(picasso(tmp_path, **changes), pixel=100, first_frame=0)


def test_frames_that_count_from_0_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of rapidSTORM, which counts frames from 0: set first_frame: 0$"):
        read_emitters(rapidstorm(tmp_path), pixel=100)
    with pytest.raises(
        DataError, match=r"of Picasso, which counts frames from 0: set first_frame: 0 and origin: center"
    ):
        read_emitters(picasso(tmp_path), pixel=100)


def test_a_table_of_picasso_counts_from_the_centre_of_a_pixel(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="centre of the first pixel: set first_frame: 0 and origin: center"):
        read_emitters(picasso(tmp_path), pixel=100, first_frame=0)


@pytest.mark.parametrize("pixelsize", ["1.2.3", "100"])
def test_what_is_no_table_in_an_hdf5_file(pixelsize: str, tmp_path: Path) -> None:
    path = picasso(tmp_path, pixelsize=pixelsize)
    if pixelsize == "100":
        with h5py.File(path, "w") as file:
            file.create_group("locs")
        with pytest.raises(DataError, match=r"no table of Picasso|no HDF5 file"):
            read_emitters(path, pixel=100, first_frame=0, origin="center")
    else:  # a description that says nothing is no size
        assert len(read_emitters(path, pixel=100, first_frame=0, origin="center").x) == 2


def test_cut_files_and_a_missing_package_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = picasso(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(DataError, match="is damaged, or no HDF5 file"):
        read_emitters(path, pixel=100, first_frame=0)
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "h5py" else find(name))
    with pytest.raises(DataError, match=r'a table of Picasso, needs the package h5py.*\[hdf5\]"'):
        read_emitters(path, pixel=100, first_frame=0)
