"""The contract between a family and the shared loop: a Task is one training's model, data, loss and scores.

    task = family.task(config, splits)
    loop:  model = task.build_model()
           task.begin_epoch(model, epoch, epochs)               # at the start of each epoch
           batch = task.augment(splits["train"].batch(indices), generator)
           parts = task.loss(model, batch, task.scalars)        # parts["loss"] is what is minimised
           scores = task.evaluate(model, batches of "val")

The loss is a pure function of (parameters, batch, scalars): `forward` may be the module itself or
`torch.func.functional_call` with stacked parameters, and `scalars` holds every number of the configuration that enters
the loss, so that several trials of one shape can be trained as one pack with a lane for each.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpsearch.errors import SealedSplitError
from hpsearch.records import HeatMap
from hpsearch.training.by_example import ByExample

Batch = Mapping[str, Tensor]
"""Named tensors whose first dimension counts the examples of the batch."""
Forward = Callable[..., Tensor]
"""The model, or a function that acts like it."""
Split = Literal["train", "val", "test"]


class Dataset(Protocol):
    """Examples that can be fetched by index. Holds no state that a resume would need.

    Data whose examples are alike in groups may say so by `clusters`, (N,), see `clusters_of`.
    """

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the examples at these indices as one batch on the CPU; the same indices always give the same batch."""
        ...


class TensorData:
    """A Dataset of tensors held in memory, all with the same first dimension."""

    def __init__(self, **tensors: Tensor) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"tensors of different lengths: {lengths}")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the rows at these indices."""
        # numpy is three times as fast with a list as torch.as_tensor
        index = indices if isinstance(indices, Tensor) else torch.from_numpy(np.array(indices, dtype=np.int64))
        return {name: tensor.index_select(0, index) for name, tensor in self.tensors.items()}


def examples_in(dataset: Dataset) -> int:
    """Count the collected examples, without changed copies if the dataset knows its `originals`."""
    return getattr(dataset, "originals", None) or len(dataset)


def clusters_of(dataset: Dataset) -> NDArray[np.int64] | None:
    """Return the number of each example's cluster, (N,), if the dataset knows its `clusters`, such as subjects."""
    found = getattr(dataset, "clusters", None)
    return None if found is None else np.asarray(found, dtype=np.int64)


class Splits:
    """The data of one configuration, opened split by split when used; the test split may be sealed (design.md 6.5)."""

    def __init__(self, load: Callable[[Split], Dataset], *, sealed: bool) -> None:
        self._load = load
        self._opened: dict[Split, Dataset] = {}
        self.sealed = sealed

    def __getitem__(self, split: Split) -> Dataset:
        if split == "test" and self.sealed:
            raise SealedSplitError("the test split is read only by confirm; this family asked for it during the search")
        if split not in self._opened:
            self._opened[split] = self._load(split)
        return self._opened[split]

    def view(self, *, sealed: bool) -> "Splits":
        """Return the same data with the test split sealed or open; splits that are loaded stay loaded."""
        other = Splits(self._load, sealed=sealed)
        other._opened = self._opened
        return other


class Task(ABC):
    """What one training needs besides settings. Built once per training; holds no state that changes while training."""

    scalars: Mapping[str, float] = {}
    """The configuration's numbers that enter the loss, by name (loss weights, for instance)."""

    @abstractmethod
    def build_model(self) -> nn.Module:
        """Return a freshly initialised model on the CPU; all randomness from torch's global generator, which is seeded.

        A part that the task puts into eval mode (frozen batch normalisation) stays so while training.
        """

    @abstractmethod
    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the loss parts of a batch: scalar tensors, means over `count(batch)` items, `"loss"` among them."""

    @abstractmethod
    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return scores over all batches, names without the split. Called in eval mode without gradients.

        Means are over items, not over batches: the last batch may be short.
        """

    def by_example(self, forward: Forward, batches: Iterable[Batch]) -> ByExample | None:  # noqa: ARG002 - see below
        """Return the scores of `evaluate` as a function of how often each example counts; called as `evaluate` is.

        With it new data are scored with an interval over their examples. None, the default: only scores that are the
        mean of those of single examples get one.
        """
        return None

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:  # noqa: ARG002 - the default needs none
        """Return an augmented training batch; inputs and targets move together. Batch and generator are on the CPU."""
        return batch

    def begin_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:  # noqa: B027 - most tasks have none
        """Set in the model what follows from the epoch alone, such as a scheduled dropout; by default nothing.

        Called before the first step of each epoch (counted from 0, of `epochs` in all), and again when a training goes
        on within one; also for the moving average's model, if there is one. It may draw no random numbers.
        """

    def examples(self, epoch: int, epochs: int) -> Sequence[int] | None:  # noqa: ARG002 - the default takes all
        """Return the training examples of an epoch by index; None for all.

        For a curriculum: fewer examples make fewer steps, and schedules follow the steps that there are. The same epoch
        must always give the same examples; the loop shuffles them. An index may occur more than once.
        """
        return None

    def count(self, batch: Batch) -> int:
        """Return over how many items the loss of this (CPU) batch is a mean; by default its examples."""
        return len(next(iter(batch.values())))

    def rate_scale(self, parameter: str) -> float:  # noqa: ARG002 - the default is the same for all
        """Return the factor on the learning rate of the parameter of that name; for layer-wise rates. Above 0."""
        return 1.0

    def decays(self, parameter: str) -> bool | None:  # noqa: ARG002 - the default leaves it to the loop's rule
        """Check whether weight decay holds for the parameter of that name; None: as for others of its kind."""
        return None

    def artifacts(self, model: nn.Module) -> Mapping[str, HeatMap]:  # noqa: ARG002 - the default has nothing to show
        """Return pictures of a trained model (in eval mode, without gradients), by file name."""
        return {}

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """Return the parts between which activations are kept with `train.activation_checkpointing`.

        By default the members of each `ModuleList`, and of each `Sequential` of equal parts: layers of a transformer.
        """
        inside: set[nn.Module] = set()
        found: list[nn.Module] = []
        for module in model.modules():
            if module not in inside and _is_stack(module):
                found += module.children()
                inside |= {part for block in module.children() for part in block.modules()}
        return found


def _is_stack(module: nn.Module) -> bool:
    """Check whether a module is a row of like parts that are more than single layers."""
    kinds = {type(part) for part in module.children()}
    composed = all(any(part.children()) for part in module.children())
    return isinstance(module, nn.ModuleList | nn.Sequential) and len(kinds) == 1 and composed
