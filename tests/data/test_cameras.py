"""Against the closed forms of mean and variance."""

import numpy as np
import pytest

from hpsearch.data.microscopy import EMCCD, SCMOS

PIXELS = 400_000


def counts(camera, photons):
    return camera.expose(np.full(PIXELS, float(photons)), np.random.default_rng(0))


@pytest.mark.parametrize("photons", [0.0, 30.0, 800.0])
def test_the_mean_is_that_of_the_chain_less_half_a_count(photons):
    """Rounding down takes half a count, on average."""
    for camera, gain in ((EMCCD(), 300.0), (SCMOS(), 1.0)):
        expected = gain * (photons * camera.quantum_efficiency + 0.002) / camera.electrons_per_count + 100 - 0.5
        assert counts(camera, photons).mean() == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("photons", [5.0, 200.0])
def test_the_register_doubles_the_variance(photons):
    """The excess noise factor of an EMCCD is sqrt(2): Var = 2 gain^2 mean + read noise^2, and 1/12 for rounding."""
    camera = EMCCD(electrons_per_count=5.0)
    expected = (2 * 300.0**2 * (photons * 0.9 + 0.002) + 74.4**2) / 5.0**2 + 1 / 12
    assert counts(camera, photons).var() == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize("photons", [5.0, 200.0])
def test_without_a_register_the_variance_is_that_of_the_photons_and_of_reading(photons):
    camera = SCMOS(read_noise=2.0)
    expected = (photons * 0.9 + 0.002 + 2.0**2) / 0.46**2 + 1 / 12
    assert counts(camera, photons).var() == pytest.approx(expected, rel=0.015)


@pytest.mark.parametrize("camera", [EMCCD(), SCMOS()])
def test_counts_are_whole_and_not_negative(camera):
    dark = counts(camera.model_copy(update={"baseline": 1.0}), 0.0)
    assert np.array_equal(dark, np.floor(dark))
    assert dark.min() == 0


@pytest.mark.parametrize("camera", [EMCCD(), SCMOS()])
@pytest.mark.parametrize("photons", [10.0, 500.0])
def test_the_way_back_finds_the_photons(camera, photons):
    estimate = camera.to_photons(counts(camera, photons))
    rounding = 0.5 * camera.electrons_per_count / camera.amplification / camera.quantum_efficiency
    assert estimate.mean() == pytest.approx(photons - rounding, rel=5e-3)


@pytest.mark.parametrize("camera", [EMCCD(), SCMOS()])
def test_darkness_below_zero_is_darkness(camera):
    assert np.array_equal(counts(camera, -5.0), counts(camera, 0.0))
