"""Beads through a known lens: their widths give the lens back."""

import numpy as np
import pytest
import tifffile

from hpsearch.data.beads import Calibration, fit_curves, huang
from hpsearch.data.microscopy import MicroscopySettings, point_spread_objection, simulate_frames
from hpsearch.data.point_spread import Astigmatic
from hpsearch.errors import DataError

STEP = 40.0
DEPTHS = np.arange(-500, 501, STEP)
LENS = Astigmatic(width=1.4, offset=200.0, focal_depth=350.0)


def write_beads(path, psf=LENS, *, places=((12.3, 11.6), (30.8, 29.1), (11.2, 31.9)), depths=DEPTHS, level=100):
    x, y = np.array(places).T
    images = [psf.image(x, y, np.full(len(x), z), np.full(len(x), 20_000.0), size=44) + level for z in depths]
    noisy = np.random.default_rng(0).poisson(np.array(images)).astype(np.uint16)
    tifffile.imwrite(path, noisy, imagej=True)
    return str(path)


@pytest.fixture(scope="module")
def beads(tmp_path_factory):
    return Calibration(path=write_beads(tmp_path_factory.mktemp("beads") / "beads.tif"), step=STEP)


def test_the_lens_is_found(beads):
    """z = 0 is where both widths are equal, halfway between the foci."""
    assert beads.curves.beads == 3
    z = np.linspace(-450, 450, 19)
    for found, true in zip(beads.widths(z), LENS.widths(z), strict=True):
        np.testing.assert_allclose(found, true, rtol=0.02)
    np.testing.assert_allclose(beads.depth(*LENS.widths(z)), z, atol=20)
    assert beads.range == pytest.approx((-500, 500), abs=25)
    assert beads.width == pytest.approx(1.4, rel=0.02)


def test_molecules_look_like_the_beads(beads):
    one = [np.array([value]) for value in (12.4, 9.7, 150.0, 1000.0)]
    np.testing.assert_allclose(beads.image(*one, size=24), LENS.image(*one, size=24), atol=1.5)


def test_the_curve_is_huang_s():
    """Its numbers come back from widths without noise."""
    z = STEP * np.arange(26)
    true = ((1.2, 400.0, 300.0, 0.1, 0.05), (1.3, 620.0, 280.0, -0.08, 0.02))
    found = fit_curves(np.stack([huang(z, *each) for each in true], axis=1), step=STEP, what="beads")
    for curve, each in zip((found.x, found.y), true, strict=True):
        assert (curve.width, abs(curve.depth), curve.quartic) == pytest.approx((each[0], each[2], each[4]), rel=1e-3)
    assert found.y.centre - found.x.centre == pytest.approx(220, rel=1e-3)
    assert float(found.x(np.array(0.0))) == pytest.approx(float(found.y(np.array(0.0))), rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": DEPTHS[:5]}, "5 images of beads; at least 9"),
        ({"places": ((1.0, 1.0),)}, "no beads that lie apart"),
        ({"psf": Astigmatic(width=30.0)}, "beads"),
    ],
)
def test_what_shows_no_beads_is_refused(options, message, tmp_path):
    with pytest.raises(DataError, match=message):
        _ = Calibration(path=write_beads(tmp_path / "b.tif", **options), step=STEP).curves


def test_a_simulation_within_the_stack_s_depths(beads):
    def settings(depth):
        chosen = {"kind": "calibration", **beads.model_dump(include={"path", "step"})}
        return MicroscopySettings.model_validate(
            {"size": 16, "frames": {"train": 4}, "emitters": {"depth": depth}, "point_spread": chosen}
        )

    assert point_spread_objection(settings([-400, 400])) is None
    assert "covers depths from" in str(point_spread_objection(settings([-750, 750])))
    assert np.isfinite(simulate_frames(settings([-400, 400]), "train", 0)["frames"]).all()
