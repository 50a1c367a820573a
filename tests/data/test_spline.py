"""A spline against scipy's, against the Gaussian that it was drawn through, and in SMAP's files."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.io import savemat

from hpsearch.data.point_spread import Astigmatic
from hpsearch.data.spline import Spline, coefficients
from hpsearch.errors import DataError
from tests.matlab_files import write_73

LENS = Astigmatic(width=1.4, offset=200.0, focal_depth=350.0)
DZ, SIDE, SLICES = 50.0, 21, 17


def sampled(x=10.0, y=10.0):
    """The share of light of each pixel (slices, rows, columns) of a molecule in the middle, at -400 to 400 nm."""
    depths = DZ * (np.arange(SLICES) - SLICES // 2)
    return np.array([LENS.image(*(np.array([v]) for v in (x, y, z, 1.0)), size=SIDE) for z in depths])


@pytest.fixture(scope="module")
def spline(tmp_path_factory):
    path = tmp_path_factory.mktemp("spline") / "psf.npz"
    np.savez(path, psf=sampled(), dz=DZ)
    return Spline(path=str(path))


def one(psf, x, y, z, photons=1000.0, size=30):
    return psf.image(*(np.array([value]) for value in (x, y, z, photons)), size=size)


def test_the_polynomials_are_scipy_s_cubic_spline():
    values = np.random.default_rng(0).normal(size=(7, 6, 5))
    truth = RegularGridInterpolator([np.arange(length) for length in values.shape], values, method="cubic")
    cells = coefficients(values)
    assert cells.shape == (6, 5, 4, 64)
    for place in np.random.default_rng(1).uniform(0, [6, 5, 4], (40, 3)):
        cell = place.astype(int)
        row, column, depth = (place - cell)[:, None] ** np.arange(4)
        found = cells[tuple(cell)] @ (depth[:, None, None] * column[:, None] * row).ravel()
        assert found == pytest.approx(float(truth(place)[0]), abs=1e-4)  # scipy iterates


@pytest.mark.parametrize("place", [(14.0, 12.0, 0.0), (13.3, 15.8, 130.0), (14.6, 11.2, -310.0)])
def test_it_is_the_image_that_it_was_drawn_through(place, spline):
    np.testing.assert_allclose(one(spline, *place), one(LENS, *place), atol=0.6)  # of 1000 photons


def test_rows_are_y_unless_transposed(spline):
    image = one(spline, 14.0, 12.0, -200.0)
    assert np.unravel_index(image.argmax(), image.shape) == (12, 14)
    turned = one(spline.model_copy(update={"transposed": True}), 14.0, 12.0, -200.0)
    np.testing.assert_allclose(turned, one(spline, 14.0, 12.0, 200.0), atol=0.6)  # the lens turned by 90 degrees
    inverted = one(spline.model_copy(update={"invert": True}), 14.0, 12.0, -200.0)
    np.testing.assert_allclose(inverted, one(spline, 14.0, 12.0, 200.0), atol=1e-9)


def test_molecules_near_the_edge_and_outside_keep_their_place(spline):
    for x, y in ((0.2, 3.0), (-3.0, 28.0), (29.4, 29.4), (80.0, 5.0)):
        np.testing.assert_allclose(one(spline, x, y, 50.0), one(LENS, x, y, 50.0), atol=0.6)


def test_the_widths_tell_the_depth(spline):
    z = np.linspace(-350, 350, 15)
    np.testing.assert_allclose(spline.depth(*LENS.widths(z)), z, atol=30)
    assert spline.range == (-400, 400)


@pytest.mark.parametrize("form", ["SXY", "regions", "cspline", "cspline_psf_model", "cells", "7.3"])
def test_smap_s_files(form, spline, tmp_path):
    values = coefficients(sampled().transpose(1, 2, 0))
    content = {"coeff": values, "dz": DZ, "x0": 11.0, "z0": float(SLICES // 2)}
    if form == "cells":
        boxed = np.empty(1, dtype=object)
        boxed[0] = values
        content["coeff"] = boxed
    whole = {form: content} if form.startswith("cspline") else {"SXY": {"cspline": content}}
    if form == "regions":  # of the field, each with a spline of its own
        regions = np.empty((2, 2), dtype=[("cspline", object), ("region", object)])
        for place in np.ndindex(2, 2):
            regions[place] = (content, 1.0)
        whole = {"SXY": regions}
    if form == "7.3":
        content |= {name: np.array([[value]]) for name, value in content.items() if name != "coeff"}
        write_73(tmp_path / "psf.mat", whole)
    else:
        savemat(tmp_path / "psf.mat", whole)
    np.testing.assert_allclose(
        one(Spline(path=str(tmp_path / "psf.mat")), 13.3, 15.8, 130.0), one(spline, 13.3, 15.8, 130.0), atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mat", {"SXY": {"gauss": 1}}, "holds SXY, and no coeff of a spline"),
        ("a.mat", {"cspline": {"coeff": np.zeros((3, 3, 3, 8)), "dz": 1, "x0": 2, "z0": 1}}, "expected .rows, columns"),
        ("a.mat", b"MATLAB 5.0", "damaged, or not a MATLAB file"),
        ("a.npz", {"psf": sampled()}, "has no dz"),
        ("a.npz", {"psf": np.ones((3, 5, 5)), "dz": 1}, "4 or more"),
        ("a.npz", {"psf": sampled() * 500, "dz": 50}, "add up to 500"),
        ("a.npz", b"PK", "cannot be read as .npz"),
        ("a.txt", b"", "expected a spline"),
    ],
)
def test_what_is_no_spline_is_refused(name, content, message, tmp_path):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif name.endswith("mat"):
        savemat(path, content)
    else:
        np.savez(path, **content)
    with pytest.raises(DataError, match=message):
        _ = Spline(path=str(path)).loaded
