"""A recorded movie with a table of its molecules: what is validated and tested on, and learned from if wanted.

Splits are blocks of frames that follow one another. A frame is seen together with the one before and the one after;
at the ends of a block the frame itself stands in for its missing neighbour, so that no split sees a frame of another.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.data.emitter_tables import EmitterTable, Origin, misfits, read_emitters
from hpsearch.data.movies import CONTEXT, Movie, check_pixel, open_movie
from hpsearch.data.table_places import place_objection
from hpsearch.errors import DataError
from hpsearch.settings import FILE, Settings

Part = Literal["train", "val", "test"]
Block = tuple[int, int]
"""The first and the last of some frames, counted from 1."""
SIMULATED = "simulated"


class MovieSettings(Settings):
    """A movie and its molecules, and which of its frames are for what. Without `val` and `test` they are its halves."""

    path: Annotated[str, FILE]
    """A TIFF stack of grey frames, as the camera counts."""
    emitters: Annotated[str, FILE]
    """Its molecules, a CSV table as of ThunderSTORM, SMAP or the SMLM challenge, with positions in nm; the text of
    rapidSTORM or the HDF5 of Picasso with `first_frame: 0`, for Picasso with `origin: center`, too."""
    train: Block | None = None
    """Frames [first, last] to learn from, counted from 1; none by default: simulated frames are learned from."""
    simulated: bool = True
    """Whether simulated frames are learned from besides those of `train`."""
    val: Block | Literal["simulated"] | None = None
    """Frames [first, last] to validate on."""
    test: Block | Literal["simulated"] | None = None
    """Frames [first, last] to test on."""
    origin: Origin = "corner"
    """Where the table's x and y are 0: at the outer corner of the first pixel or at its center."""
    first_frame: int = Field(default=1, ge=0, le=1)
    """The number that the table gives to the movie's first frame."""

    @model_validator(mode="after")
    def _blocks_are_apart(self) -> "MovieSettings":
        if (self.val is None) != (self.test is None):
            raise ValueError("give both val and test, or neither of them: then they are halves of the movie")
        blocks = {name: block for name in ("train", "val", "test") if isinstance(block := getattr(self, name), tuple)}
        for name, (first, last) in blocks.items():
            if not 1 <= first <= last:
                raise ValueError(f"{name} is given as [first, last], counted from 1")
            if last - first + 1 < CONTEXT:
                raise ValueError(f"{name} has {last - first + 1} frames; {CONTEXT} are seen together")
        ordered = sorted((block, name) for name, block in blocks.items())
        for (before, one), (after, other) in pairwise(ordered):
            if after[0] <= before[1]:
                raise ValueError(f"{one} {list(before)} and {other} {list(after)} share frames")
        if not self.simulated and self.train is None:
            raise ValueError("without simulated frames, train must say which frames are learned from")
        return self

    def block(self, part: Part, frames: int) -> Block | None:
        """Return which of a movie's `frames` a split has, or None if it is simulated.

        Raises:
            DataError: the movie has too few.
        """
        chosen = getattr(self, part)
        if part != "train" and chosen is None:
            begin = self.train[1] if self.train else 0
            middle = begin + (frames - begin) // 2
            chosen = (begin + 1, middle) if part == "val" else (middle + 1, frames)
            if chosen[1] - chosen[0] + 1 < CONTEXT:
                raise DataError(f"too few of the movie's {frames} frames are left for {part}")
        if isinstance(chosen, tuple) and chosen[1] > frames:
            raise DataError(f"{part} goes to frame {chosen[1]:,}, and the movie has {frames:,}")
        return chosen if isinstance(chosen, tuple) else None

    def is_read(self, part: Part) -> bool:
        """Check whether a split has frames of the movie."""
        return self.train is not None if part == "train" else getattr(self, part) != SIMULATED


@dataclass(frozen=True)
class LabelledFrames:
    """A block of frames and its molecules."""

    counts: NDArray[Any]
    """(frames, height, width), as the camera counts; mapped from the file where it can be."""
    table: EmitterTable


def load_block(settings: MovieSettings, part: Part, *, pixel: float) -> LabelledFrames | None:
    """Return the frames of a split and their molecules, or None if the split is simulated.

    Raises:
        DataError: a file is missing or malformed, or they do not fit together.
    """
    if not settings.is_read(part):
        return None
    movie = open_movie(Path(settings.path))
    check_pixel(Path(settings.path), pixel)
    block = settings.block(part, movie.frames)
    assert block is not None  # noqa: S101 -- ours: the split is read
    table = _table(settings, movie, pixel=pixel)
    inside = np.abs(table.x - (movie.width - 1) / 2) <= movie.width / 2
    inside &= np.abs(table.y - (movie.height - 1) / 2) <= movie.height / 2
    return LabelledFrames(movie.counts(*block), table.chosen(inside).within(block[0] - 1, block[1] - 1))


def _table(settings: MovieSettings, movie: Movie, *, pixel: float) -> EmitterTable:
    path = Path(settings.emitters)
    table = read_emitters(path, pixel=pixel, origin=settings.origin, first_frame=settings.first_frame)
    told = misfits(
        table,
        frames=movie.frames,
        height=movie.height,
        width=movie.width,
        pixel=pixel,
        first_frame=settings.first_frame,
    )
    if told:
        raise DataError(f"{path} does not fit {movie.described}: {told}")
    return table


def movie_objections(settings: MovieSettings, *, pixel: float, tile: int) -> dict[str, str]:
    """Return what is wrong with the files, by the setting's name; what is learned from is cut into `tile`s."""
    try:
        movie = open_movie(Path(settings.path))
        check_pixel(Path(settings.path), pixel)
    except DataError as error:
        return {"path": str(error)}
    found: dict[str, str] = {}
    if settings.train is not None and min(movie.height, movie.width) < tile:
        found["train"] = f"{movie.described} has smaller frames than those that are learned from (data.size: {tile})"
    for part in ("train", "val", "test"):
        try:
            settings.block(part, movie.frames)
        except DataError as error:
            found[part] = str(error)
    try:
        check_places(settings, movie, pixel=pixel)
    except DataError as error:
        found["emitters"] = str(error)
    return found


def check_places(settings: MovieSettings, movie: Movie, *, pixel: float) -> None:
    """Refuse a table whose molecules are not where the movie is bright, see `table_places.py`.

    Raises:
        DataError: It is one, or cannot be read.
    """
    table = _table(settings, movie, pixel=pixel)
    if told := place_objection(movie, table, first_frame=settings.first_frame):
        raise DataError(f"{settings.emitters} does not fit {movie.described}: {told}")
