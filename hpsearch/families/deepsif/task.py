"""One training of DeepSIF: its examples, loss, augmentation and scores.

The scores say how well an estimate of the cortex's activity finds the true sources; each example is scored, then they
are averaged. A region is reconstructed when its magnitude is above Otsu's threshold (1979) for more than 14 ms, which
is the "more than 7 samples" of Sun et al. (2022) at 500 Hz. The length of a spike does not depend on the length of the
clip, so the rule is kept in time: more than `floor(0.014 * rate)` samples.

An empty reconstruction has no precision, localisation error or dispersion. Leaving it out of the means would let a
network win that answers only when it is easy, so it is given the worst: precision, recall and dice 0, AUC as computed
from its energies, and as its errors the largest distance that any region has from the true sources. `empty` is the
fraction of such examples.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpsearch.data.disk_cache import Arrays
from hpsearch.data.eeg_settings import head_of
from hpsearch.families.deepsif.network import build_network
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.training.by_example import ByExample, means_of
from hpsearch.training.task import Batch, Forward, Task


class SourceData:
    """EEG and the activity behind it. Simulated activity is large and mostly 0: it is multiplied out batch by batch."""

    def __init__(self, arrays: Arrays) -> None:
        self.eeg = torch.from_numpy(arrays["eeg"])
        self.parts = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "eeg"}

    def __len__(self) -> int:
        return len(self.eeg)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return eeg (B, T, C) and sources (B, T, R), both with a largest magnitude of 1."""
        index = torch.as_tensor(indices, dtype=torch.long)
        parts = {name: part[index] for name, part in self.parts.items()}
        if "sources" not in parts:
            parts["sources"] = torch.einsum("bst,bsr->btr", parts["waveforms"], parts["magnitudes"])
        return {"eeg": self.eeg[index], "sources": parts["sources"]}


class SourceImaging(Task):
    """Regression of the sources on the EEG."""

    def __init__(self, config: DeepSIFConfig) -> None:
        self.config = config
        self.scalars: Mapping[str, float] = config.loss.model_dump()
        head = head_of(config.data)
        self.electrodes, self.regions = head.gain.shape
        self.scores = SourceScores(torch.from_numpy(head.distances()).float(), config.data.rate)

    def build_model(self) -> nn.Module:
        """Return a new network for the electrodes and regions of the head."""
        return build_network(self.config.model, electrodes=self.electrodes, regions=self.regions)

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the weighted sum `loss` and its parts before weighting: means over examples, times and regions."""
        return source_loss(forward(batch["eeg"]), batch["sources"], scalars)

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the loss, its squared error and the scores, as means over examples."""
        totals: dict[str, float] = defaultdict(float)
        examples = 0
        for batch in batches:
            estimate = forward(batch["eeg"])
            parts = source_loss(estimate, batch["sources"], self.scalars)
            size = len(estimate)
            totals["loss"] += float(parts["loss"]) * size
            totals["mse"] += float(parts["reconstruction"]) * size
            for name, values in self.scores.score(estimate, batch["sources"]).items():
                totals[name] += float(values.sum())
            examples += size
        return {name: total / examples for name, total in totals.items()}

    def by_example(self, forward: Forward, batches: Iterable[Batch]) -> ByExample:
        """Return the same scores by clip: all are means over clips."""
        rows: dict[str, list[Tensor]] = defaultdict(list)
        for batch in batches:
            estimate, sources = forward(batch["eeg"]), batch["sources"]
            for clip in range(len(estimate)):
                parts = source_loss(estimate[clip : clip + 1], sources[clip : clip + 1], self.scalars)
                rows["loss"].append(parts["loss"][None])
                rows["mse"].append(parts["reconstruction"][None])
            for name, values in self.scores.score(estimate, sources).items():
                rows[name].append(values)
        found = {name: torch.cat(parts).detach().double().cpu().numpy() for name, parts in rows.items()}
        return ByExample(len(found["loss"]), means_of(found))

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Shift EEG and sources together in time, then add white noise to the EEG only."""
        settings = self.config.augmentation
        eeg, sources = batch["eeg"], batch["sources"]
        if settings.max_shift:
            shift = torch.randint(-settings.max_shift, settings.max_shift + 1, (len(eeg),), generator=generator)
            eeg, sources = shift_in_time(eeg, shift), shift_in_time(sources, shift)
        if settings.noise_std:
            eeg = eeg + settings.noise_std * torch.randn(eeg.shape, generator=generator)
        return {"eeg": eeg, "sources": sources}

    def rate_scale(self, parameter: str) -> float:
        """Return the factor on the learning rate of a parameter of the network."""
        return self.config.train.spatial_rate if parameter.startswith("spatial.") else 1.0


def source_loss(estimate: Tensor, sources: Tensor, scalars: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
    """Return the loss of estimates and true activity (B, T, R): squared error, sparsity and smoothness in time."""
    parts = {
        "reconstruction": (estimate - sources).square().mean(),
        "sparsity": estimate.abs().mean(),
        "temporal_smoothness": estimate.diff(dim=1).square().mean(),
    }
    total = sum((scalars[name] * part for name, part in parts.items()), start=estimate.new_zeros(()))
    return {"loss": total, **parts}


def shift_in_time(values: Tensor, shift: Tensor) -> Tensor:
    """Move each example of (B, T, N) by its own number of samples (B,), to later times if positive; 0 comes in."""
    length = values.shape[1]
    source = torch.arange(length) - shift[:, None]
    inside = (source >= 0) & (source < length)
    moved = values[torch.arange(len(values))[:, None], source.clamp(0, length - 1)]
    return moved * inside[..., None]


BINS = 100
_LONG_ENOUGH = 0.014
"""s."""


@dataclass(frozen=True)
class SourceScores:
    """Scores the reconstructions of clips of one geometry."""

    distances: Tensor
    """(R, R), in mm, between the regions' centres."""
    rate: float
    """Samples per second."""

    def score(self, estimate: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Return every score of each example (B,), for estimates and true activity (B, T, R). Distances are in mm."""
        estimate = estimate.detach().float()
        true = (truth != 0).any(dim=1)
        found = select_regions(estimate, longer_than=int(_LONG_ENOUGH * self.rate + 1e-9))
        away = self.distances_to(true)
        energy = estimate.square().sum(dim=1)
        hits = (found & true).sum(dim=1).float()
        size, true_size = found.sum(dim=1).float(), true.sum(dim=1).float()
        return {
            "precision": hits / size.clamp(min=1),
            "recall": hits / true_size.clamp(min=1),
            "dice": 2 * hits / (size + true_size).clamp(min=1),
            "localisation_error": _weighted_mean(away, found.float()),
            "spatial_dispersion": _weighted_mean(away.square(), energy).sqrt(),
            "auc": area_under_curve(energy, true),
            "empty": (size == 0).float(),
        }

    def distances_to(self, true: Tensor) -> Tensor:
        """Return the distance in mm (B, R) of each region from the nearest of the true regions (B, R)."""
        if not true.any(dim=1).all():
            raise ValueError("an example has no true source")
        distances = self.distances.to(true.device)
        return torch.stack([distances[row].amin(dim=0) for row in true])


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of values (B, R) by weights (B, R); without any weight, the largest value."""
    total = weights.sum(dim=1)
    mean = (values * weights).sum(dim=1) / torch.where(total > 0, total, 1.0)
    return torch.where(total > 0, mean, values.amax(dim=1))


def select_regions(estimate: Tensor, *, longer_than: int) -> Tensor:
    """Return which regions (B, R) are above Otsu's threshold in more than `longer_than` samples of (B, T, R).

    The threshold divides the magnitudes of one example, all times and regions together. A constant has no threshold and
    selects nothing.
    """
    magnitude = estimate.abs()
    low, high = magnitude.amin(dim=(1, 2), keepdim=True), magnitude.amax(dim=(1, 2), keepdim=True)
    span = high - low
    scaled = (magnitude - low) / torch.where(span > 0, span, 1.0)
    level = (scaled * BINS).long().clamp(max=BINS - 1)
    offset = BINS * torch.arange(len(level), device=level.device)
    counts = torch.bincount((level + offset[:, None, None]).flatten(), minlength=BINS * len(level))
    last_below = otsu_level(counts.view(len(level), BINS))
    above = (level > last_below[:, None, None]) & (span > 0)
    return above.sum(dim=1) > longer_than


def otsu_level(counts: Tensor) -> Tensor:
    """Return for histograms (B, bins) the last bin of the lower class: the split of largest variance between classes.

    Otsu, IEEE Trans. Systems, Man and Cybernetics 9:62-66, 1979. Of equal splits the first is taken.
    """
    weight = counts.double() / counts.sum(dim=1, keepdim=True)
    below = weight.cumsum(dim=1)[:, :-1]
    moment = (weight * torch.arange(counts.shape[1], device=counts.device)).cumsum(dim=1)
    mean, moment = moment[:, -1:], moment[:, :-1]
    spread = below * (1 - below)
    between = (mean * below - moment).square() / torch.where(spread > 1e-12, spread, torch.inf)
    return between.argmax(dim=1)


def area_under_curve(score: Tensor, true: Tensor) -> Tensor:
    """Return the area under the ROC curve (B,): the chance that a true region scores above another one; ties are half.

    Scores and truth are (B, R). An example whose regions are all true or all false gets 0.5.
    """
    ordered = score.sort(dim=1).values.contiguous()
    below = torch.searchsorted(ordered, score.contiguous())
    up_to = torch.searchsorted(ordered, score.contiguous(), right=True)
    rank = (below + up_to + 1).double() / 2
    positives = true.sum(dim=1).double()
    negatives = true.shape[1] - positives
    wins = (rank * true).sum(dim=1) - positives * (positives + 1) / 2
    pairs = positives * negatives
    return torch.where(pairs > 0, wins / pairs.clamp(min=1), 0.5).float()
