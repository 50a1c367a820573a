"""A real family that divides its data into folds and trains in milliseconds."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hpsearch.data.folds import Folds, stratified_parts
from hpsearch.families import Family, FamilyConfig
from hpsearch.records import Goal
from hpsearch.settings import Settings
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Batch, Dataset, Forward, Split, Splits, Task, TensorData

SIZE = 60
LABELS = np.repeat([0, 1], [40, 20])[np.random.default_rng(1).permutation(SIZE)]


class FoldedData(Settings):
    """Points of two classes, a third of them of the second; with `official` the test part is given."""

    val_fraction: float = 0.1
    folds: Folds | None = None
    official: bool = False

    def model_post_init(self, _: object) -> None:
        if self.official and self.folds:
            raise ValueError("the official test part is no fold: leave official out")


class FoldedConfig(FamilyConfig):
    data: FoldedData = FoldedData()
    train: TrainSettings = TrainSettings(epochs=2, batch_size=16, learning_rate=0.1)


class FoldedTask(Task):
    def build_model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.1), nn.Linear(4, 1))

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        return {"loss": nn.functional.binary_cross_entropy_with_logits(forward(batch["x"])[:, 0], batch["y"])}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        whole = list(batches)
        logits = torch.cat([forward(batch["x"])[:, 0] for batch in whole])
        y = torch.cat([batch["y"] for batch in whole])
        return {"loss": float(nn.functional.binary_cross_entropy_with_logits(logits, y))}


class Folded(Family[FoldedConfig]):
    """Tells two classes apart; `frequency` knows only how frequent they are in training."""

    Config = FoldedConfig
    metrics = {"loss": Goal.MINIMIZE}  # noqa: RUF012 -- as a user would write it
    methods = ("frequency",)

    def load(self, data: FoldedData, split: Split, seed: int) -> Dataset:
        parts = stratified_parts(LABELS, val_fraction=data.val_fraction, test_fraction=0.2, seed=seed, folds=data.folds)
        y = torch.from_numpy(LABELS).float()
        x = y[:, None] + torch.randn(SIZE, 1, generator=torch.Generator().manual_seed(0))
        chosen = torch.from_numpy(parts[split])
        return TensorData(x=x[chosen], y=y[chosen], number=chosen)

    def task(self, config: FoldedConfig, splits: Splits) -> Task:
        del config, splits
        return FoldedTask()

    def baselines(self, config: FoldedConfig, splits: Splits, split: Split) -> Mapping[str, Mapping[str, float]]:
        learned, y = (splits[name].batch(range(len(splits[name])))["y"] for name in ("train", split))
        logit = torch.logit(learned.mean()).expand(len(y))
        return {"frequency": {"loss": float(nn.functional.binary_cross_entropy_with_logits(logit, y))}}
