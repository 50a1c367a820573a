import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.stats import norm

from hpsearch.data.point_spread import Astigmatic, Round, integrate_gaussian


def one(psf, *, x=20.0, y=20.0, z=0.0, photons=1.0, size=41):
    return psf.image(*(np.array([value]) for value in (x, y, z, photons)), size=size)


@pytest.mark.parametrize("psf", [Astigmatic(), Round()])
@pytest.mark.parametrize("z", [-400.0, 0.0, 250.0])
def test_no_photon_is_lost_on_a_large_frame(psf, z):
    assert one(psf, x=20.3, y=19.6, z=z, photons=1234.0).sum() == pytest.approx(1234.0, rel=1e-6)


def test_half_the_light_of_a_molecule_on_the_edge_is_outside():
    assert one(Round(), x=-0.5, photons=100.0).sum() == pytest.approx(50.0)


def test_a_pixel_holds_the_integral_of_the_density():
    psf = Astigmatic(width=1.1)
    width_x, width_y = psf.widths(np.array([180.0]))
    image = one(psf, x=4.3, y=5.9, z=180.0, size=11)
    for row, column in ((5, 4), (6, 5), (4, 6), (8, 3)):
        expected, _ = dblquad(
            lambda y, x: norm.pdf(x, 4.3, width_x[0]) * norm.pdf(y, 5.9, width_y[0]),
            column - 0.5,
            column + 0.5,
            row - 0.5,
            row + 0.5,
        )
        assert image[row, column] == pytest.approx(expected, rel=1e-6)


def test_molecules_add_up():
    psf, generator = Astigmatic(), np.random.default_rng(0)
    x, y, z, photons = (generator.uniform(low, high, 5) for low, high in ((0, 11), (0, 11), (-500, 500), (10, 90)))
    apart = sum(one(psf, x=x[i], y=y[i], z=z[i], photons=photons[i], size=12) for i in range(5))
    np.testing.assert_allclose(psf.image(x, y, z, photons, size=12), apart)


def test_the_foci_of_x_and_y_lie_on_either_side():
    psf = Astigmatic(width=1.3, offset=250.0, focal_depth=280.0)
    z = np.linspace(-800, 800, 1601)
    width_x, width_y = psf.widths(z)
    assert z[width_x.argmin()] == -250
    assert z[width_y.argmin()] == 250
    assert width_x.min() == width_y.min() == 1.3
    np.testing.assert_allclose(psf.widths(np.array([30.0]))[0], 1.3 * np.sqrt(2))  # 280 nm from its focus
    np.testing.assert_allclose(width_x, width_y[::-1])


def test_rows_are_y_and_columns_are_x():
    image = one(Astigmatic(), x=30.0, y=8.0, z=-250.0)
    assert np.unravel_index(image.argmax(), image.shape) == (8, 30)
    place = np.arange(41)
    spread_x, spread_y = (image.sum(axis=axis) @ (place - at) ** 2 for axis, at in ((0, 30), (1, 8)))
    assert spread_x == pytest.approx(1.3**2 + 1 / 12, rel=1e-3)  # in focus; a pixel's own width comes on top
    assert spread_y > 4 * spread_x


@pytest.mark.parametrize(("psf", "low"), [(Astigmatic(), -700), (Round(), 0)])
def test_the_widths_tell_the_depth(psf, low):
    z = np.linspace(low, 700, 50)
    np.testing.assert_allclose(psf.depth(*psf.widths(z)), z, atol=1e-4)


def test_a_spot_narrower_than_the_focus_is_in_focus():
    assert Round().depth(np.array([0.5]), np.array([0.5])) == 0


def test_a_wide_distribution_is_flat_and_a_narrow_one_is_in_its_pixel():
    np.testing.assert_allclose(integrate_gaussian(np.array([3.0]), np.array([1e6]), 7), 1 / (1e6 * np.sqrt(2 * np.pi)))
    np.testing.assert_allclose(integrate_gaussian(np.array([3.2]), np.array([1e-3]), 7), np.eye(7)[[3]], atol=1e-12)
