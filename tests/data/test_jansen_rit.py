"""Against scipy's solvers and the published bifurcations of the model (Grimbert and Faugeras, Neural Comp. 2006)."""

from collections import deque

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import root

from hpsearch.data.jansen_rit import JansenRit, find_spikes, potential, simulate_potential, trajectory


def last_state(masses, *, step, steps, count=1):
    return deque(trajectory(masses, np.zeros((6, count)), step=step, steps=steps), maxlen=1)[0]


def fixed_point(masses, guess):
    """The equilibrium from the three algebraic equations that remain when nothing moves, not from the drift."""
    firing, contacts = masses.firing_rate, masses.synapses
    gain, inhibition = masses.excitatory_gain / 0.1, masses.inhibitory_gain / 0.05

    def equations(y):
        return [
            y[0] - gain * firing(y[1] - y[2]),
            y[1] - gain * (masses.mean_input + 0.8 * contacts * firing(contacts * y[0])),
            y[2] - inhibition * 0.25 * contacts * firing(0.25 * contacts * y[0]),
        ]

    start = gain * firing(guess)
    solved = root(equations, [start, guess + 10.0, 10.0], tol=1e-13)
    assert solved.success
    return np.append(solved.x, np.zeros(3))


@pytest.mark.parametrize(("mean_input", "guess"), [(0.0, 0.0), (0.05, 0.0), (0.9, 9.0)])
def test_without_noise_it_comes_to_rest_at_the_fixed_point(mean_input, guess):
    masses = JansenRit(mean_input=mean_input)
    state = last_state(masses, step=1.0, steps=1500)[:, 0]
    np.testing.assert_allclose(state, fixed_point(masses, guess), rtol=1e-6, atol=1e-8)


def growth_rate(mean_input):
    """The largest real part of the eigenvalues of the Jacobian at the upper fixed point, by central differences."""
    masses = JansenRit(mean_input=mean_input)
    point = fixed_point(masses, 7.0)
    assert point[1] - point[2] > 6.0
    steps = 1e-6 * np.maximum(np.abs(point), 1e-3)
    columns = [
        (masses.drift((point + shift)[:, None]) - masses.drift((point - shift)[:, None]))[:, 0] / (2 * shift.max())
        for shift in np.diag(steps)
    ]
    return np.linalg.eigvals(np.stack(columns, axis=1)).real.max()


@pytest.mark.parametrize(("below", "above", "rises"), [(89.7, 89.95, True), (315.55, 315.85, False)])
def test_the_alpha_rhythm_begins_and_ends_at_the_published_hopf_bifurcations(below, above, rises):
    before, after = growth_rate(below / 1000), growth_rate(above / 1000)
    assert (before < 0 < after) if rises else (before > 0 > after)


def test_the_standard_mass_oscillates_at_alpha():
    masses = JansenRit(mean_input=0.22)
    states = list(trajectory(masses, np.zeros((6, 1)), step=1.0, steps=3000))[1000:]
    signal = np.array([potential(state)[0] for state in states])
    spectrum = np.abs(np.fft.rfft(signal - signal.mean()))
    assert 8 <= np.argmax(spectrum) / 2.0 <= 13  # 2 s: bins of 0.5 Hz
    assert 2 < np.ptp(signal) < 10


def test_heun_is_of_second_order():
    masses = JansenRit(mean_input=0.22)
    exact = solve_ivp(
        lambda _, y: masses.drift(y[:, None])[:, 0], (0, 64), np.zeros(6), "DOP853", rtol=1e-11, atol=1e-13
    )
    errors = [
        np.abs(last_state(masses, step=step, steps=round(64 / step))[:, 0] - exact.y[:, -1]).max()
        for step in (0.25, 0.125, 0.0625)
    ]
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4.0, rtol=0.1)


def test_the_noise_enters_at_its_stated_strength():
    masses = JansenRit(noise=0.3)
    generator = np.random.default_rng(0)
    state = next(trajectory(masses, np.zeros((6, 20_000)), step=0.01, steps=1, generator=generator))
    assert state[4].std() == pytest.approx(0.3 * np.sqrt(0.01), rel=0.02)
    assert np.all(state[[3, 5]].std(axis=1) < 1e-4)


def test_only_over_excited_masses_spike():
    def spikes(gain):
        masses = JansenRit(excitatory_gain=gain, mean_input=0.083, noise=0.0195 * 1.5)
        signals = simulate_potential(
            masses, 256, rate=250.0, samples=250, settle=300.0, generator=np.random.default_rng(3)
        )
        return sum(len(find_spikes(signal, threshold=8.0, apart=50, margin=10)) for signal in signals)

    assert spikes(3.25) == 0
    assert spikes(3.5) >= 5


def test_samples_stand_at_the_same_times_at_every_rate():
    masses = JansenRit(mean_input=np.array([0.05, 0.22]))
    fast, slow = (
        simulate_potential(masses, 2, rate=rate, samples=samples, settle=200.0, generator=np.random.default_rng(0))
        for rate, samples in ((500.0, 80), (125.0, 20))
    )
    assert fast.shape == (2, 80)
    np.testing.assert_allclose(fast[:, 3::4], slow, rtol=1e-12)


def test_spikes_are_high_apart_and_away_from_the_ends():
    signal = np.zeros(100)
    signal[[3, 20, 25, 40, 60, 97]] = [9, 9, 12, 7.9, 8, 9]
    signal[70:73] = 10  # a plateau counts once
    assert find_spikes(signal, threshold=8.0, apart=9, margin=5).tolist() == [20, 60, 70]
    assert find_spikes(signal, threshold=8.0, apart=10, margin=5).tolist() == [20, 60]
    assert find_spikes(signal, threshold=8.0, apart=4, margin=0).tolist() == [3, 20, 25, 60, 70, 97]
