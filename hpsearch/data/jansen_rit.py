"""The Jansen-Rit neural mass: the activity of a patch of cortex, with epileptiform spikes when it is over-excited.

Jansen and Rit, Biological Cybernetics 73:357-366, 1995. Three populations (pyramidal, excitatory, inhibitory), each
with a post-synaptic potential y and its derivative. With time in ms, potentials in mV and firing rates in 1/ms:

    y0'' = A a S(y1 - y2)                     - 2 a y0' - a^2 y0
    y1'' = A a (p + 0.8 J S(J y0))            - 2 a y1' - a^2 y1       (the noise enters here)
    y2'' = B b (0.25 J S(0.25 J y0))          - 2 b y2' - b^2 y2
    S(v) = 2 e0 / (1 + exp(r (v0 - v)))

The measured signal is the pyramidal cells' net potential y1 - y2. Masses are independent of one another: the connectome
used by Sun et al. (2022) comes with a GPL-3 package.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class JansenRit:
    """The parameters of n masses; numbers hold for all of them, arrays have shape (n,)."""

    excitatory_gain: float | Array = 3.25
    """A in mV; 3.5 makes a mass spike now and then (Sun et al. 2022)."""
    inhibitory_gain: float | Array = 22.0
    """B in mV."""
    excitatory_rate: float = 0.1
    """a in 1/ms."""
    inhibitory_rate: float = 0.05
    """b in 1/ms."""
    synapses: float = 135.0
    """J, the mean number of synaptic contacts; the four connections are J, 0.8 J, 0.25 J and 0.25 J."""
    half_maximum: float = 6.0
    """v0 in mV, the potential at which half of the cells fire."""
    half_rate: float = 0.0025
    """e0 in 1/ms, half of the largest firing rate."""
    steepness: float = 0.56
    """r in 1/mV."""
    mean_input: float | Array = 0.22
    """p in 1/ms, the firing rate that arrives from elsewhere."""
    noise: float | Array = 0.0
    """Standard deviation that white noise gives y1' in one ms, in mV/ms."""

    def firing_rate(self, potential: Array) -> Array:
        """Return S(v) in 1/ms of a potential in mV."""
        rate: Array = 2.0 * self.half_rate / (1.0 + np.exp(self.steepness * (self.half_maximum - potential)))
        return rate

    @cached_property
    def _rates(self) -> Array:
        """The rates of the three kinds of synapses, (3, 1) in 1/ms."""
        return np.array([[self.excitatory_rate], [self.excitatory_rate], [self.inhibitory_rate]])

    @cached_property
    def _gains(self) -> Array:
        """What an arriving rate of 1/ms adds to the derivatives per ms, (3, n or 1) in mV."""
        excitatory, inhibitory = np.atleast_1d(self.excitatory_gain), np.atleast_1d(self.inhibitory_gain)
        return np.stack(np.broadcast_arrays(excitatory, excitatory, inhibitory)) * self._rates

    def drift(self, state: Array) -> Array:
        """Return d state / dt in 1/ms; a state (6, n) holds y0, y1, y2 in mV and then their derivatives in mV/ms."""
        contacts, pyramidal = self.synapses, state[0]
        arriving = self.firing_rate(np.stack([state[1] - state[2], contacts * pyramidal, 0.25 * contacts * pyramidal]))
        arriving[1] *= 0.8 * contacts
        arriving[1] += self.mean_input
        arriving[2] *= 0.25 * contacts
        change = np.empty_like(state)
        change[:3] = state[3:]
        change[3:] = self._gains * arriving - self._rates * (2.0 * state[3:] + self._rates * state[:3])
        return change


def potential(state: Array) -> Array:
    """Return the net post-synaptic potential y1 - y2 in mV of a state (6, n)."""
    difference: Array = state[1] - state[2]
    return difference


def trajectory(
    masses: JansenRit, initial: Array, *, step: float, steps: int, generator: np.random.Generator | None = None
) -> Iterator[Array]:
    """Yield the states (6, n) after each of `steps` steps of `step` ms, by Heun's method.

    The noise is additive, so one increment serves both halves of the step (stochastic Heun). Without a generator the
    system is integrated without noise, and the error is of second order in the step.
    """
    state = np.array(initial, dtype=np.float64)
    increment = np.zeros_like(state)
    scale = np.asarray(masses.noise) * np.sqrt(step)
    for _ in range(steps):
        if generator is not None:
            increment[4] = scale * generator.standard_normal(state.shape[1])
        slope = masses.drift(state)
        predicted = state + step * slope + increment
        state = state + 0.5 * step * (slope + masses.drift(predicted)) + increment
        yield state


def simulate_potential(
    masses: JansenRit, count: int, *, rate: float, samples: int, settle: float, generator: np.random.Generator
) -> Array:
    """Return y1 - y2 in mV of `count` noisy masses, shape (count, samples), at `rate` Hz after `settle` ms of run-in.

    The step is the longest one up to 0.5 ms of which a sample holds a whole number.
    """
    every = int(np.ceil(1000.0 / rate / 0.5))
    step = 1000.0 / rate / every
    skipped = int(np.ceil(settle * rate / 1000.0))
    kept = np.empty((samples, count))
    states = trajectory(masses, np.zeros((6, count)), step=step, steps=(skipped + samples) * every, generator=generator)
    for index, state in enumerate(states, start=1):
        sample = index // every - 1 - skipped
        if index % every == 0 and sample >= 0:
            kept[sample] = potential(state)
    return kept.T


def find_spikes(signal: Array, *, threshold: float, apart: int, margin: int) -> NDArray[np.int64]:
    """Return the positions of a signal's spikes: local maxima of at least `threshold` mV.

    A spike lies more than `apart` samples behind the spike before it and at least `margin` samples from both ends.
    """
    inner = signal[1:-1]
    peaks = 1 + np.flatnonzero((inner >= threshold) & (inner > signal[:-2]) & (inner >= signal[2:]))
    kept: list[int] = []
    last = -apart - 1
    for peak in peaks.tolist():
        if peak - last > apart:
            last = peak
            if margin <= peak < len(signal) - margin:
                kept.append(peak)
    return np.array(kept, dtype=np.int64)
