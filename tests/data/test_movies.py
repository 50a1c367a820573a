import numpy as np
import pytest
import tifffile

from hpsearch.data.movies import open_movie
from hpsearch.errors import DataError
from tests.recorded import WRITERS, counts


@pytest.mark.parametrize("name", WRITERS)
def test_a_stack_is_read_as_it_was_written(name, tmp_path):
    path, movie = tmp_path / "movie.tif", counts()
    WRITERS[name](path, movie)
    found = open_movie(path)
    assert (found.frames, found.height, found.width, found.dtype.kind) == (12, 16, 24, "u")
    np.testing.assert_array_equal(found.counts(1, 12), movie)
    np.testing.assert_array_equal(found.counts(3, 5), movie[2:5])
    np.testing.assert_array_equal(np.concatenate(list(found.blocks(5))), movie)


@pytest.mark.parametrize(("name", "mapped"), [("imagej", True), ("ome", True), ("bigtiff", True), ("zlib", False)])
def test_what_is_not_compressed_stays_in_its_file(name, mapped, tmp_path):
    WRITERS[name](tmp_path / "movie.tif", counts())
    assert isinstance(open_movie(tmp_path / "movie.tif").counts(2, 4), np.memmap) == mapped


@pytest.mark.parametrize("part", [0.05, 0.6, 0.95])
@pytest.mark.parametrize("name", WRITERS)
def test_half_a_file_is_refused(name, part, tmp_path):
    path = tmp_path / "movie.tif"
    WRITERS[name](path, counts(frames=40))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=r"movie\.tif") as raised:
        open_movie(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("id,frame,x"), "not a TIFF file"),
        (lambda path: tifffile.imwrite(path, np.zeros((5, 8, 8, 3), np.uint8), photometric="rgb"), "colour image"),
        (lambda path: tifffile.imwrite(path, np.zeros((9, 2, 8, 8), np.uint16), imagej=True), "axes"),
        (lambda path: tifffile.imwrite(path, counts()[0]), "1 image; a movie has at least 3"),
        (lambda path: tifffile.imwrite(path, counts().astype(complex), photometric="minisblack"), "complex"),
    ],
)
def test_what_is_no_movie_is_refused(write, message, tmp_path):
    write(tmp_path / "movie.tif")
    with pytest.raises(DataError, match=message):
        open_movie(tmp_path / "movie.tif")


def test_images_of_several_sizes_are_no_movie(tmp_path):
    with tifffile.TiffWriter(tmp_path / "movie.tif") as writer:
        for size in (8, 8, 9):
            writer.write(np.zeros((size, size), np.uint16), metadata=None)
    with pytest.raises(DataError, match="several sizes"):
        open_movie(tmp_path / "movie.tif")
