import numpy as np
import pytest
from PIL import Image

from hpsearch.data.movies import pixel_size, write_image
from hpsearch.data.rendering import render, write_png


def test_a_histogram_counts_molecules_in_their_pixels():
    x, y = np.array([0.0, 2.4, 2.4, 7.0, -0.4, 5.0]), np.array([0.0, 1.4, 0.6, 1.0, 0.4, -0.6])
    image = render(x, y, None, height=3, width=6)
    assert (image.sum(), image[0, 0], image[1, 2]) == (4, 2, 2)


@pytest.mark.parametrize("deviation", [0.7, 2.0, 5.3])
def test_a_gaussian_is_as_wide_as_it_should_be(deviation):
    image = render(np.array([40.0]), np.array([30.0]), np.array([deviation]), height=61, width=81)
    assert image.sum() == pytest.approx(1, rel=1e-3)
    for axis, centre in ((0, 40), (1, 30)):
        profile = image.sum(axis=axis)
        assert profile @ (np.arange(len(profile)) - centre) ** 2 == pytest.approx(deviation**2, rel=0.2)


def test_images_are_written(tmp_path):
    image = render(np.array([3.0]), np.array([1.0]), None, height=4, width=6)
    write_png(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as found:
        assert (found.size, found.getpixel((3, 1)), found.getpixel((1, 3))) == ((6, 4), 255, 0)
    write_image(tmp_path / "a.tif", image, pixel=12.5)
    assert pixel_size(tmp_path / "a.tif") == pytest.approx(12.5, rel=1e-3)
    write_png(tmp_path / "dark.png", np.zeros((4, 6), np.float32))
