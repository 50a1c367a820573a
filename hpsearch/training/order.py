"""Which examples stand in which batch: a function of (seed, epoch, batch), so that a resume needs no state."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate as running_sums

import torch

from hpsearch.errors import DataError
from hpsearch.seeds import derive_seed

Choose = Callable[[int], Sequence[int] | None]
"""The examples of an epoch by index; None for all. The same epoch always gives the same answer."""


def _all(_epoch: int) -> None:
    return None


class Order:
    """The batches of every epoch, each epoch a fresh permutation of its examples: all, or those that `choose` names.

    The last batch may be short, but never a single example, on which batch normalisation cannot train: that one joins
    the batch before it.
    """

    def __init__(
        self, *, examples: int, epochs: int, batch_size: int, accumulate: int, seed: int, choose: Choose = _all
    ) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.accumulate = accumulate
        self._seed = seed
        self._choose = choose
        self._sizes = [examples if chosen is None else len(chosen) for chosen in map(self._chosen, range(epochs))]
        self._ends = [0, *running_sums(self.steps(epoch) for epoch in range(epochs))]
        self._permutation: tuple[int, list[int]] = (-1, [])

    @property
    def total_steps(self) -> int:
        """The optimizer steps of the whole training."""
        return self._ends[-1]

    def batches(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""
        full, rest = divmod(self._sizes[epoch], self.batch_size)
        return max(1, full) if rest == 1 else full + (rest > 0)

    def steps(self, epoch: int) -> int:
        """Return the number of optimizer steps of an epoch."""
        return -(-self.batches(epoch) // self.accumulate)

    def step_at(self, epochs: float) -> int:
        """Return the optimizer steps of the first `epochs` epochs; beyond the end as if the last epoch went on."""
        whole = min(int(epochs), len(self._sizes) - 1)
        return self._ends[whole] + round((epochs - whole) * self.steps(whole))

    def epoch_at(self, step: int) -> float:
        """Return how many epochs `step` optimizer steps are; beyond the end as if the last epoch went on."""
        whole = min(bisect_right(self._ends, step), len(self._sizes)) - 1
        return whole + (step - self._ends[whole]) / self.steps(whole)

    def window(self, epoch: int, first: int) -> list[list[int]]:
        """Return the examples of `accumulate` batches of an epoch from batch `first` on; fewer where the epoch ends."""
        last = min(first + self.accumulate, self.batches(epoch))
        return [self.batch(epoch, number) for number in range(first, last)]

    def batch(self, epoch: int, number: int) -> list[int]:
        """Return the examples of one batch of an epoch."""
        start, is_last = number * self.batch_size, number == self.batches(epoch) - 1
        return self._permuted(epoch)[start : self._sizes[epoch] if is_last else start + self.batch_size]

    def _permuted(self, epoch: int) -> list[int]:
        if self._permutation[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(self._seed, epoch))
            places: list[int] = torch.randperm(self._sizes[epoch], generator=generator).tolist()
            chosen = self._chosen(epoch)
            self._permutation = (epoch, places if chosen is None else [int(chosen[place]) for place in places])
        return self._permutation[1]

    def _chosen(self, epoch: int) -> Sequence[int] | None:
        """Return what `choose` says.

        Raises:
            DataError: It names no examples, or one that the data do not have.
        """
        chosen = self._choose(epoch)
        if chosen is None:
            return None
        if len(chosen) == 0:
            raise DataError(f"the task chooses no training examples for epoch {epoch}")
        outside = next((index for index in chosen if not 0 <= index < self.examples), None)
        if outside is not None:
            raise DataError(f"the task chooses example {outside} for epoch {epoch}; there are {self.examples}")
        return chosen
