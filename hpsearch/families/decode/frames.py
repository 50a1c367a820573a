"""The examples of DECODE: three frames, and the molecules of the middle one; simulated, or of a recorded movie.

Both kinds give batches of the same form: frames (B, 3, H, W), background (B,), molecules (B, K, 4: photons, x, y, z)
and which of the K places hold one, present (B, K), in photons, pixels and nm. Of a recorded movie not everything is
known: its background is -1, and `known` (B, K, 4) says which numbers the table has; the others are 0.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpsearch.data.disk_cache import Arrays
from hpsearch.data.emitter_tables import EmitterTable
from hpsearch.data.foreign_tables import conventions
from hpsearch.data.labelled_movie import SIMULATED, LabelledFrames, MovieSettings, check_places, load_block
from hpsearch.data.microscopy import MicroscopySettings, ReadOut, load_frames
from hpsearch.data.movies import open_movie
from hpsearch.errors import DataError
from hpsearch.families.decode.network import FRAMES
from hpsearch.training.task import Batch, Dataset, Split


def load_split(data: MicroscopySettings, split: Split, seed: int) -> Dataset:
    """Return the examples of one split.

    Those of a recorded movie are whole frames, whatever their size; to learn from they are cut into tiles of the
    simulated frames' size.

    Raises:
        DataError: the movie or its table is missing or malformed.
    """
    recorded = load_block(data.movie, split, pixel=data.pixel) if data.movie else None
    if recorded is None or data.movie is None:
        return FrameData(load_frames(data, split, seed), stay=stay_of(data))
    if split != "train":
        return RecordedFrames(recorded, data)
    tiles = RecordedFrames(recorded, data, tile=data.size)
    return Both(FrameData(load_frames(data, split, seed)), tiles) if data.movie.simulated else tiles


_STAYS_IN_A_BLOCK = 10


def stay_of(data: MicroscopySettings) -> float:
    """Return in how many frames a molecule is on, on average."""
    return max(data.emitters.lifetime, 1.0) if data.emitters.whole_frames else 1.0 + data.emitters.lifetime


def blocks_of(frames: int, *, stay: float) -> NDArray[np.int64]:
    """Return the number of each frame's block, (frames,): the clusters of a movie.

    Neighbouring frames show the same molecules: taken for independent, 500 frames of the usual movie tell the variance
    of their mean as a quarter of what it is. A block is ten times as long as a molecule stays, so that few are in two;
    a rest belongs to the last one.
    """
    length = max(1, round(_STAYS_IN_A_BLOCK * stay))
    return np.minimum(np.arange(frames) // length, max(frames // length, 1) - 1)


class FrameData:
    """A simulated movie; an example is a frame with the one before and the one after, and the molecules in it.

    `stay` is in how many frames a molecule is on, on average; 0 if frames have nothing to do with one another.
    """

    def __init__(self, arrays: Arrays, *, stay: float = 0.0) -> None:
        self.frames = torch.from_numpy(arrays["frames"])
        self.background = torch.from_numpy(arrays["background"])
        self.emitters = torch.from_numpy(arrays["emitters"])
        bounds = np.searchsorted(arrays["emitter_frame"], np.arange(len(self.frames) + 1))
        self.first = torch.from_numpy(bounds[:-1])
        self.count = torch.from_numpy(np.diff(bounds))
        self.places = max(1, int(self.count.max()))
        self.clusters = blocks_of(len(self), stay=stay) if stay else None

    def __len__(self) -> int:
        return len(self.frames) - 2

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return frames (B, 3, H, W), the middle one's background (B,) and molecules (B, K, 4), present (B, K).

        In photons, pixels and nm. K is the same for all batches; places without a molecule are 0.
        """
        middle = torch.as_tensor(indices, dtype=torch.long) + 1
        frames = self.frames[middle[:, None] + torch.arange(-1, FRAMES - 1)]
        place = torch.arange(self.places)
        present = place < self.count[middle][:, None]
        entry = (self.first[middle][:, None] + place).masked_fill(~present, 0)
        emitters = self.emitters[entry] * present[..., None] if len(self.emitters) else torch.zeros(*entry.shape, 4)
        return {"frames": frames, "background": self.background[middle], "emitters": emitters, "present": present}


def examine(data: MicroscopySettings, paths: Sequence[Path]) -> "RecordedFrames":
    """Return all frames of a movie with its table of molecules: two files in any order.

    Raises:
        DataError: they are not a movie and its table.
    """
    movies = [path for path in paths if path.suffix.lower() in (".tif", ".tiff")]
    tables = [path for path in paths if path not in movies]
    if len(movies) != 1 or len(tables) != 1:
        told = ", ".join(path.name for path in paths)
        raise DataError(f"expected a movie (.tif) and a table of its molecules, not {told}")
    frames = open_movie(movies[0]).frames
    block = {"val": (1, frames), "test": SIMULATED}
    read = data.movie.model_dump(include={"origin", "first_frame"}) if data.movie else {}
    settings = MovieSettings.model_validate(
        {"path": str(movies[0]), "emitters": str(tables[0]), **block, **read, **conventions(tables[0])}
    )
    check_places(settings, open_movie(movies[0]), pixel=data.pixel)
    recorded = load_block(settings, "val", pixel=data.pixel)
    assert recorded is not None  # noqa: S101 -- ours: the block is named
    return RecordedFrames(recorded, data)


def _labels(table: EmitterTable, least: float) -> tuple[EmitterTable, Tensor, Tensor]:
    """Return the molecules with at least so many photons, as (M, 4), and which of their four numbers are known (4,)."""
    if table.photons is not None:
        table = table.chosen(table.photons >= least)
    columns = [table.photons, table.x, table.y, table.z]
    none = np.zeros(len(table.frame))
    numbers = np.stack([none if column is None else column for column in columns], axis=1).astype(np.float32)
    return table, torch.from_numpy(numbers), torch.tensor([column is not None for column in columns])


class RecordedFrames:
    """A block of a recorded movie; an example is a frame between its neighbours, or a tile of it.

    Counts become photons when they are fetched, so that a movie that is mapped from its file stays there.
    """

    def __init__(self, recorded: LabelledFrames, data: MicroscopySettings, *, tile: int | None = None) -> None:
        self.counts: NDArray[Any] = recorded.counts
        self.camera: ReadOut = data.camera
        table, self.emitters, self.known = _labels(recorded.table, data.labelled_photons)
        frames, height, width = self.counts.shape
        bounds = np.searchsorted(table.frame, np.arange(frames + 1))
        self.first, self.number = bounds[:-1], np.diff(bounds)
        self.places = max(1, int(self.number.max()))
        self.size = (height, width) if tile is None else (tile, tile)
        self.corners = _corners(height, width, *self.size)
        self.clusters = blocks_of(frames, stay=stay_of(data)).repeat(len(self.corners))

    def __len__(self) -> int:
        return len(self.counts) * len(self.corners)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return frames, background, molecules, which places hold one, and what is known of it; see the module."""
        examples = [self._example(*divmod(int(index), len(self.corners))) for index in indices]
        frames, emitters, present = (torch.stack(column) for column in zip(*examples, strict=True))
        return {
            "frames": frames,
            "background": torch.full((len(frames),), -1.0),
            "emitters": emitters,
            "present": present,
            "known": self.known.expand(emitters.shape).clone(),
        }

    def _example(self, frame: int, tile: int) -> tuple[Tensor, Tensor, Tensor]:
        (row, column), (height, width) = self.corners[tile], self.size
        around = np.clip(np.arange(frame - 1, frame - 1 + FRAMES), 0, len(self.counts) - 1)
        counts = np.stack([self.counts[each, row : row + height, column : column + width] for each in around])
        photons = torch.from_numpy(self.camera.to_photons(counts.astype(np.float64)).astype(np.float32))
        begin = self.first[frame]
        here = self.emitters[begin : begin + self.number[frame]] - torch.tensor([0.0, column, row, 0.0])
        inside = (here[:, 1] >= -0.5) & (here[:, 1] < width - 0.5) & (here[:, 2] >= -0.5) & (here[:, 2] < height - 0.5)
        here = here[inside] if len(self.corners) > 1 else here
        emitters, present = torch.zeros(self.places, 4), torch.zeros(self.places, dtype=torch.bool)
        emitters[: len(here)], present[: len(here)] = here, True
        return photons, emitters, present


def _corners(height: int, width: int, rows: int, columns: int) -> list[tuple[int, int]]:
    """Return where tiles begin that cover a frame; the last ones of a row or column may overlap those before."""

    def starts(length: int, part: int) -> list[int]:
        last = length - part
        return sorted({*range(0, last + 1, part), last})

    return [(row, column) for row in starts(height, rows) for column in starts(width, columns)]


class Both:
    """Simulated examples, and after them recorded ones of the same size."""

    def __init__(self, simulated: FrameData, recorded: RecordedFrames) -> None:
        self.simulated = simulated
        self.recorded = recorded
        self.places = max(simulated.places, recorded.places)

    def __len__(self) -> int:
        return len(self.simulated) + len(self.recorded)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the examples in the order of the indices."""
        first = len(self.simulated)
        ours = [place for place, index in enumerate(indices) if index < first]
        theirs = [place for place, index in enumerate(indices) if index >= first]
        parts = []
        if ours:
            part = self.simulated.batch([indices[place] for place in ours])
            parts.append({**part, "known": torch.ones_like(part["emitters"], dtype=torch.bool)})
        if theirs:
            parts.append(dict(self.recorded.batch([indices[place] - first for place in theirs])))
        order = torch.tensor([*ours, *theirs]).argsort()
        widened = [{name: self._widened(name, tensor) for name, tensor in part.items()} for part in parts]
        return {name: torch.cat([part[name] for part in widened])[order] for name in widened[0]}

    def _widened(self, name: str, tensor: Tensor) -> Tensor:
        """Add empty places up to those of the larger of the two."""
        if name in ("frames", "background") or tensor.shape[1] == self.places:
            return tensor
        empty = tensor.new_zeros(len(tensor), self.places - tensor.shape[1], *tensor.shape[2:])
        return torch.cat((tensor, empty), dim=1)
