"""Simulated EEG with known sources: epileptic spikes in patches of cortex, while the rest of the cortex hums along.

After Sun et al., PNAS 119(31) e2201128119, 2022: Jansen-Rit masses, patches on a real cortex (neighbouring regions
whose activity fades with the distance from the centre), a model of the head and sensor noise. It differs from theirs in
three ways: masses do not influence one another, the head is a sphere, and no recorded noise is mixed in.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.data.disk_cache import Arrays, cached_arrays
from hpsearch.data.fingerprint import Source
from hpsearch.data.jansen_rit import JansenRit, find_spikes, simulate_potential
from hpsearch.data.lead_field import LeadField, average_reference, load_lead_field
from hpsearch.data.preparation import counted
from hpsearch.settings import Settings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HALF_WIDTH = 0.8493
"""The standard deviation of a Gaussian that has fallen to one half at distance 1: 1 / sqrt(2 ln 2)."""
_VERSION = 1
"""Raised when a change here or in the neural mass changes the data."""
_STREAMS = {"train": 0, "val": 1, "test": 2}
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


class Examples(Settings):
    """How many examples each split holds."""

    train: int = Field(default=2000, ge=1)
    val: int = Field(default=200, ge=1)
    test: int = Field(default=200, ge=1)


class PatchSettings(Settings):
    """How large and how many the sources are."""

    most: int = Field(default=2, ge=1, le=4)
    """The largest number of sources at a time; from 1 to this many are drawn."""
    smallest: int = Field(default=7, ge=1)
    """Regions of the smallest source; 7 are a centre and its neighbours."""
    largest: int = Field(default=40, ge=1)
    """Regions of the largest source."""

    @model_validator(mode="after")
    def _ordered(self) -> "PatchSettings":
        if self.smallest > self.largest:
            raise ValueError(
                f"the smallest source ({self.smallest} regions) is larger than the largest ({self.largest})"
            )
        return self


class EEGSettings(Settings):
    """What the simulated data look like; the defaults are those of Sun et al. (2022)."""

    electrodes: int = Field(default=75, ge=8, le=256)
    regions: int = Field(default=994, ge=32, le=2000)
    samples: int = Field(default=500, ge=16)
    """The length of a clip in samples."""
    rate: float = Field(default=500.0, ge=50, le=2000)
    """Samples per second, in Hz."""
    examples: Examples = Examples()
    snr: tuple[float, ...] = Field(default=(5.0, 10.0, 15.0, 20.0), min_length=1)
    """Power of the EEG over that of the sensor noise, in each channel, in dB; one is drawn for each example."""
    background_snr: tuple[float, float] = (10.0, 20.0)
    """Power at the sensors of the spikes over that of the rest of the cortex, in dB; drawn between these two."""
    patches: PatchSettings = PatchSettings()
    clips: int = Field(default=200, ge=8)
    """How many different spikes are simulated for each split, at least; sources draw theirs among them."""

    @model_validator(mode="after")
    def _fits(self) -> "EEGSettings":
        if 2 * self.patches.largest * self.patches.most > self.regions:
            many = f"{self.patches.most} sources of up to {self.patches.largest} regions"
            raise ValueError(f"{many} are too many for {self.regions} regions: at most half of them may be active")
        if self.background_snr[0] > self.background_snr[1]:
            raise ValueError("background_snr is given as [lowest, highest]")
        return self


def eeg_source(settings: EEGSettings) -> Source:
    """Return the fields that identify the simulated data; the size of the training split is not one."""
    chosen = settings.model_dump(mode="json", exclude={"examples": {"train"}})
    return Source("simulated EEG", settings={"version": _VERSION, **chosen}, simulated=True)


def load_eeg(settings: EEGSettings, split: Literal["train", "val", "test"], seed: int) -> Arrays:
    """Return one split of the data, from the cache when it is there; N examples, T samples, C electrodes, R regions.

    eeg (N, T, C) float32: average reference, mean 0 in time, largest magnitude 1.
    magnitudes (N, S, R) and waveforms (N, S, T) float32: the sources' activity is the sum over S of their products
    (T, R); it is exactly 0 outside the patches and its largest magnitude is 1. Unused sources are 0.

    Splits are drawn from separate streams of the seed and share no spike, no background and no patch draw.
    """
    key = settings.model_dump(mode="json")
    key["examples"] = getattr(settings.examples, split)
    return cached_arrays(
        "eeg",
        {"version": _VERSION, "settings": key, "split": split, "seed": seed},
        lambda: simulate_eeg(settings, load_lead_field(settings.electrodes, settings.regions), split, seed),
        libraries=("mne", "nilearn", "scipy"),
    )


def simulate_eeg(settings: EEGSettings, field: LeadField, split: str, seed: int) -> Arrays:
    """Simulate one split; see load_eeg."""
    generator = np.random.default_rng([seed, _STREAMS[split]])
    spikes = simulate_spikes(settings, generator)
    background = simulate_background(settings, generator)
    examples: int = getattr(settings.examples, split)
    most = settings.patches.most
    eeg = np.empty((examples, settings.samples, settings.electrodes), dtype=np.float32)
    magnitudes = np.zeros((examples, most, settings.regions), dtype=np.float32)
    waveforms = np.zeros((examples, most, settings.samples), dtype=np.float32)
    for index in counted(range(examples), "examples simulated", examples):
        patch, wave = draw_sources(settings, field, spikes, generator)
        magnitudes[index, : len(patch)], waveforms[index, : len(wave)] = patch, wave
        measured = measure(settings, field, patch.T @ wave, background, generator)
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
    magnitudes = np.zeros((len(patches), settings.regions))
    for row, patch in zip(magnitudes, patches, strict=True):
        row[patch.regions] = patch.magnitudes
    waveforms = spikes[generator.choice(len(spikes), size=len(patches), replace=False)]
    return magnitudes, waveforms / np.abs(waveforms).max()


def measure(
    settings: EEGSettings, field: LeadField, sources: Floats, background: Floats, generator: np.random.Generator
) -> Floats:
    """Return the EEG (C, T) of sources (R, T): with the rest of the cortex, sensor noise, and normalised."""
    spikes = centre_in_time(field.gain @ sources)
    silent = ~sources.any(axis=1)
    rest = centre_in_time(field.gain[:, silent] @ cut_clips(background, int(silent.sum()), settings.samples, generator))
    ratio = generator.uniform(*settings.background_snr)
    clean = spikes + scale_to_ratio(spikes, rest, decibels=ratio) * rest
    noisy = add_sensor_noise(clean, decibels=float(generator.choice(settings.snr)), generator=generator)
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
