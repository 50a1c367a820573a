import re

import numpy as np
import pytest

from hpsearch.data.emitter_tables import misfits, read_emitters
from hpsearch.errors import DataError
from tests.recorded import CHALLENGE, THUNDERSTORM, write_table

ROWS = [(2, 150.0, 50.0, -30.0, 800.0), (1, 100.0, 250.0, 12.5, 1500.0)]
BY_FRAME = [(0, 0.5, 2.0, 12.5, 1500.0), (1, 1.0, 0.0, -30.0, 800.0)]
"""The same, ordered, in pixels of 100 nm whose centres are whole numbers: 50 nm from the corner is the first centre."""


def told(table):
    return list(zip(table.frame, table.x, table.y, table.z, table.photons, strict=True))


@pytest.mark.parametrize("header", ["", CHALLENGE])
def test_the_challenge_s_tables_with_and_without_names(header, tmp_path):
    assert told(read_emitters(write_table(tmp_path / "t.csv", ROWS, header), pixel=100)) == BY_FRAME


def test_a_table_of_thunderstorm(tmp_path):
    rows = [(frame, x, y, z, 130.0, photons, 10.0) for frame, x, y, z, photons in ROWS]
    assert told(read_emitters(write_table(tmp_path / "t.csv", rows, THUNDERSTORM), pixel=100)) == BY_FRAME


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("id;frame;xnm;ynm;znm;phot", ROWS),
        ('"","y [um]","x [um]","frame","z [nm]","photons"', [(y / 1e3, x / 1e3, f, z, n) for f, x, y, z, n in ROWS]),
        ("#,Frame,x [px],y [px],z [nm],Intensity (photons)", [(f, x / 100, y / 100, z, n) for f, x, y, z, n in ROWS]),
    ],
)
def test_other_names_units_and_separators(header, rows, tmp_path):
    path = write_table(tmp_path / "t.csv", rows, header)
    if ";" in header:
        path.write_text(path.read_text().replace(", ", ";"))
    found = np.array(told(read_emitters(path, pixel=100)))
    np.testing.assert_allclose(found, BY_FRAME, atol=1e-9)


def test_the_origin_is_a_corner_or_a_centre(tmp_path):
    path = write_table(tmp_path / "t.csv", ROWS)
    corner, center = (read_emitters(path, pixel=100, origin=origin) for origin in ("corner", "center"))
    np.testing.assert_allclose(center.x - corner.x, 0.5)
    np.testing.assert_allclose(center.y, [2.5, 0.5])


def test_frames_may_count_from_0_and_columns_may_be_missing(tmp_path):
    table = read_emitters(
        write_table(tmp_path / "t.csv", [(0, 1, 2)], "id,frame,x [nm],y [nm]"), pixel=1, first_frame=0
    )
    assert (table.frame.tolist(), table.z, table.photons) == ([0], None, None)


def test_a_table_with_names_only_has_no_molecules(tmp_path):
    assert not len(read_emitters(write_table(tmp_path / "t.csv", []), pixel=100).frame)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,frame,a,y\n1,1,2,3\n", "no column for x; it has 'id', 'frame', 'a', 'y'"),
        ("id,frame,x [mm],y [nm]\n1,1,2,3\n", "is in mm; expected nm, um or px"),
        ("frame,x,y,intensity [AD]\n1,1,2,3\n", "counts of the camera; expected photons"),
        ("frame,x,xnano,y\n1,1,2,3\n", "two columns for x"),
        ("1,1,100,200\n", "4 columns without names"),
        ("frame,x,y\n1,1,a\n", "table of numbers"),
        ("frame,x,y\n1,1,nan\n", "line 2 holds a number that is not finite"),
        ("frame,x,y\n1.5,1,2\n", "1.5, no frame number"),
        ("frame,x,y\n1,1\n", "table of numbers"),
        ("", "begins with an empty line"),
    ],
)
def test_what_is_no_table_of_molecules_is_refused(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_emitters(tmp_path / "t.csv", pixel=100)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no molecule"),
        ([(0, 100, 100, 0, 1)], r"frames go from 0 to 0, and the movie has the frames 1 to 12 \(set first_frame: 0"),
        ([(13, 100, 100, 0, 1)], "frames go from 13 to 13"),
        ([(1, 2500, 100, 0, 1)], r"go to 2500 x 100 nm, and the frames are 2400 x 1600 nm"),
        ([(1, 23, 12, 0, 1), (2, 1, 15, 0, 1)], "seem to be in pixels"),
        ([(1, 2390, 1590, 0, 1), (12, 1, 2, 0, 1)], None),
    ],
)
def test_a_table_of_another_movie_is_found(rows, message, tmp_path):
    table = read_emitters(write_table(tmp_path / "t.csv", rows), pixel=100)
    told = misfits(table, frames=12, height=16, width=24, pixel=100)
    assert re.search(message, told) if message else not told
