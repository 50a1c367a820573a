"""Simulated movies of single molecules with known positions: emitters, point spread function, background and camera."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from hpsearch.data.cameras import EMCCD, SCMOS
from hpsearch.data.disk_cache import Arrays, cached_arrays
from hpsearch.data.emitters import EmitterSettings, draw_emitters
from hpsearch.data.fingerprint import Source
from hpsearch.data.point_spread import Astigmatic, Round
from hpsearch.settings import UNFOLD, Settings

_VERSION = 1
"""Raised when a change here, in the emitters, the point spread functions or the cameras changes the data."""
_STREAMS = {"train": 0, "val": 1, "test": 2}


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
    point_spread: Annotated[Astigmatic | Round, Field(discriminator="kind"), UNFOLD] = Astigmatic()
    camera: Annotated[EMCCD | SCMOS, Field(discriminator="kind"), UNFOLD] = EMCCD()

    @model_validator(mode="after")
    def _background_is_a_range(self) -> "MicroscopySettings":
        if not 0 <= self.background[0] <= self.background[1]:
            raise ValueError("background is given as [lowest, highest], not below 0")
        return self


def movie_source(settings: MicroscopySettings) -> Source:
    """Return what identifies the simulated data; the size of the training split does not."""
    chosen = settings.model_dump(mode="json", exclude={"frames": {"train"}})
    return Source("simulated movies", settings={"version": _VERSION, **chosen}, simulated=True)


def load_frames(settings: MicroscopySettings, split: Literal["train", "val", "test"], seed: int) -> Arrays:
    """Return one split, from the cache when it is there: a movie of its N frames and one more at each end, M emitters.

    frames (N + 2, size, size) float32: photons as the camera estimates them. background (N + 2,) float32: photons.
    emitters (M, 4) float32: photons, x and y in pixels, z in nm; emitter_frame (M,): where they shine, ascending. Those
    with fewer than `labelled_photons` are left out.

    Splits are drawn from separate streams of the seed and share no molecule.
    """
    key = settings.model_dump(mode="json")
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
    for frame in range(count):
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
