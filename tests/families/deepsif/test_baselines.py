import numpy as np
import pytest
import torch

from hpsearch.data.lead_field import load_lead_field
from hpsearch.families.deepsif.baselines import estimate_sources, minimum_norm, regularisation, sloreta


@pytest.fixture(scope="module")
def gain():
    return load_lead_field(16, 64).gain


def centred(generator, *shape):
    values = generator.standard_normal(shape)
    return values - values.mean(axis=0)


@pytest.mark.parametrize("decibels", [0.0, 12.5, 30.0])
def test_minimum_norm_solves_its_least_squares_problem(gain, decibels):
    """min |x - G j|^2 + lambda |j|^2, solved as one stacked least-squares problem."""
    measured = centred(np.random.default_rng(0), 16, 5)
    penalty = regularisation(gain, decibels=decibels)
    stacked = np.concatenate([gain, np.sqrt(penalty) * np.eye(64)])
    expected = np.linalg.lstsq(stacked, np.concatenate([measured, np.zeros((64, 5))]), rcond=None)[0]
    np.testing.assert_allclose(minimum_norm(gain, decibels=decibels) @ measured, expected, rtol=1e-6, atol=1e-9)


def test_the_regularisation_is_the_noise_for_sources_of_power_one(gain):
    generator = np.random.default_rng(0)
    potentials = gain @ generator.standard_normal((64, 200_000))
    assert regularisation(gain, decibels=10.0) == pytest.approx(np.mean(potentials**2) / 10, rel=0.02)


@pytest.mark.parametrize("decibels", [5.0, 20.0, 80.0])
def test_sloreta_localises_single_dipoles_without_error(gain, decibels):
    """Pascual-Marqui 2002; the minimum norm estimate does not, so that the test can fail."""
    peaks = np.abs(sloreta(gain, decibels=decibels) @ gain).argmax(axis=0)
    assert np.array_equal(peaks, np.arange(64))
    plain = np.abs(minimum_norm(gain, decibels=decibels) @ gain).argmax(axis=0)
    assert np.mean(plain == np.arange(64)) < 0.9


def test_sloreta_divides_by_the_square_root_of_the_resolution(gain):
    operator = minimum_norm(gain, decibels=10.0)
    expected = operator / np.sqrt(np.diag(operator @ gain))[:, None]
    np.testing.assert_allclose(sloreta(gain, decibels=10.0), expected)


def test_estimates_are_scaled_to_one_and_silence_stays_silent():
    operator = torch.randn(7, 4)
    eeg = torch.cat([torch.randn(2, 9, 4), torch.zeros(1, 9, 4)])
    activity = estimate_sources(operator, eeg)
    assert activity.shape == (3, 9, 7)
    torch.testing.assert_close(activity.abs().amax(dim=(1, 2)), torch.tensor([1.0, 1.0, 0.0]))
    direct = operator @ eeg[0, 5]
    torch.testing.assert_close(activity[0, 5] / activity[0, 5, 0], direct / direct[0], rtol=1e-4, atol=1e-5)
