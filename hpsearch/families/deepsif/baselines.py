"""The classical inverse solutions, as floors for the network: the minimum norm estimate and sLORETA.

Hamalainen and Ilmoniemi, Med. Biol. Eng. Comput. 32:35-42, 1994; Pascual-Marqui, Methods Find. Exp. Clin. Pharmacol.
24D:5-12, 2002. Both are linear: they know the lead field, the level of the noise and, where it is recorded, how it is
spread over the electrodes, and nothing about the sources.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpsearch.data.eeg_settings import EEGSettings, head_of, recorded_noise
from hpsearch.data.lead_field import LeadField
from hpsearch.data.recordings import covariance
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.families.deepsif.task import SourceImaging
from hpsearch.training.by_example import ByExample, MethodScores
from hpsearch.training.task import Batch, Dataset, Forward

Floats = NDArray[np.float64]

_BATCH = 32


def regularisation(gain: Floats, *, decibels: float) -> float:
    """Return lambda: the noise's power for sources of power 1 at a signal-to-noise ratio, mean(diag(G G^T)) / ratio."""
    return float(np.trace(gain @ gain.T) / len(gain) / 10.0 ** (decibels / 10.0))


def minimum_norm(gain: Floats, *, decibels: float, noise: Floats | None = None) -> Floats:
    """Return the operator (R, C) of the minimum norm estimate G^T (G G^T + lambda N)^+ for a lead field G (C, R).

    N is the covariance (C, C) of the noise, of any scale: it is given the trace of the average reference H, which takes
    its place when the noise is white. The EEG, the lead field and the noise must have that reference.
    """
    electrodes = len(gain)
    spread = np.eye(electrodes) - 1.0 / electrodes
    if noise is not None:
        spread = noise * (np.trace(spread) / np.trace(noise))
    penalty = regularisation(gain, decibels=decibels) * spread
    operator: Floats = gain.T @ np.linalg.pinv(gain @ gain.T + penalty, rcond=1e-10, hermitian=True)
    return operator


def sloreta(gain: Floats, *, decibels: float, noise: Floats | None = None) -> Floats:
    """Return the operator (R, C) of sLORETA: the minimum norm estimate over its own standard deviation.

    The variance of region i is the i-th diagonal element of the resolution matrix. One dipole without noise is found
    without error, whatever the regularisation (Pascual-Marqui 2002).
    """
    operator = minimum_norm(gain, decibels=decibels, noise=noise)
    variance = np.einsum("rc,cr->r", operator, gain)
    standardised: Floats = operator / np.sqrt(variance)[:, None]
    return standardised


def noise_covariance(settings: EEGSettings, head: LeadField) -> Floats | None:
    """Return the covariance (C, C) of the noise of the training data, or None where it is white.

    The white part of a mixture is as strong as the recording at the electrodes on average.
    """
    if settings.noise is None:
        return None
    recorded = covariance(recorded_noise(settings, head, "train"))
    electrodes, share = len(recorded), settings.noise.share
    white = np.eye(electrodes) - 1.0 / electrodes
    mixed: Floats = share * recorded / np.trace(recorded) + (1.0 - share) * white / np.trace(white)
    return mixed


METHODS = {"minimum_norm": minimum_norm, "sloreta": sloreta}


def score_baselines(config: DeepSIFConfig, data: Dataset) -> dict[str, Mapping[str, float]]:
    """Return each method's scores on a split.

    The methods are told the mean of the data's signal-to-noise ratios. Each estimate is scaled to a largest magnitude
    of 1, as the targets are; that matters to `mse` and `loss` only.
    """
    head = head_of(config.data)
    decibels, noise = float(np.mean(config.data.snr)), noise_covariance(config.data, head)
    task = SourceImaging(config)
    scores: dict[str, Mapping[str, float]] = {}
    for name, method in METHODS.items():
        operator = torch.from_numpy(method(head.gain, decibels=decibels, noise=noise)).float()
        estimate = partial(estimate_sources, operator)
        scores[name] = MethodScores(task.evaluate(estimate, _batches(data)), partial(_by_clip, task, estimate, data))
    return scores


def _by_clip(task: SourceImaging, estimate: Forward, data: Dataset) -> ByExample:
    return task.by_example(estimate, _batches(data))


def estimate_sources(operator: Tensor, eeg: Tensor) -> Tensor:
    """Return activity (B, T, R) of EEG (B, T, C) by an operator (R, C); each clip's largest magnitude becomes 1."""
    activity = eeg @ operator.T
    largest = activity.abs().amax(dim=(1, 2), keepdim=True)
    return activity / torch.where(largest > 0, largest, 1.0)


def _batches(data: Dataset) -> Iterator[Batch]:
    for start in range(0, len(data), _BATCH):
        yield data.batch(range(start, min(start + _BATCH, len(data))))
