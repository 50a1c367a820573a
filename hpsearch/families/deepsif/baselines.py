"""The classical inverse solutions, as floors for the network: the minimum norm estimate and sLORETA.

Hamalainen and Ilmoniemi, Med. Biol. Eng. Comput. 32:35-42, 1994; Pascual-Marqui, Methods Find. Exp. Clin. Pharmacol.
24D:5-12, 2002. Both are linear: they know the lead field and the level of the noise, and nothing about the sources.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpsearch.data.lead_field import load_lead_field
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.families.deepsif.task import SourceImaging
from hpsearch.training.task import Batch, Dataset

Floats = NDArray[np.float64]

_BATCH = 32


def regularisation(gain: Floats, *, decibels: float) -> float:
    """Return lambda: the noise's power for sources of power 1 at a signal-to-noise ratio, mean(diag(G G^T)) / ratio."""
    return float(np.trace(gain @ gain.T) / len(gain) / 10.0 ** (decibels / 10.0))


def minimum_norm(gain: Floats, *, decibels: float) -> Floats:
    """Return the operator (R, C) of the minimum norm estimate G^T (G G^T + lambda H)^+ for a lead field G (C, R).

    H is the average reference; the EEG and the lead field must have it too.
    """
    electrodes = len(gain)
    reference = np.eye(electrodes) - 1.0 / electrodes
    noise = regularisation(gain, decibels=decibels) * reference
    operator: Floats = gain.T @ np.linalg.pinv(gain @ gain.T + noise, rcond=1e-10, hermitian=True)
    return operator


def sloreta(gain: Floats, *, decibels: float) -> Floats:
    """Return the operator (R, C) of sLORETA: the minimum norm estimate over its own standard deviation.

    The variance of region i is the i-th diagonal element of the resolution matrix. One dipole without noise is found
    without error, whatever the regularisation (Pascual-Marqui 2002).
    """
    operator = minimum_norm(gain, decibels=decibels)
    variance = np.einsum("rc,cr->r", operator, gain)
    standardised: Floats = operator / np.sqrt(variance)[:, None]
    return standardised


METHODS = {"minimum_norm": minimum_norm, "sloreta": sloreta}


def score_baselines(config: DeepSIFConfig, data: Dataset) -> dict[str, Mapping[str, float]]:
    """Return each method's scores on a split.

    The methods are told the mean of the data's signal-to-noise ratios. Each estimate is scaled to a largest magnitude
    of 1, as the targets are; that matters to `mse` and `loss` only.
    """
    gain = load_lead_field(config.data.electrodes, config.data.regions).gain
    task = SourceImaging(config)
    scores: dict[str, Mapping[str, float]] = {}
    for name, method in METHODS.items():
        operator = torch.from_numpy(method(gain, decibels=float(np.mean(config.data.snr)))).float()
        scores[name] = task.evaluate(partial(estimate_sources, operator), _batches(data))
    return scores


def estimate_sources(operator: Tensor, eeg: Tensor) -> Tensor:
    """Return activity (B, T, R) of EEG (B, T, C) by an operator (R, C); each clip's largest magnitude becomes 1."""
    activity = eeg @ operator.T
    largest = activity.abs().amax(dim=(1, 2), keepdim=True)
    return activity / torch.where(largest > 0, largest, 1.0)


def _batches(data: Dataset) -> Iterator[Batch]:
    for start in range(0, len(data), _BATCH):
        yield data.batch(range(start, min(start + _BATCH, len(data))))
