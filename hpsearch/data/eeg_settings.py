"""Which EEG an experiment learns from: the settings of the simulation, and the user's own files in its place.

A head (`lead_field`), recorded noise (`noise`) or whole examples (`pairs`) may come from files. Their places identify
nothing: caches and fingerprints hold the hashes of what is in them.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hpsearch.data.array_files import EEGLAB
from hpsearch.data.eeg_pairs import PairSettings, load_pairs
from hpsearch.data.eeglab import samples_file
from hpsearch.data.fingerprint import Source, hash_file
from hpsearch.data.heads import LeadFieldSettings, load_head
from hpsearch.data.lead_field import LeadField
from hpsearch.data.parcellations import ANNOTATION, annotation_pair
from hpsearch.data.recordings import NoiseSettings, read_noise, read_noise_as_is, stretch
from hpsearch.errors import DataError, HpsearchError
from hpsearch.settings import Settings

Split = Literal["train", "val", "test"]

VERSION = 1
"""Raised when a change of the simulation or of the neural mass changes the data."""
_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_NEWER = ("lead_field", "noise", "pairs")
"""Settings that earlier versions did not have."""


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

    lead_field: LeadFieldSettings | None = None
    """A lead field of your own. Without one, a sphere model of the head is computed."""
    electrodes: int | None = Field(default=75, ge=8, le=256)
    """The number of electrodes of the sphere model. With a lead field, leave it out, or it is checked."""
    regions: int | None = Field(default=994, ge=32, le=2000)
    """The number of regions of the cortex. With a lead field, its neighbouring sources are merged into that many
    regions; left out, each source is one."""
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
    noise: NoiseSettings | None = None
    """Recorded sensor noise, at the same `snr` over all channels. Without it, the noise is white."""
    pairs: PairSettings | None = None
    """Examples from files in place of simulated ones."""

    @model_serializer(mode="wrap")
    def _without_what_is_newer(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out files unless they are set: trials and data of earlier versions have no such settings."""
        found: dict[str, Any] = dump(self)
        return {name: value for name, value in found.items() if value is not None or name not in _NEWER}

    @model_validator(mode="before")
    @classmethod
    def _counts_of_the_file(cls, values: Any) -> Any:
        """With a lead field the counts are its own unless they are given."""
        if isinstance(values, dict) and values.get("lead_field") is not None:
            return {"electrodes": None, "regions": None, **values}
        return values

    @model_validator(mode="after")
    def _fits(self) -> "EEGSettings":
        if self.lead_field is None and (self.electrodes is None or self.regions is None):
            raise ValueError("electrodes and regions must be numbers where there is no lead_field")
        if self.noise is not None and self.pairs is not None:
            raise ValueError("noise is for simulated EEG: pairs have their own")
        if self.regions is not None and (trouble := self.crowded(self.regions)):
            raise ValueError(trouble)
        if self.background_snr[0] > self.background_snr[1]:
            raise ValueError("background_snr is given as [lowest, highest]")
        return self

    def crowded(self, regions: int) -> str | None:
        """Return why the patches do not fit into this number of regions, or None if they do."""
        if self.pairs is not None or 2 * self.patches.largest * self.patches.most <= regions:
            return None
        many = f"{self.patches.most} sources of up to {self.patches.largest} regions"
        return f"{many} are too many for {regions} regions: at most half of them may be active"

    @property
    def files(self) -> dict[str, str]:
        """The files that are read, by the settings that name them."""
        parts = {"lead_field": self.lead_field, "pairs": self.pairs}
        found = {
            f"data.{name}.{inner}": path for name, part in parts.items() if part for inner, path in part.files.items()
        }
        return found if self.noise is None else {**found, "data.noise.path": self.noise.path}


def head_of(settings: EEGSettings) -> LeadField:
    """Return the head of the data, see `heads.load_head`.

    Raises:
        DataError: The files of its lead field cannot be used.
    """
    head = load_head(settings.lead_field, electrodes=settings.electrodes, regions=settings.regions)
    if trouble := settings.crowded(len(head.centres)):
        raise DataError(trouble)
    return head


def _stands_for(place: Path) -> list[Path]:
    """Return the files that a file of the data stands for: EEGLAB's samples, the other hemisphere of a parcellation.

    Raises:
        DataError: One of them is missing.
    """
    if place.suffix.lower() == ANNOTATION:
        return list(annotation_pair(place))
    samples = samples_file(place) if place.suffix.lower() == EEGLAB else None
    return [place] if samples is None else [place, samples]


def eeg_source(settings: EEGSettings) -> Source:
    """Return what identifies the data; the size of the training split does not, nor does how pairs are divided."""
    plain = plain_settings(settings)
    if settings.pairs is not None:
        kept = ("lead_field", "electrodes", "regions", "samples", "rate")
        names = {"eeg": settings.pairs.eeg, "sources": settings.pairs.sources}
        own = {**{name: plain.get(name) for name in kept}, **names}
        return Source("EEG with its sources", settings.files, own, members=_stands_for)
    plain["examples"] = {name: count for name, count in plain["examples"].items() if name != "train"}
    described = {"version": VERSION, **plain}
    return Source("simulated EEG", settings.files, described, simulated=True, members=_stands_for)


def plain_settings(settings: EEGSettings) -> dict[str, Any]:
    """Return the settings without the places of files."""
    found = settings.model_dump(mode="json")
    if settings.lead_field is not None:
        found["lead_field"] = settings.lead_field.plain
    if settings.noise is not None:
        found["noise"] = settings.noise.model_dump(mode="json", exclude={"path"})
    return found


def hashes_of(settings: EEGSettings) -> dict[str, Any]:
    """Return the hashes of the files of a simulation, or nothing where there are none."""
    if not settings.files:
        return {}
    try:
        parts = {name: _stands_for(Path(path)) for name, path in settings.files.items()}
        hashes = {name: [hash_file(each)[1] for each in places] for name, places in parts.items()}
        return {"files": {name: found[0] if len(found) == 1 else found for name, found in hashes.items()}}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror or error}") from None


def recorded_noise(settings: EEGSettings, field: LeadField, split: Split) -> tuple[NDArray[np.float64], ...]:
    """Return the pieces (C, T) of the recorded noise that a split may use; none where the noise is white.

    Raises:
        DataError: The recording cannot be used.
    """
    if settings.noise is None:
        return ()
    recording = read_noise(settings.noise, field.names.tolist(), settings.rate)
    return stretch(recording, split, settings.samples)


def eeg_notes(settings: EEGSettings) -> list[str]:
    """Return what is taken for granted of the files of the data, and done to them."""
    found: list[str] = []
    head = head_of(settings) if settings.files else None
    if head is not None and settings.lead_field is not None:
        electrodes, regions = head.gain.shape
        found.append(f"data.lead_field: {electrodes} electrodes against their average, {regions} regions")
        found += [f"data.lead_field: {note}" for note in head.notes.tolist()]
    if head is not None and settings.noise is not None:
        own, used = read_noise_as_is(settings.noise, head.names.tolist()), f"{settings.rate:g} Hz"
        done = f"; resampled from {own.rate:g} to {used}" if own.rate != settings.rate else ""
        left_out = f"; left out: {', '.join(own.dropped)}" if own.dropped else ""
        order = "" if own.named else "; its channels have no names and are taken in the order of the electrodes"
        found.append(f"data.noise: {own.seconds:.3g} s of {len(head.names)} electrodes{done}{left_out}{order}")
    return found


def eeg_objections(settings: EEGSettings) -> dict[str, str]:
    """Return what is wrong with the files of the data, by the setting that names them."""
    if settings.lead_field is None and settings.noise is None and settings.pairs is None:
        return {}
    place = "lead_field"
    try:
        head = head_of(settings)
        if settings.noise is not None:
            place = "noise"
            recording = read_noise(settings.noise, head.names.tolist(), settings.rate)
            for split in _SPLITS:
                stretch(recording, split, settings.samples)
        if settings.pairs is not None:
            place = "pairs"
            for split in _SPLITS:
                load_pairs(settings.pairs, head, samples=settings.samples, rate=settings.rate, split=split, seed=0)
    except HpsearchError as error:
        return {f"data.{place}": f"data.{place}: {error}"}
    return {}
