"""Simulated movies of single molecules with known positions: emitters, point spread function, background and camera.

After Speiser, Mueller et al., Nature Methods 18:1082-1090, 2021.

Emitters are blinking molecules. Coordinates x and y count pixels: pixel (row, column) is the square of side 1 around
y = row, x = column. z is in nm. Time counts frames: frame f lasts from f to f + 1.

A camera leads from the photons that reach a pixel on average to the number that is read out, and back to an estimate.
In an EMCCD photoelectrons are Poisson, the amplifying register makes a gamma distribution of them, reading adds normal
noise, and the converter rounds down.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from hpsearch.data.beads import Calibration
from hpsearch.data.disk_cache import Arrays, cached_arrays
from hpsearch.data.fingerprint import hash_file
from hpsearch.data.labelled_movie import MovieSettings
from hpsearch.data.point_spread import Astigmatic, Round
from hpsearch.data.preparation import counted
from hpsearch.data.spline import Spline
from hpsearch.errors import DataError, HpsearchError, UnknownNameError
from hpsearch.settings import NEWER, UNFOLD, Growing, Option, Settings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MARGIN = 5.0
"""Mean on-times before the first frame in which molecules may light up: those that still shine then are 1 in 150."""
_VERSION = 1
"""Raised when a change here or in the point spread functions changes the data."""
_STREAMS = {"train": 0, "val": 1, "test": 2}


class EmitterSettings(Growing):
    """How many molecules shine, where, how brightly and for how long."""

    per_frame: float = Field(default=25.0, gt=0)
    """Mean number of molecules that give light to a frame, however little."""
    photons: float = Field(default=10_000.0, gt=0)
    """Mean number of photons of a molecule that shines for a whole frame."""
    photons_sd: float = Field(default=3_000.0, ge=0)
    """Their standard deviation from molecule to molecule; negative draws become 0."""
    lifetime: float = Field(default=2.0, gt=0)
    """Mean time for which a molecule is on, in frames; the times are exponential."""
    whole_frames: Annotated[bool, NEWER] = False
    """Whether molecules light up and go out between two frames only, as in many simulated movies: they are on for 1 or
    more whole frames, for `lifetime` ones on average (a geometric distribution; a lifetime below 1 counts as 1)."""
    depth: tuple[float, float] = (-750.0, 750.0)
    """Range of z in nm, in which it is uniform; [0, 0] keeps all molecules in focus."""

    @model_validator(mode="after")
    def _ordered(self) -> "EmitterSettings":
        if self.depth[0] > self.depth[1]:
            raise ValueError("depth is given as [lowest, highest]")
        return self


@dataclass(frozen=True)
class Emitters:
    """What molecules give to frames: an entry for each molecule and frame that it shines in, ordered by frame."""

    frame: Integers
    x: Floats
    y: Floats
    z: Floats
    photons: Floats
    """Photons that reach the camera within the frame, on average over their own randomness."""


def draw_emitters(settings: EmitterSettings, *, frames: int, size: int, generator: np.random.Generator) -> Emitters:
    """Draw the molecules of a movie of square frames.

    Molecules light up at a uniform time, before the first frame too. One is on in 1 + lifetime frames on average (in
    lifetime ones if it is on for whole frames), by which the number of molecules follows from the number per frame.
    """
    start, end = _on_times(settings, frames=frames, generator=generator)
    count = len(start)
    x, y = generator.uniform(-0.5, size - 0.5, (2, count))
    z = generator.uniform(*settings.depth, count)
    intensity = np.maximum(generator.normal(settings.photons, settings.photons_sd, count), 0.0)
    molecule, frame, share = split_over_frames(start, end, frames)
    return Emitters(frame, x[molecule], y[molecule], z[molecule], intensity[molecule] * share)


def _on_times(settings: EmitterSettings, *, frames: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Return when each molecule lights up and when it goes out."""
    lifetime = max(settings.lifetime, 1.0) if settings.whole_frames else settings.lifetime
    early = _MARGIN * lifetime
    seen_in = lifetime if settings.whole_frames else 1 + lifetime
    count = int(generator.poisson(settings.per_frame * (frames + early) / seen_in))
    start = generator.uniform(-early, frames, count)
    if settings.whole_frames:
        start = np.floor(start)
        return start, start + generator.geometric(1 / lifetime, count)
    return start, start + generator.exponential(lifetime, count)


def split_over_frames(start: Floats, end: Floats, frames: int) -> tuple[Integers, Integers, Floats]:
    """Return molecule, frame and share of the frame for each frame in which a molecule is on, ordered by frame."""
    first = np.clip(np.floor(start), 0, frames).astype(np.int64)
    last = np.clip(np.ceil(end), 0, frames).astype(np.int64)  # the first frame without light
    touched = np.maximum(last - first, 0)
    molecule = np.repeat(np.arange(len(start)), touched)
    within = np.arange(len(molecule)) - np.repeat(np.cumsum(touched) - touched, touched)
    frame = first[molecule] + within
    share = np.minimum(end[molecule], frame + 1) - np.maximum(start[molecule], frame)
    order = np.argsort(frame, kind="stable")
    return molecule[order], frame[order], share[order]


class ReadOut(Option):
    """What both cameras have."""

    quantum_efficiency: float = Field(default=0.9, gt=0, le=1)
    """Photoelectrons per photon."""
    spurious: float = Field(default=0.002, ge=0)
    """Electrons per pixel and frame that no photon made."""
    read_noise: float = Field(ge=0)
    """Standard deviation of the noise of reading, in electrons."""
    electrons_per_count: float = Field(gt=0)
    """Electrons that raise the number read out by one."""
    baseline: float = Field(default=100.0, ge=0)
    """Counts without light."""

    @property
    @abstractmethod
    def amplification(self) -> float:
        """Electrons that are read for each photoelectron, on average."""

    @property
    @abstractmethod
    def excess(self) -> float:
        """The factor by which amplifying raises the variance of the photoelectrons."""

    def deviation(self, photons: float) -> float:
        """Return the standard deviation of a pixel with so many photons on average, in photons."""
        electrons = photons * self.quantum_efficiency + self.spurious
        read, steps = self.read_noise / self.amplification, self.electrons_per_count / self.amplification
        return math.sqrt(self.excess * electrons + read**2 + steps**2 / 12) / self.quantum_efficiency

    @abstractmethod
    def amplify(self, electrons: Floats, generator: np.random.Generator) -> Floats:
        """Return the electrons that are read for these photoelectrons."""

    def expose(self, photons: Floats, generator: np.random.Generator) -> Floats:
        """Return the expected pixel counts for numbers of photons."""
        expected = np.maximum(photons, 0.0) * self.quantum_efficiency + self.spurious
        electrons = self.amplify(generator.poisson(expected).astype(float), generator)
        electrons = electrons + self.read_noise * generator.standard_normal(electrons.shape)
        counts: Floats = np.maximum(np.floor(electrons / self.electrons_per_count) + self.baseline, 0.0)
        return counts

    def to_photons(self, counts: Floats) -> Floats:
        """Convert pixel counts to photons."""
        electrons = (counts - self.baseline) * self.electrons_per_count / self.amplification
        photons: Floats = (electrons - self.spurious) / self.quantum_efficiency
        return photons


class EMCCD(ReadOut):
    """An electron-multiplying CCD: hardly any read noise, at the price of twice the variance of the photons."""

    kind: Literal["emccd"] = "emccd"
    read_noise: float = Field(default=74.4, ge=0)
    electrons_per_count: float = Field(default=45.0, gt=0)
    gain: float = Field(default=300.0, ge=1)
    """Electrons that the register makes of one."""

    @property
    def amplification(self) -> float:
        """The gain of the register."""
        return self.gain

    @property
    def excess(self) -> float:
        """Two: each photoelectron's share of the gain is exponential."""
        return 2.0

    def amplify(self, electrons: Floats, generator: np.random.Generator) -> Floats:
        """Return draws from a gamma distribution whose shape is the number of electrons; none stay none."""
        return generator.gamma(electrons, self.gain)


class SCMOS(ReadOut):
    """A scientific CMOS camera without a gain; all its pixels are alike here."""

    kind: Literal["scmos"] = "scmos"
    read_noise: float = Field(default=1.6, ge=0)
    electrons_per_count: float = Field(default=0.46, gt=0)

    @property
    def amplification(self) -> float:
        """One: what is read are the photoelectrons."""
        return 1.0

    @property
    def excess(self) -> float:
        """One: there is no register."""
        return 1.0

    def amplify(self, electrons: Floats, generator: np.random.Generator) -> Floats:  # noqa: ARG002 - no chance here
        """Return the photoelectrons as they are."""
        return electrons


def camera_of(kind: str, settings: Sequence[str]) -> ReadOut:
    """Return a camera by its name with settings that are written as `name=number`.

    Raises:
        UnknownNameError: there is no such camera or setting.
        HpsearchError: a number does not suit the setting.
    """
    known: dict[str, type[ReadOut]] = {"emccd": EMCCD, "scmos": SCMOS}
    if kind not in known:
        raise UnknownNameError("camera", kind, known)
    chosen = dict(each.partition("=")[::2] for each in settings)
    names = [name for name in known[kind].model_fields if name != "kind"]
    if unknown := [name for name in chosen if name not in names]:
        raise UnknownNameError(f"setting of {kind}", unknown[0], names)
    try:
        return known[kind].model_validate(chosen)
    except ValidationError as error:
        first = error.errors()[0]
        raise HpsearchError(f"{first['loc'][0]}: {first['msg']}, not {first['input']!r}") from None


class FrameCounts(Settings):
    """How many frames each split holds; each is seen together with the one before and the one after."""

    train: int = Field(default=10_000, ge=1)
    val: int = Field(default=512, ge=1)
    test: int = Field(default=512, ge=1)


class MicroscopySettings(Settings):
    """What the simulated movies look like; the defaults are those of Speiser, Mueller et al. (2021)."""

    size: int = Field(default=40, ge=8, le=256)
    """Pixels along a side of the square frames."""
    pixel: float = Field(default=100.0, gt=0)
    """Side of a pixel in nm."""
    frames: FrameCounts = FrameCounts()
    emitters: EmitterSettings = EmitterSettings()
    background: tuple[float, float] = (90.0, 150.0)
    """Photons per pixel that come from no molecule: for each frame one number, uniform between these two."""
    labelled_photons: float = Field(default=100.0, ge=0)
    """What gives fewer photons to a frame is in the frame, but neither taught nor looked for there."""
    point_spread: Annotated[Astigmatic | Round | Calibration | Spline, Field(discriminator="kind"), UNFOLD] = (
        Astigmatic()
    )
    camera: Annotated[EMCCD | SCMOS, Field(discriminator="kind"), UNFOLD] = EMCCD()
    movie: MovieSettings | None = None
    """A recorded movie with a table of its molecules, to validate and test on, or to learn from; none by default."""

    @model_serializer(mode="wrap")
    def _without_what_is_newer(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `movie` where there is none: trials of earlier versions have no such setting, and still fit."""
        found: dict[str, Any] = dump(self)
        return {name: value for name, value in found.items() if name != "movie" or value is not None}

    @model_validator(mode="after")
    def _background_is_a_range(self) -> "MicroscopySettings":
        if not 0 <= self.background[0] <= self.background[1]:
            raise ValueError("background is given as [lowest, highest], not below 0")
        return self


def simulation_settings(settings: MicroscopySettings) -> dict[str, Any]:
    """Return the fields that identify the simulated data; the size of the training split is not one."""
    left_out: dict[str, Any] = {"frames": {"train"}, "movie": True, "point_spread": {"path"}}
    return {"version": _VERSION, **settings.model_dump(mode="json", exclude=left_out)}


def point_spread_objection(settings: MicroscopySettings) -> str | None:
    """Return what is wrong with the file of the point spread function, or None."""
    chosen, (lowest, highest) = settings.point_spread, settings.emitters.depth
    if not isinstance(chosen, Calibration | Spline):
        return None
    try:
        begin, end = chosen.range
    except DataError as error:
        return str(error)
    if lowest < begin or highest > end:
        known = f"{begin:.0f} to {end:.0f} nm"
        return f"{chosen.path} covers depths from {known}, and data.emitters.depth is {lowest:g} to {highest:g} nm"
    return None


def load_frames(settings: MicroscopySettings, split: Literal["train", "val", "test"], seed: int) -> Arrays:
    """Return one split, from the cache when it is there: a movie of its N frames and one more at each end, M emitters.

    frames (N + 2, size, size) float32: photons as the camera estimates them. background (N + 2,) float32: photons.
    emitters (M, 4) float32: photons, x and y in pixels, z in nm; emitter_frame (M,): where they shine, ascending. Those
    with fewer than `labelled_photons` are left out.

    Splits are drawn from separate streams of the seed and share no molecule.
    """
    key = settings.model_dump(mode="json", exclude={"movie": True, "point_spread": {"path"}})
    if isinstance(settings.point_spread, Calibration | Spline):
        key["point_spread"]["sha256"] = hash_file(Path(settings.point_spread.path))[1]
    key["frames"] = getattr(settings.frames, split)
    return cached_arrays(
        "microscopy",
        {"version": _VERSION, "settings": key, "split": split, "seed": seed},
        lambda: simulate_frames(settings, split, seed),
        libraries=("scipy",),
    )


def simulate_frames(settings: MicroscopySettings, split: str, seed: int) -> Arrays:
    """Simulate one split; see load_frames."""
    generator = np.random.default_rng([seed, _STREAMS[split]])
    count = getattr(settings.frames, split) + 2
    emitters = draw_emitters(settings.emitters, frames=count, size=settings.size, generator=generator)
    background = generator.uniform(*settings.background, count)
    starts = np.searchsorted(emitters.frame, np.arange(count + 1))
    frames = np.empty((count, settings.size, settings.size), dtype=np.float32)
    for frame in counted(range(count), "frames simulated", count):
        here = slice(starts[frame], starts[frame + 1])
        light = settings.point_spread.image(
            emitters.x[here], emitters.y[here], emitters.z[here], emitters.photons[here], size=settings.size
        )
        frames[frame] = settings.camera.to_photons(settings.camera.expose(light + background[frame], generator))
    labelled = emitters.photons >= settings.labelled_photons
    columns = np.stack((emitters.photons, emitters.x, emitters.y, emitters.z), axis=1)
    return {
        "frames": frames,
        "background": background.astype(np.float32),
        "emitters": columns[labelled].astype(np.float32),
        "emitter_frame": emitters.frame[labelled],
    }
