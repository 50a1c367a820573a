"""Simulated EEG with known sources: epileptic spikes in patches of cortex, while the rest of the cortex hums along.

After Sun et al., PNAS 119(31) e2201128119, 2022: Jansen-Rit masses, patches on a real cortex (neighbouring regions
whose activity fades with the distance from the centre), a model of the head and sensor noise. Masses do not influence
one another, as theirs do. Without files of the user's the head is a sphere, and the sensor noise white.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.disk_cache import Arrays, cached_arrays
from hpsearch.data.eeg_pairs import load_pairs
from hpsearch.data.eeg_settings import VERSION, EEGSettings, Split, hashes_of, head_of, plain_settings, recorded_noise
from hpsearch.data.jansen_rit import JansenRit, find_spikes, simulate_potential
from hpsearch.data.lead_field import LeadField, average_reference
from hpsearch.data.preparation import counted
from hpsearch.data.recordings import draw_stretch

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HALF_WIDTH = 0.8493
"""The standard deviation of a Gaussian that has fallen to one half at distance 1: 1 / sqrt(2 ln 2)."""
_STREAMS: Mapping[Split, int] = {"train": 0, "val": 1, "test": 2}
_MEAN_INPUTS = (0.087, 0.08, 0.083)
"""1/ms; each with the noise factor at the same place, as Sun et al. (2022) drew them."""
_NOISE_FACTORS = (1.0, 1.7, 1.5)
_SPIKE_THRESHOLD = 8.0
"""mV."""
_SPIKE_INTERVAL = 20.0
"""s, about, between the spikes of an over-excited mass."""
_MASSES = 384
"""Simulated side by side."""


@dataclass(frozen=True)
class Patch:
    """A source: its regions (n,), the first of them the centre, and their magnitudes (n,), 1 at the centre."""

    regions: Integers
    magnitudes: Floats


def draw_patches(
    centres: Floats,
    neighbours: NDArray[np.bool_],
    *,
    count: int,
    sizes: tuple[int, int],
    generator: np.random.Generator,
) -> list[Patch]:
    """Return `count` patches that share no region; sizes in regions, both ends included.

    centres (R, 3) in mm, neighbours (R, R). The magnitude falls to one half at a distance of 40 to 60 mm.
    """
    free = np.ones(len(centres), dtype=bool)
    patches: list[Patch] = []
    for _ in range(count):
        centre = int(generator.choice(np.flatnonzero(free)))
        size = int(generator.integers(sizes[0], sizes[1] + 1))
        direction = generator.standard_normal(3)
        regions = grow_patch(centres, neighbours & free[:, None] & free, centre=centre, size=size, direction=direction)
        distance = np.linalg.norm(centres[regions] - centres[centre], axis=1)
        patches.append(Patch(regions, fade(distance, half=generator.uniform(40.0, 60.0))))
        free[regions] = False
        free &= ~neighbours[regions].any(axis=0)
        if not free.any():
            break
    return patches


def grow_patch(
    centres: Floats, neighbours: NDArray[np.bool_], *, centre: int, size: int, direction: Floats
) -> Integers:
    """Return about `size` regions around `centre`, ring by ring; a last, partial ring is filled along `direction`.

    A region that the patch surrounds is added, so that it has no holes; one that is cut off cannot be reached.
    """
    chosen = np.zeros(len(centres), dtype=bool)
    chosen[centre] = True
    order = [centre]
    while len(order) < size:
        ring = np.flatnonzero(neighbours[chosen].any(axis=0) & ~chosen)
        if len(ring) == 0:
            break
        ahead = (centres[ring] - centres[centre]) @ direction
        taken = ring[np.argsort(-ahead, kind="stable")][: size - len(order)]
        chosen[taken] = True
        order.extend(taken.tolist())
    touching = neighbours.any(axis=1)
    surrounded = touching & ~chosen & ~(neighbours & ~chosen).any(axis=1)
    order.extend(np.flatnonzero(surrounded).tolist())
    return np.array(order, dtype=np.int64)


def fade(distance: Floats, *, half: float) -> Floats:
    """Return the magnitudes at these distances from the centre: a Gaussian that is 1 at 0 and one half at `half`."""
    magnitude: Floats = np.exp(-(distance**2) / (2.0 * (HALF_WIDTH * half) ** 2))
    return magnitude


def scale_to_ratio(signal: Floats, background: Floats, *, decibels: float) -> float:
    """Return the factor for `background` at which the signal's power is `decibels` above the background's."""
    return float(np.sqrt(np.mean(signal**2) / np.mean(background**2) / 10.0 ** (decibels / 10.0)))


def load_eeg(settings: EEGSettings, split: Split, seed: int) -> Arrays:
    """Return one split of the data, from the cache when it is there; N examples, T samples, C electrodes, R regions.

    eeg (N, T, C) float32: average reference, mean 0 in time, largest magnitude 1.
    magnitudes (N, S, R) and waveforms (N, S, T) float32: the sources' activity is the sum over S of their products
    (T, R); it is exactly 0 outside the patches and its largest magnitude is 1. Unused sources are 0.

    Splits are drawn from separate streams of the seed and share no spike, no background, no recorded noise and no patch
    draw. Pairs from files have sources (N, T, R) instead of magnitudes and waveforms, see `eeg_pairs.load_pairs`.

    Raises:
        DataError: Files cannot be used.
    """
    if settings.pairs is not None:
        head, samples, rate = head_of(settings), settings.samples, settings.rate
        return load_pairs(settings.pairs, head, samples=samples, rate=rate, split=split, seed=seed)
    key = plain_settings(settings)
    key["examples"] = getattr(settings.examples, split)
    return cached_arrays(
        "eeg",
        {"version": VERSION, "settings": key, "split": split, "seed": seed, **hashes_of(settings)},
        lambda: simulate_eeg(settings, head_of(settings), split, seed),
        libraries=("mne", "nilearn", "scipy"),
    )


def simulate_eeg(settings: EEGSettings, field: LeadField, split: Split, seed: int) -> Arrays:
    """Simulate one split; see load_eeg."""
    generator = np.random.default_rng([seed, _STREAMS[split]])
    recorded = recorded_noise(settings, field, split)
    electrodes, regions = field.gain.shape
    spikes = simulate_spikes(settings, generator)
    background = simulate_background(settings, generator)
    examples: int = getattr(settings.examples, split)
    most = settings.patches.most
    eeg = np.empty((examples, settings.samples, electrodes), dtype=np.float32)
    magnitudes = np.zeros((examples, most, regions), dtype=np.float32)
    waveforms = np.zeros((examples, most, settings.samples), dtype=np.float32)
    for index in counted(range(examples), "examples simulated", examples):
        patch, wave = draw_sources(settings, field, spikes, generator)
        magnitudes[index, : len(patch)], waveforms[index, : len(wave)] = patch, wave
        measured = measure(settings, field, patch.T @ wave, background, generator, recorded=recorded)
        eeg[index] = measured.T
    return {"eeg": eeg, "magnitudes": magnitudes, "waveforms": waveforms}


def simulate_spikes(settings: EEGSettings, generator: np.random.Generator) -> Floats:
    """Return at least `settings.clips` clips (K, T) in mV of over-excited masses, a spike in the middle of each.

    The median of each clip, its level at rest, is subtracted.
    """
    before = settings.samples // 2
    length = settings.samples + int(settings.rate * max(1.0, 1.3 * settings.clips * _SPIKE_INTERVAL / _MASSES))
    clips: list[Floats] = []
    while len(clips) < settings.clips:
        signals = _simulate(settings, excitatory_gain=3.5, samples=length, generator=generator)
        for signal in signals:
            peaks = find_spikes(
                signal, threshold=_SPIKE_THRESHOLD, apart=round(0.2 * settings.rate), margin=settings.samples - before
            )
            clips.extend(signal[peak - before : peak - before + settings.samples] for peak in peaks)
    stacked = np.stack(clips)
    level: Floats = np.median(stacked, axis=1, keepdims=True)
    return stacked - level


def simulate_background(settings: EEGSettings, generator: np.random.Generator) -> Floats:
    """Return signals (M, L) in mV of masses at rest, without their means, from which clips are cut."""
    length = settings.samples + int(settings.rate)
    signals = _simulate(settings, excitatory_gain=3.25, samples=length, generator=generator)
    calm = signals[signals.max(axis=1) < _SPIKE_THRESHOLD]
    return centre_in_time(calm)


def _simulate(settings: EEGSettings, *, excitatory_gain: float, samples: int, generator: np.random.Generator) -> Floats:
    repeats = _MASSES // len(_MEAN_INPUTS)
    masses = JansenRit(
        excitatory_gain=excitatory_gain,
        mean_input=np.repeat(_MEAN_INPUTS, repeats),
        noise=0.1 * 3.25 * (0.15 - 0.03) * 0.5 * np.repeat(_NOISE_FACTORS, repeats),
    )
    return simulate_potential(masses, _MASSES, rate=settings.rate, samples=samples, settle=500.0, generator=generator)


def draw_sources(
    settings: EEGSettings, field: LeadField, spikes: Floats, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the magnitudes (S, R) and waveforms (S, T) of an example's sources; the largest product is 1."""
    patches = draw_patches(
        field.centres,
        field.neighbours,
        count=int(generator.integers(1, settings.patches.most + 1)),
        sizes=(settings.patches.smallest, settings.patches.largest),
        generator=generator,
    )
    magnitudes = np.zeros((len(patches), len(field.centres)))
    for row, patch in zip(magnitudes, patches, strict=True):
        row[patch.regions] = patch.magnitudes
    waveforms = spikes[generator.choice(len(spikes), size=len(patches), replace=False)]
    return magnitudes, waveforms / np.abs(waveforms).max()


def measure(
    settings: EEGSettings,
    field: LeadField,
    sources: Floats,
    background: Floats,
    generator: np.random.Generator,
    *,
    recorded: Sequence[Floats] = (),
) -> Floats:
    """Return the EEG (C, T) of sources (R, T): with the rest of the cortex, sensor noise, and normalised.

    `recorded` are pieces (C, T) of noise; without any, it is white.
    """
    spikes = centre_in_time(field.gain @ sources)
    silent = ~sources.any(axis=1)
    rest = centre_in_time(field.gain[:, silent] @ cut_clips(background, int(silent.sum()), settings.samples, generator))
    ratio = generator.uniform(*settings.background_snr)
    clean = spikes + scale_to_ratio(spikes, rest, decibels=ratio) * rest
    decibels = float(generator.choice(settings.snr))
    if settings.noise is not None:
        noise = centre_in_time(draw_stretch(recorded, settings.samples, generator))
        noisy = add_recorded_noise(clean, noise, decibels=decibels, share=settings.noise.share, generator=generator)
    else:
        noisy = add_sensor_noise(clean, decibels=decibels, generator=generator)
    normal = centre_in_time(average_reference(noisy))
    scaled: Floats = normal / np.abs(normal).max()
    return scaled


def cut_clips(signals: Floats, count: int, samples: int, generator: np.random.Generator) -> Floats:
    """Return `count` clips (count, samples), each from a random place of a random one of the signals (M, L)."""
    rows = generator.integers(len(signals), size=count)
    starts = generator.integers(signals.shape[1] - samples + 1, size=count)
    clips: Floats = signals[rows[:, None], starts[:, None] + np.arange(samples)]
    return clips


def centre_in_time(values: Floats) -> Floats:
    """Subtract each row's mean over time, the last dimension."""
    centred: Floats = values - values.mean(axis=-1, keepdims=True)
    return centred


def add_sensor_noise(clean: Floats, *, decibels: float, generator: np.random.Generator) -> Floats:
    """Add white noise to channels (C, T), in each `decibels` below the channel's own power."""
    power = np.mean(clean**2, axis=1, keepdims=True) / 10.0 ** (decibels / 10.0)
    noisy: Floats = clean + np.sqrt(power) * generator.standard_normal(clean.shape)
    return noisy


def add_recorded_noise(
    clean: Floats, noise: Floats, *, decibels: float, share: float, generator: np.random.Generator
) -> Floats:
    """Add recorded noise (C, T) to channels (C, T), `decibels` below their power over all channels.

    One factor scales all channels, so that the noise keeps its pattern over the head. Only `share` of the power is the
    recording's; the rest is white, see `add_sensor_noise`.
    """
    noisy: Floats = clean + np.sqrt(share) * scale_to_ratio(clean, noise, decibels=decibels) * noise
    if share == 1.0:
        return noisy
    white = add_sensor_noise(clean, decibels=decibels, generator=generator) - clean
    mixed: Floats = noisy + np.sqrt(1.0 - share) * white
    return mixed
