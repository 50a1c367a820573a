"""Which examples stand in which batch: a function of (seed, epoch, batch), so that a resume needs no state."""

import torch

from hpsearch.seeds import derive_seed


class Order:
    """The batches of every epoch, each epoch a fresh permutation of all examples.

    The last batch may be short, but never a single example, on which batch normalisation cannot train: that one joins
    the batch before it.
    """

    def __init__(self, *, examples: int, batch_size: int, accumulate: int, seed: int) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.accumulate = accumulate
        self._seed = seed
        self._permutation: tuple[int, list[int]] = (-1, [])
        full, rest = divmod(examples, batch_size)
        self.batches = max(1, full) if rest == 1 else full + (rest > 0)
        self.steps_per_epoch = -(-self.batches // accumulate)

    def window(self, epoch: int, first: int) -> list[list[int]]:
        """Return the examples of `accumulate` batches of an epoch from batch `first` on; fewer where the epoch ends."""
        permutation = self._permuted(epoch)
        last = min(first + self.accumulate, self.batches)
        return [permutation[self._bounds(number)] for number in range(first, last)]

    def _bounds(self, number: int) -> slice:
        start = number * self.batch_size
        return slice(start, self.examples if number == self.batches - 1 else start + self.batch_size)

    def _permuted(self, epoch: int) -> list[int]:
        if self._permutation[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(self._seed, epoch))
            self._permutation = (epoch, torch.randperm(self.examples, generator=generator).tolist())
        return self._permutation[1]
