"""A family whose scores are pure chance: nothing in its settings makes a difference."""

import hashlib
from collections.abc import Iterable, Mapping

import torch

from hpsearch.families import FamilyConfig
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Batch, Forward, Splits, Task
from tests.toy_family import Toy, ToyData, ToyModel, ToyTask


class NoiseData(ToyData):
    """`label` tells two arms apart, and nothing else."""

    label: str = ""


class NoiseConfig(FamilyConfig):
    data: NoiseData = NoiseData()
    model: ToyModel = ToyModel()
    train: TrainSettings = TrainSettings(epochs=1, batch_size=8, learning_rate=0.1)


class NoiseTask(ToyTask):
    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Draw a score from the label, the trained weights and the data: another one for each training and split."""
        digest = hashlib.sha256(self.config.data.label.encode())  # type: ignore[attr-defined]
        for batch in batches:
            digest.update(forward(batch["x"]).detach().numpy().tobytes() + batch["y"].numpy().tobytes())
        generator = torch.Generator().manual_seed(int.from_bytes(digest.digest()[:7], "big"))
        return {"loss": 1 + 0.1 * float(torch.randn((), generator=generator))}


class Noise(Toy):
    """Scores by chance."""

    Config = NoiseConfig  # type: ignore[assignment]

    def task(self, config: NoiseConfig, splits: Splits) -> Task:  # type: ignore[override]
        return NoiseTask(config)  # type: ignore[arg-type]
