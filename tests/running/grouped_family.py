"""A toy family whose test examples belong to subjects, and whose method tells its scores by example."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from hpsearch.training.by_example import ByExample, MethodScores, means_of
from hpsearch.training.task import Batch, Dataset, Forward, Split, Splits, Task, TensorData
from tests.toy_family import Toy, ToyConfig, ToyData, ToyTask


class Subjects(TensorData):
    clusters: object = None


class GroupedTask(ToyTask):
    def by_example(self, forward: Forward, batches: Iterable[Batch]) -> ByExample:
        squares = torch.cat([(forward(batch["x"]) - batch["y"]).square()[:, 0] for batch in batches])
        return ByExample(len(squares), means_of({"loss": squares.double().numpy()}))


class Grouped(Toy):
    def load(self, data: ToyData, split: Split, seed: int) -> Dataset:
        found = Subjects(**super().load(data, split, seed).tensors)
        found.clusters = np.arange(len(found)) // 4
        return found

    def task(self, config: ToyConfig, splits: Splits) -> Task:
        return GroupedTask(config)

    def baselines(self, config: ToyConfig, splits: Splits, split: Split) -> Mapping[str, Mapping[str, float]]:
        y = splits[split].tensors["y"][:, 0].double().numpy()
        mean = float(splits["train"].tensors["y"].mean())
        by_example = ByExample(len(y), means_of({"loss": (y - mean) ** 2}))
        return {"mean": MethodScores(by_example.scores(np.ones(len(y))), lambda: by_example)}
