"""Recorded EEG: read by channel name, put in the order of a head's electrodes, referenced and resampled like its data.

It serves as the noise of simulated EEG, and a trained network reads it. MNE reads `.fif` (raw, epochs, evoked), `.edf`,
`.bdf` and `.vhdr`, `eeglab.py` EEGLAB's `.set`; arrays come in `.mat` and `.npz`: (time, channels), (examples, time,
channels), or turned around.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.data.array_files import EEGLAB, ENDINGS, as_numbers, find_by_name, find_labels, pick_array, read_arrays
from hpsearch.data.eeglab import read_eeglab
from hpsearch.data.electrodes import find_electrodes
from hpsearch.data.lead_field import average_reference
from hpsearch.errors import DataError
from hpsearch.settings import FILE, Settings

Floats = NDArray[np.float64]

_MNE_ENDINGS = (".fif", ".edf", ".bdf", ".vhdr")
RECORDINGS = (*_MNE_ENDINGS, EEGLAB)
"""The endings of recordings, other than of arrays."""
_USUAL = ("data", "noise", "eeg", "EEG", "X")
RATES = ("rate", "srate", "fs", "Fs", "sfreq", "SampleRate", "sampling_rate")
_ENDS = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}
"""Where in a recording the stretch of each split begins and ends."""
_WHOLE_SEGMENTS = 3
"""A recording of at least this many segments is divided between them."""


class NoiseSettings(Settings):
    """Recorded EEG that takes the place of white sensor noise: rest of the same amplifier, or of other persons."""

    path: Annotated[str, FILE]
    """A recording (`.fif`, `.edf`, `.bdf`, `.vhdr`, `.set`), or an array of (time, channels) or (examples, time,
    channels) in a `.mat` or `.npz` file. Channels are found by their names; without names they must be as many as the
    electrodes."""
    variable: str | None = None
    """The name of the array in the file, if several may be meant."""
    rate: float | None = Field(default=None, gt=0)
    """Samples per second of an array whose file does not tell, in Hz. What differs from `data.rate` is resampled."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of the noise's power; the rest is white."""


@dataclass(frozen=True)
class Recording:
    """Pieces (C, T) of EEG without gaps, all of the same channels.

    rate in Hz. names (C,) is None, and so is the rate, where the file does not tell. `dropped` are channels left out;
    `named` says whether the file has names.
    """

    segments: tuple[Floats, ...]
    rate: float | None
    names: tuple[str, ...] | None
    dropped: tuple[str, ...] = ()
    named: bool = True

    @property
    def seconds(self) -> float:
        """How long the pieces are in all."""
        return float(sum(piece.shape[1] for piece in self.segments)) / (self.rate or 1.0)

    def at(self, electrodes: Sequence[str], *, where: str) -> "Recording":
        """Return the channels of these electrodes, in their order, against their own average.

        Raises:
            DataError: One is missing, or there are no names and the counts differ.
        """
        channels = len(self.segments[0])
        order = np.arange(channels)
        if self.names is not None:
            order = find_electrodes(electrodes, self.names, where=where)
        elif channels != len(electrodes):
            raise DataError(
                f"{where} has {channels} channels without names, and the head has {len(electrodes)} electrodes"
            )
        dropped = tuple(name for index, name in enumerate(self.names or ()) if index not in set(order.tolist()))
        pieces = tuple(average_reference(piece[order]) for piece in self.segments)
        return Recording(pieces, self.rate, tuple(electrodes), dropped, named=self.names is not None)

    def resampled(self, rate: float) -> "Recording":
        """Return the recording at another rate; what the new one cannot hold is filtered out before (polyphase)."""
        assert self.rate is not None  # noqa: S101 -- ours: it is asked for before
        if self.rate == rate:
            return self
        from scipy.signal import resample_poly

        ratio = Fraction(rate / self.rate).limit_denominator(10_000)
        pieces = [
            resample_poly(piece, ratio.numerator, ratio.denominator, axis=1, padtype="line") for piece in self.segments
        ]
        return replace(self, segments=tuple(np.asarray(piece, dtype=np.float64) for piece in pieces), rate=rate)


def read_recording(
    path: str | Path, *, variable: str | None = None, channels: int, skip_bad: bool = False
) -> Recording:
    """Read EEG. `channels` is how many there are where a file of arrays has no names.

    With `skip_bad`, stretches that are annotated as bad are gaps, and boundaries of EEGLAB too.

    Raises:
        DataError: The file cannot be read, or has no EEG, missing values, or bad channels.
    """
    place = Path(path)
    suffix = place.suffix.lower()
    if not place.is_file():
        raise DataError(f"there is no recording {place}")
    if suffix in ENDINGS:
        found = _from_arrays(place, variable, channels)
    elif suffix == EEGLAB:
        pieces, rate, names = read_eeglab(place, cut=skip_bad)
        found = Recording(tuple(pieces), rate, names)
    elif suffix in _MNE_ENDINGS:
        found = _from_mne(place, skip_bad=skip_bad)
    else:
        raise DataError(f"{place} is no recording that is read: {', '.join((*RECORDINGS, *ENDINGS))}")
    if not found.segments or min(piece.shape[1] for piece in found.segments) < 1:
        raise DataError(f"{place} holds no samples")
    bad = ~np.isfinite(np.concatenate([piece.sum(axis=1, keepdims=True) for piece in found.segments], axis=1)).all(
        axis=1
    )
    if bad.any():
        where = [found.names[index] if found.names else str(index + 1) for index in np.flatnonzero(bad)]
        raise DataError(f"{place} has values that are no numbers in the channels {', '.join(where)}")
    return found


def _from_mne(place: Path, *, skip_bad: bool) -> Recording:
    import mne

    try:
        opened = _open(place)
    except Exception as error:  # noqa: BLE001 -- MNE raises many kinds for a file that it cannot read
        raise DataError(f"{place} is damaged, or no recording: {error or type(error).__name__}") from None
    chosen = mne.pick_types(opened.info, meg=False, eeg=True, exclude=[])
    names = tuple(opened.ch_names[index] for index in chosen)
    if not names:
        raise DataError(f"{place} has no EEG channels")
    if bad := [name for name in names if name in opened.info["bads"]]:
        raise DataError(f"{place} marks channels as bad: {', '.join(bad)}; interpolate them, or unmark them")
    try:
        if isinstance(opened, mne.io.BaseRaw):
            data = opened.get_data(picks=chosen, reject_by_annotation="NaN" if skip_bad else None, verbose="error")
            pieces = _without_gaps(data) if skip_bad else (data,)
        else:
            data = opened.get_data(picks=chosen)
            pieces = tuple(data) if data.ndim == 3 else (data,)
    except Exception as error:  # noqa: BLE001 -- the samples are read here, and may be cut off
        raise DataError(f"{place} is cut off or damaged: {error or type(error).__name__}") from None
    return Recording(tuple(np.asarray(piece, dtype=np.float64) for piece in pieces), float(opened.info["sfreq"]), names)


def _open(place: Path) -> Any:
    import mne

    if place.suffix.lower() != ".fif":
        return mne.io.read_raw(place, verbose="error")
    try:
        return mne.io.read_raw_fif(place, verbose="error", on_split_missing="ignore")
    except ValueError as error:
        readers = (mne.read_epochs, lambda file, **options: mne.read_evokeds(file, condition=0, **options))
        for read in readers:
            try:
                return read(place, verbose="error")
            except (ValueError, OSError):
                continue
        raise error from None


def _without_gaps(data: Floats) -> tuple[Floats, ...]:
    """Return the stretches between annotated ones, which are NaN in all channels."""
    good = ~np.isnan(data).all(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]])))
    return tuple(data[:, begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True))


def _from_arrays(place: Path, variable: str | None, channels: int) -> Recording:
    arrays = read_arrays(place)
    for value in list(arrays.values()):
        if isinstance(value, Mapping):
            arrays = {**value, **arrays}  # EEGLAB keeps everything in one structure, EEG
    names = find_labels(arrays)
    count = len(names) if names else channels

    def fits(shape: tuple[int, ...]) -> bool:
        return len(shape) in (2, 3) and count in shape

    what = f"a recording of {count} channels"
    try:
        _, array = pick_array(arrays, variable=variable, usual=_USUAL, fits=fits, what=what, setting="variable")
        pieces = tuple(np.asarray(piece, dtype=np.float64) for piece in _pieces(array, count))
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    rate = as_numbers(find_by_name(arrays, RATES))
    return Recording(
        pieces, None if rate is None or rate.size != 1 else float(rate.item()), tuple(names) if names else None
    )


def _pieces(array: NDArray[Any], channels: int) -> list[NDArray[Any]]:
    """Return the pieces (C, T) of (T, C), (C, T), (N, T, C), (N, C, T), or, as EEGLAB has them, (C, T, N)."""
    if array.ndim == 2:
        if array.shape[0] == array.shape[1]:
            raise DataError(f"the recording is square ({channels}x{channels}): which dimension is time cannot be told")
        return [array if array.shape[0] == channels else array.T]
    if array.shape[2] == channels:
        return list(array.transpose(0, 2, 1))
    return list(array) if array.shape[1] == channels else list(array.transpose(2, 0, 1))


def read_noise_as_is(settings: NoiseSettings, electrodes: Sequence[str]) -> Recording:
    """Return the recorded noise of a head's electrodes at its own rate.

    Raises:
        DataError: It cannot be used; the message says why.
    """
    found = read_recording(settings.path, variable=settings.variable, channels=len(electrodes), skip_bad=True)
    if found.rate is not None and settings.rate is not None and found.rate != settings.rate:
        raise DataError(
            f"{settings.path} has {found.rate:g} samples a second, and data.noise.rate is {settings.rate:g}"
        )
    if (own := found.rate or settings.rate) is None:
        raise DataError(f"{settings.path} does not tell its sampling rate: set data.noise.rate")
    chosen = replace(found, rate=own).at(electrodes, where=settings.path)
    if not any(np.ptp(piece, axis=1).any() for piece in chosen.segments):
        raise DataError(f"{settings.path} is constant")
    return chosen


def read_noise(settings: NoiseSettings, electrodes: Sequence[str], rate: float) -> Recording:
    """Return the recorded noise of a head's electrodes at the rate of the data, in Hz, see `read_noise_as_is`."""
    return read_noise_as_is(settings, electrodes).resampled(rate)


def stretch(recording: Recording, split: Literal["train", "val", "test"], samples: int) -> tuple[Floats, ...]:
    """Return the pieces of a recording that only this split may use, those that are `samples` long at least.

    The first three fifths of the time are for training, a fifth each for validation and test. Three segments or more
    are shared out as wholes.

    Raises:
        DataError: No piece is long enough.
    """
    begin, end = _ENDS[split]
    pieces = recording.segments
    count = len(pieces)
    if count >= _WHOLE_SEGMENTS:
        held = max(1, round(0.2 * count))
        bounds = {
            "train": (0, count - 2 * held),
            "val": (count - 2 * held, count - held),
            "test": (count - held, count),
        }
        pieces = pieces[slice(*bounds[split])]
    else:
        pieces = tuple(piece[:, round(begin * piece.shape[1]) : round(end * piece.shape[1])] for piece in pieces)
    long_enough = tuple(piece for piece in pieces if piece.shape[1] >= samples)
    if not long_enough:
        longest = max(piece.shape[1] for piece in pieces)
        raise DataError(
            f"the recorded noise is too short: what it has for {split} is {longest} samples long at data.rate, and a "
            f"clip has data.samples = {samples}"
        )
    return long_enough


def draw_stretch(pieces: Sequence[Floats], samples: int, generator: np.random.Generator) -> Floats:
    """Return `samples` of the pieces (C, T) from a random place, each place being as likely as any other."""
    places = np.array([piece.shape[1] - samples + 1 for piece in pieces])
    place = int(generator.integers(places.sum()))
    index = int(np.searchsorted(places.cumsum(), place, side="right"))
    start = place - int(places[:index].sum())
    return pieces[index][:, start : start + samples]


def covariance(pieces: Sequence[Floats]) -> Floats:
    """Return the covariance (C, C) of the pieces, each without its mean."""
    centred = np.concatenate([piece - piece.mean(axis=1, keepdims=True) for piece in pieces], axis=1)
    found: Floats = centred @ centred.T / centred.shape[1]
    return found
