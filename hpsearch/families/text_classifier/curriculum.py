"""Which training examples an epoch sees: easy ones first, and both tasks equally often. Needs no torch."""

import numpy as np
from numpy.typing import NDArray

from hpsearch.families.text_classifier.dataset import NO_LABEL
from hpsearch.families.text_classifier.settings import Curriculum

Indices = NDArray[np.int64]


def curriculum_fraction(settings: Curriculum, epoch: int, epochs: int) -> float:
    """Return the fraction of an epoch (counted from 0): `initial` at the first, `final` at the last, in a line."""
    progress = epoch / (epochs - 1) if epochs > 1 else 1.0
    return settings.initial + (settings.final - settings.initial) * progress


def easiest(difficulty: NDArray[np.float64], fraction: float) -> Indices:
    """Return the indices of the easiest examples, one at least; of equals those that stand first."""
    count = max(1, round(fraction * len(difficulty)))
    return np.sort(np.argsort(difficulty, kind="stable")[:count])


def interleaved(chosen: Indices, labels: NDArray[np.int64]) -> Indices:
    """Return the chosen examples, those of the smaller task repeated until both tasks have equally many.

    `labels` are (examples, 2). Nothing is repeated if an example has labels for both, or one task has no example.
    """
    first, second = (chosen[labels[chosen, task] != NO_LABEL] for task in (0, 1))
    if np.intersect1d(first, second).size or not len(first) or not len(second):
        return chosen
    size = max(len(first), len(second))
    return np.concatenate([np.resize(first, size), np.resize(second, size)])
