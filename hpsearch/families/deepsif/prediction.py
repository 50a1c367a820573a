"""The activity of the cortex behind a recording: its windows are estimated one by one and joined where they overlap."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.data.eeg_settings import head_of
from hpsearch.data.recordings import RECORDINGS, Recording, read_recording
from hpsearch.data.source_estimates import estimate_files, write_estimate
from hpsearch.errors import DataError
from hpsearch.families.deepsif.picture import draw_sources
from hpsearch.families.prediction import Computing, Input, Prediction, Predictor
from hpsearch.settings import Settings


class SourceOptions(Settings):
    """How a recording is read."""

    rate: float | None = Field(default=None, gt=0)
    """Samples per second of an array whose file does not tell, in Hz."""
    variable: str | None = None
    """The name of the array in a .mat or .npz file, if several may be meant."""
    begin: float = Field(default=0.0, ge=0)
    """Where in the recording to begin, in s."""
    end: float | None = Field(default=None, gt=0)
    """Where in the recording to end, in s; without it, at its end."""
    overlap: float = Field(default=0.5, ge=0, lt=1)
    """The part of a window that the next one covers too; the windows are as long as the clips of the training."""


@dataclass(frozen=True)
class SourcePrediction(Prediction):
    """The activity of each region over time: `activity` (time, regions), or (examples, time, regions) of epochs.

    It has no unit: its largest magnitude is 1, as in training. `rate` in Hz, `begin` of the first sample in s,
    `centres` (regions, 3) in mm, `electrodes` in the order of the network. `surface` (vertices, 3) has the hemisphere
    (0 left, 1 right), number and region of each vertex of a FreeSurfer surface, none where that is not known. `notes`
    say what was done to the recording.
    """

    endings: ClassVar = {
        ".npz": "activity (time, regions), times in s, centres of the regions in mm",
        ".stc": "MNE's SourceEstimate, a file for each hemisphere; for heads whose sources are vertices of a surface",
        ".png": "a picture: the cortex at the moment of the largest power, and the strongest regions over time",
    }
    activity: NDArray[np.float32]
    rate: float
    begin: float
    centres: NDArray[np.float64]
    electrodes: tuple[str, ...]
    surface: NDArray[np.int64]
    notes: tuple[str, ...]

    @property
    def times(self) -> NDArray[np.float64]:
        """The times (time,) of the samples in s."""
        return self.begin + np.arange(self.activity.shape[-2]) / self.rate

    @property
    def peak(self) -> tuple[int, int]:
        """The sample of the largest power over all regions, and the strongest one there; of epochs, in their mean."""
        power = np.square(self._mean()).sum(axis=1)
        sample = int(power.argmax())
        return sample, int(np.abs(self._mean()[sample]).argmax())

    def _mean(self) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = self.activity.mean(axis=0) if self.activity.ndim == 3 else self.activity
        return mean

    def summary(self) -> str:
        """Return how long it is, where and when it is strongest, and what was done to the recording."""
        samples, regions = self.activity.shape[-2:]
        sample, region = self.peak
        place = ", ".join(f"{number:.0f}" for number in self.centres[region])
        epochs = f"{len(self.activity)} epochs of " if self.activity.ndim == 3 else ""
        lines = [
            f"the activity of {regions} regions over {epochs}{samples / self.rate:.3g} s at {self.rate:g} Hz",
            f"strongest at {self.times[sample]:.3f} s in the region {region}, at ({place}) mm",
        ]
        return "\n".join([*lines, *self.notes])

    def save(self, path: Path, ending: str) -> None:
        """Write the arrays or the picture."""
        if ending.lower() == ".png":
            draw_sources(path, self._mean(), self.centres, self.times, self.peak)
            return
        with path.open("wb") as file:
            np.savez(
                file,
                activity=self.activity,
                times=self.times,
                rate=self.rate,
                centres=self.centres,
                electrodes=np.array(self.electrodes),
                surface=self.surface,
            )

    def write(self, path: Any) -> Path:
        """Write the prediction in the format that the file's ending names, and return its path; see `Prediction.write`.

        Of an `.stc` estimate it is that of the left hemisphere.
        """
        target = Path(path).expanduser()
        if self.ending_of(target).lower() != ".stc":
            return super().write(path)
        if self.activity.ndim == 3:
            raise DataError("an .stc file holds one stretch of time, and these are epochs: write .npz in place of it")
        target.parent.mkdir(parents=True, exist_ok=True)
        parts = estimate_files(target.with_name(f".{target.name}"))
        try:
            write_estimate(parts[0], self.activity, self.surface, rate=self.rate, begin=self.begin)
            for part, final in zip(parts, estimate_files(target), strict=True):
                part.replace(final)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
        return estimate_files(target)[0]


@dataclass(frozen=True)
class _Opened:
    """A recording at the electrodes and the rate of the model, and what was done to it."""

    pieces: tuple[NDArray[np.float64], ...]
    notes: tuple[str, ...]


class SourcePredictor(Predictor[_Opened, SourceOptions, SourcePrediction]):
    """Estimates the sources of recordings whose electrodes are those of the head."""

    takes: ClassVar = (
        f"recordings of EEG: {', '.join(RECORDINGS)} files, .mat and .npz files with an array "
        "(time, channels), or such an array at the data's rate; channels are found by their names"
    )
    Options, Result = SourceOptions, SourcePrediction
    alone = True

    def __init__(self, config: Any, facts: Any, model: Any) -> None:
        """Take the model; models of earlier versions do not tell their electrodes, which their settings do."""
        super().__init__(config, facts, model)
        known = dict(facts)
        if not {"electrodes", "centres", "surface"} <= known.keys():
            head = head_of(config.data)
            computed = {"electrodes": head.names.tolist(), "centres": head.centres, "surface": head.surface.T}
            known = {**computed, **known}
        self.electrodes: tuple[str, ...] = tuple(known["electrodes"])
        self.centres = np.asarray(known["centres"], dtype=np.float64)
        self.surface = np.asarray(known["surface"], dtype=np.int64).T.reshape(-1, 3)

    @property
    def example(self) -> str:
        """Noise at every electrode, as long as a window."""
        return f"np.random.default_rng(0).normal(size=({self.config.data.samples}, {len(self.electrodes)}))"

    def read(self, inputs: Sequence[Input], options: SourceOptions) -> Iterable[_Opened]:
        """Return the recording at the electrodes and the rate of the model.

        Raises:
            DataError: It cannot be read, or does not fit the model.
        """
        [given] = inputs
        data = self.config.data
        where = str(given) if isinstance(given, str | Path) else "the array"
        if isinstance(given, str | Path):
            found = read_recording(given, variable=options.variable, channels=len(self.electrodes))
        else:
            found = self._from_array(np.asarray(given, dtype=np.float64), options.rate or data.rate)
        rate = found.rate or options.rate
        if rate is None:
            raise DataError(f"{where} does not tell its sampling rate: give the option rate, in Hz")
        if options.rate is not None and options.rate != rate:
            raise DataError(f"{where} has {rate:g} samples a second, and the option rate is {options.rate:g}")
        found = replace(found, rate=rate)
        notes = [f"resampled from {rate:g} to {data.rate:g} Hz"] if rate != data.rate else []
        if found.names is None:
            notes.append(f"the channels have no names and are taken in the order {', '.join(self.electrodes)}")
        chosen = found.at(self.electrodes, where=where).resampled(data.rate)
        if chosen.dropped:
            notes.append(f"left out: {', '.join(chosen.dropped)}")
        notes.append(f"against the average of {len(self.electrodes)} electrodes")
        first, last = round(options.begin * data.rate), None if options.end is None else round(options.end * data.rate)
        pieces = tuple(piece[:, first:last] for piece in chosen.segments)
        shortest = min(piece.shape[1] for piece in pieces)
        if shortest < data.samples:
            raise DataError(
                f"{where} has {shortest} samples at {data.rate:g} Hz ({shortest / data.rate:.3g} s), and the model "
                f"reads windows of {data.samples} ({data.samples / data.rate:.3g} s)"
            )
        return [_Opened(pieces, tuple(notes))]

    def _from_array(self, array: NDArray[np.float64], rate: float) -> Recording:
        if array.ndim not in (2, 3) or array.shape[-1] != len(self.electrodes):
            raise DataError(
                f"the array is {'x'.join(map(str, array.shape))}, and the model reads (time, {len(self.electrodes)})"
            )
        if not np.isfinite(array).all():
            raise DataError("the array has values that are no numbers")
        pieces = (array.T,) if array.ndim == 2 else tuple(array.transpose(0, 2, 1))
        return Recording(pieces, rate, None)

    def predict(self, items: Iterable[_Opened], options: SourceOptions, computing: Computing) -> SourcePrediction:
        """Return the activity of the recording."""
        [opened] = items
        samples = self.config.data.samples
        step = max(1, round(samples * (1 - options.overlap)))
        joined = [_Joined(piece.shape[1], samples, len(self.centres)) for piece in opened.pieces]
        windows = [
            (index, start)
            for index, piece in enumerate(opened.pieces)
            for start in window_starts(piece.shape[1], samples, step)
        ]

        def compute(batch: Sequence[tuple[int, int]]) -> None:
            clips = np.stack([opened.pieces[index][:, start : start + samples].T for index, start in batch])
            estimates = self._estimate(clips, computing.device)
            for (index, start), estimate in zip(batch, estimates, strict=True):
                joined[index].add(start, estimate)

        for _ in computing.over(windows, compute, unit="windows", total=len(windows)):
            pass
        activity = np.stack([each.result() for each in joined])
        largest = np.abs(activity).max()
        activity /= largest if largest > 0 else 1.0
        return SourcePrediction(
            activity=activity[0] if len(activity) == 1 else activity,
            rate=self.config.data.rate,
            begin=options.begin,
            centres=self.centres,
            electrodes=self.electrodes,
            surface=self.surface,
            notes=opened.notes,
        )

    def _estimate(self, clips: NDArray[np.float64], device: torch.device) -> NDArray[np.float32]:
        """Return the activity (B, T, R) of clips (B, T, C), which are normalised as in training and scaled back."""
        centred = clips - clips.mean(axis=1, keepdims=True)
        scale = np.abs(centred).max(axis=(1, 2), keepdims=True)
        normal = centred / np.where(scale > 0, scale, 1.0)
        estimate = self.model(torch.from_numpy(normal).float().to(device)).float().cpu().numpy()
        scaled: NDArray[np.float32] = (estimate * scale).astype(np.float32)
        return scaled


def window_starts(length: int, samples: int, step: int) -> Iterator[int]:
    """Yield the starts of windows that cover `length` samples, `step` apart; the last one ends with it."""
    yield from range(0, length - samples, step)
    yield length - samples


class _Joined:
    """The weighted mean of overlapping windows; each counts most in its middle (a squared sine)."""

    def __init__(self, length: int, samples: int, regions: int) -> None:
        self._total = np.zeros((length, regions), dtype=np.float32)
        self._weights = np.zeros((length, 1), dtype=np.float32)
        self._window = (np.sin(np.pi * (np.arange(samples) + 0.5) / samples) ** 2).astype(np.float32)[:, None]

    def add(self, start: int, estimate: NDArray[np.float32]) -> None:
        stop = start + len(estimate)
        self._total[start:stop] += self._window * estimate
        self._weights[start:stop] += self._window

    def result(self) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = self._total / self._weights
        return mean
