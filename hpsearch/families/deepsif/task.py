"""One training of DeepSIF: its examples, loss, augmentation and scores."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from hpsearch.data.disk_cache import Arrays
from hpsearch.data.lead_field import load_lead_field
from hpsearch.families.deepsif.metrics import SourceScores
from hpsearch.families.deepsif.network import build_network
from hpsearch.families.deepsif.settings import DeepSIFConfig
from hpsearch.training.task import Batch, Forward, Task


class SourceData:
    """Simulated EEG and the activity behind it, which is multiplied out batch by batch: it is large and mostly 0."""

    def __init__(self, arrays: Arrays) -> None:
        self.eeg = torch.from_numpy(arrays["eeg"])
        self.magnitudes = torch.from_numpy(arrays["magnitudes"])
        self.waveforms = torch.from_numpy(arrays["waveforms"])

    def __len__(self) -> int:
        return len(self.eeg)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return eeg (B, T, C) and sources (B, T, R), both with a largest magnitude of 1."""
        index = torch.as_tensor(indices, dtype=torch.long)
        sources = torch.einsum("bst,bsr->btr", self.waveforms[index], self.magnitudes[index])
        return {"eeg": self.eeg[index], "sources": sources}


class SourceImaging(Task):
    """Regression of the sources on the EEG."""

    def __init__(self, config: DeepSIFConfig) -> None:
        self.config = config
        self.scalars: Mapping[str, float] = config.loss.model_dump()
        field = load_lead_field(config.data.electrodes, config.data.regions)
        self.scores = SourceScores(torch.from_numpy(field.distances()).float(), config.data.rate)

    def build_model(self) -> nn.Module:
        """Return a new network for the electrodes and regions of the data."""
        data = self.config.data
        return build_network(self.config.model, electrodes=data.electrodes, regions=data.regions)

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the weighted sum `loss` and its parts before weighting: means over examples, times and regions."""
        return source_loss(forward(batch["eeg"]), batch["sources"], scalars)

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the loss, its squared error and the scores of metrics.py, as means over examples."""
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
