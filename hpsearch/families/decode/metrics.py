"""How well a list of molecules agrees with the truth.

The measures are those of the SMLM challenge (Sage et al., Nature Methods 16:387-395, 2019), at its gates. Distances are
in nm. Without a single match there are no errors to speak of; they are then the largest that a match may have, so that
a network which reports nothing does not win.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LATERAL_GATE = 250.0
AXIAL_GATE = 500.0
_LATERAL_ALPHA = 1.0
"""1/nm: what a nanometre costs in the efficiency, in hundredths of the Jaccard index."""
_AXIAL_ALPHA = 0.5


def match(found: Floats, true: Floats) -> tuple[Integers, Integers]:
    """Return indices of pairs of positions (N, 3) and (M, 3) in nm of one frame: the nearest first, each at most once.

    Only pairs within LATERAL_GATE in the plane and AXIAL_GATE in depth are made.
    """
    difference = found[:, None] - true[None]
    lateral, axial = np.hypot(difference[..., 0], difference[..., 1]), np.abs(difference[..., 2])
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

    matched: int = 0
    found: int = 0
    true: int = 0
    lateral: float = 0.0
    """Sum of the squared errors in the plane, over matches."""
    axial: float = 0.0

    def add(self, found: Floats, true: Floats) -> None:
        """Add the positions (N, 3) and (M, 3) in nm of one frame."""
        ours, theirs = match(found, true)
        squared = (found[ours] - true[theirs]) ** 2
        self.matched += len(ours)
        self.found += len(found)
        self.true += len(true)
        self.lateral += float(squared[:, :2].sum())
        self.axial += float(squared[:, 2].sum())

    def scores(self) -> dict[str, float]:
        """Return every score; ratios without anything to count are 0."""
        jaccard = _ratio(self.matched, self.found + self.true - self.matched)
        lateral = math.sqrt(self.lateral / self.matched) if self.matched else LATERAL_GATE
        axial = math.sqrt(self.axial / self.matched) if self.matched else AXIAL_GATE
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
