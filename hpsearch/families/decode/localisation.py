"""What the numbers of the network mean, from its maps to a list of molecules, and how well that agrees with the truth.

Speiser, Mueller et al. 2021, methods. The measures are those of the SMLM challenge (Sage et al., Nature Methods
16:387-395, 2019), at its gates. Distances are in nm. Without a single match there are no errors; they are then the
largest that a match may have, so that a network which reports nothing does not win.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hpsearch.data.microscopy import MicroscopySettings
from hpsearch.families.decode.settings import Detection


@dataclass(frozen=True)
class Channels:
    """A network's output by name; each map is (B, H, W), positions and their deviations (B, 4, H, W)."""

    logit: Tensor
    """Of the probability that a molecule's centre is in the pixel."""
    means: Tensor
    """Photons, x, y, z in the network's units; x and y from the pixel's centre."""
    deviations: Tensor | None
    """Their standard deviations; the per-pixel loss has none."""
    background: Tensor

    @classmethod
    def of(cls, output: Tensor) -> "Channels":
        """Name the channels of an output of 6 or, with deviations, 10 channels."""
        deviations = output[:, 5:9] if output.shape[1] == 10 else None
        return cls(output[:, 0], output[:, 1:5], deviations, output[:, -1])

    def of_frame(self, frame: int) -> "Channels":
        """Return those of one frame, with B = 1."""
        here = slice(frame, frame + 1)
        deviations = None if self.deviations is None else self.deviations[here]
        return Channels(self.logit[here], self.means[here], deviations, self.background[here])


@dataclass(frozen=True)
class Units:
    """The network's unit of each number, in photons, pixels and nm, so that it computes with numbers up to about 1."""

    photons: float
    depth: float
    background: float
    dark: float
    """Photons per pixel that are subtracted from frames."""
    bright: float
    """The unit of what is left of frames, in photons."""

    @classmethod
    def of(cls, data: MicroscopySettings) -> "Units":
        """Choose units in which the data have room: 8 standard deviations for photons, a fifth for the rest."""
        emitters = data.emitters
        return cls(
            photons=emitters.photons + 8 * emitters.photons_sd,
            depth=1.2 * (max(abs(emitters.depth[0]), abs(emitters.depth[1])) or 1.0),
            background=1.2 * max(data.background[1], 1.0),
            dark=sum(data.background) / 2,
            bright=emitters.photons / 50,
        )

    def scale_frames(self, frames: Tensor) -> Tensor:
        """Return frames in the network's units."""
        return (frames - self.dark) / self.bright

    def scale_emitters(self, emitters: Tensor) -> Tensor:
        """Return molecules (..., 4: photons, x, y, z) in the network's units; x and y stay in pixels."""
        return emitters / self._of_emitters(emitters)

    def restore_emitters(self, emitters: Tensor) -> Tensor:
        """Return molecules (..., 4) in photons, pixels and nm."""
        return emitters * self._of_emitters(emitters)

    def _of_emitters(self, emitters: Tensor) -> Tensor:
        return torch.tensor([self.photons, 1.0, 1.0, self.depth], device=emitters.device)


@dataclass(frozen=True)
class Localisations:
    """Molecules of several frames, an entry for each."""

    frame: NDArray[np.int64]
    position: NDArray[np.float64]
    """(N, 3): x and y in pixels, z in nm."""
    photons: NDArray[np.float64]

    def in_frame(self, frame: int) -> NDArray[np.float64]:
        """Return the positions of one frame."""
        here: NDArray[np.float64] = self.position[self.frame == frame]
        return here


def detect(channels: Channels, settings: Detection) -> Tensor:
    """Return the probability (B, H, W) with which each pixel is reported, 0 where it is not; at most 1.

    A network spreads the probability of a molecule near an edge over the pixels on both sides. So first, local maxima
    take in what their neighbours have. Then what is left may hold a molecule next to another one: its local maxima
    count by themselves, need more, and must stand apart from the first.
    """
    probability = torch.sigmoid(channels.logit.float())
    peaks = _local_maxima(probability, above=settings.candidate)
    gathered = functional.conv2d(
        probability[:, None], _GATHERED[settings.gather].to(probability)[None, None], padding=1
    )
    rest = probability.masked_fill(peaks, 0.0)
    neighbours = _local_maxima(rest, above=settings.neighbour)
    if settings.apart > 0:
        neighbours &= ~_are_at(peaks, channels.means[:, 1:3].float(), within=settings.apart)
    found = torch.where(peaks, gathered[:, 0], torch.where(neighbours, rest, 0.0)).clamp(max=1.0)
    return torch.where(found > settings.threshold, found, 0.0)


_GATHERED = {
    "square": torch.ones(3, 3),
    "cross": torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]),
}


def _local_maxima(values: Tensor, *, above: float) -> Tensor:
    largest = functional.max_pool2d(values[:, None], 3, stride=1, padding=1)[:, 0]
    return (values == largest) & (values > above)


def _are_at(peaks: Tensor, offsets: Tensor, *, within: float) -> Tensor:
    """Return which pixels (B, H, W) put their molecule nearer than `within` to that of a peak among their neighbours.

    offsets (B, 2, H, W): x and y from the pixel's centre, in pixels.
    """
    height, width = peaks.shape[1:]
    padded = functional.pad(torch.cat((offsets, peaks[:, None].to(offsets)), dim=1), (1, 1, 1, 1))
    found = torch.zeros_like(peaks)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            there = padded[:, :, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
            distance = torch.hypot(there[:, 0] + right - offsets[:, 0], there[:, 1] + down - offsets[:, 1])
            found |= (there[:, 2] > 0) & (distance < within)
    return found


def localise(channels: Channels, settings: Detection, units: Units) -> Localisations:
    """Return the molecules that a network reports, in photons, pixels and nm."""
    found = detect(channels, settings)
    frame, row, column = found.nonzero(as_tuple=True)
    emitters = units.restore_emitters(channels.means.float()[frame, :, row, column]).cpu().double()
    corner = torch.stack((column, row, torch.zeros_like(row)), dim=1).cpu()
    position = (emitters[:, 1:] + corner).numpy()
    return Localisations(frame.cpu().numpy(), position, emitters[:, 0].numpy())


Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LATERAL_GATE = 250.0
AXIAL_GATE = 500.0
_LATERAL_ALPHA = 1.0
"""1/nm: what a nanometre costs in the efficiency, in hundredths of the Jaccard index."""
_AXIAL_ALPHA = 0.5


def match(found: Floats, true: Floats) -> tuple[Integers, Integers]:
    """Return indices of pairs of positions (N, 3) and (M, 3) in nm of one frame: the nearest first, each at most once.

    Only pairs within LATERAL_GATE in the plane and AXIAL_GATE in depth are made. A depth of NaN is not known, and
    agrees with all.
    """
    difference = found[:, None] - true[None]
    lateral, axial = np.hypot(difference[..., 0], difference[..., 1]), np.abs(np.nan_to_num(difference[..., 2]))
    ours, theirs = np.nonzero((lateral <= LATERAL_GATE) & (axial <= AXIAL_GATE))
    order = np.argsort(np.hypot(lateral, axial)[ours, theirs], kind="stable")
    pairs: list[tuple[int, int]] = []
    free_ours, free_theirs = np.ones(len(found), dtype=bool), np.ones(len(true), dtype=bool)
    for index in order:
        one, other = ours[index], theirs[index]
        if free_ours[one] and free_theirs[other]:
            free_ours[one] = free_theirs[other] = False
            pairs.append((one, other))
    paired = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return paired[:, 0], paired[:, 1]


@dataclass
class Tally:
    """Counts and squared errors over frames, from which all scores follow."""

    matched: float = 0
    found: float = 0
    true: float = 0
    lateral: float = 0.0
    """Sum of the squared errors in the plane, over matches."""
    axial: float = 0.0
    deep: float = 0
    """Matches whose true depth is known."""

    def add(self, found: Floats, true: Floats) -> None:
        """Add the positions (N, 3) and (M, 3) in nm of one frame."""
        ours, theirs = match(found, true)
        squared = (found[ours] - true[theirs]) ** 2
        self.matched += len(ours)
        self.found += len(found)
        self.true += len(true)
        self.lateral += float(squared[:, :2].sum())
        self.axial += float(np.nansum(squared[:, 2]))
        self.deep += int(np.isfinite(squared[:, 2]).sum())

    def merge(self, other: "Tally") -> None:
        """Add what another one has counted."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def scores(self) -> dict[str, float]:
        """Return every score; ratios without anything to count are 0, and so are errors of depths that none knows."""
        jaccard = _ratio(self.matched, self.found + self.true - self.matched)
        lateral = math.sqrt(self.lateral / self.matched) if self.matched else LATERAL_GATE
        axial = math.sqrt(self.axial / (self.deep or 1)) if self.matched else AXIAL_GATE
        efficiencies = efficiency(jaccard, _LATERAL_ALPHA * lateral), efficiency(jaccard, _AXIAL_ALPHA * axial)
        return {
            "precision": _ratio(self.matched, self.found),
            "recall": _ratio(self.matched, self.true),
            "jaccard": jaccard,
            "f1": _ratio(2 * self.matched, self.found + self.true),
            "rmse_lateral": lateral,
            "rmse_axial": axial,
            "rmse_volume": math.hypot(lateral, axial),
            "efficiency_lateral": efficiencies[0],
            "efficiency_axial": efficiencies[1],
            "efficiency": sum(efficiencies) / 2,
        }


def efficiency(jaccard: float, cost: float) -> float:
    """Return 1 for all molecules without error; `cost` is the error times alpha. Poor results are below 0."""
    return 1 - math.hypot(100 * (1 - jaccard), cost) / 100


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
