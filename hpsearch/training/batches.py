"""The batches of a training: which examples each contains, and who fetches them.

The order is a function of (seed, epoch, batch), so that a resume needs no state. A batch is fetched as it is needed, or
ahead of time by worker processes, and is the same whoever fetches it: a function of its examples. A dataset that draws
random numbers nevertheless gets generators that are seeded for each batch in a worker process.
"""

import random
import signal
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate as running_sums
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from hpsearch.errors import DataError
from hpsearch.seeds import derive_seed
from hpsearch.training.settings import Loading
from hpsearch.training.task import Batch, Dataset

Choose = Callable[[int], Sequence[int] | None]
"""The examples of an epoch by index; None for all. The same epoch always gives the same answer."""


def _all(_epoch: int) -> None:
    return None


class Order:
    """The batches of every epoch, each epoch a fresh permutation of its examples: all, or those that `choose` names.

    The last batch may be short, but never a single example, on which batch normalisation cannot train: that one joins
    the batch before it. After `steps` optimizer steps the training ends, wherever in its epochs that is.
    """

    def __init__(
        self,
        *,
        examples: int,
        epochs: int,
        batch_size: int,
        accumulate: int,
        seed: int,
        choose: Choose = _all,
        steps: int | None = None,
    ) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.accumulate = accumulate
        self._seed = seed
        self._choose = choose
        self._sizes = [examples if chosen is None else len(chosen) for chosen in map(self._chosen, range(epochs))]
        self._ends = [0, *running_sums(self.steps(epoch) for epoch in range(epochs))]
        self._permutation: tuple[int, list[int]] = (-1, [])
        self.total_steps = self._ends[-1] if steps is None else min(steps, self._ends[-1])
        """The optimizer steps of the whole training."""

    @property
    def epochs(self) -> int:
        """The epochs of the whole training; the last one may be cut off."""
        return len(self._sizes)

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
        """Convert `step` optimizer steps to epochs; beyond the end the last epoch is extended."""
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


_Request = tuple[int, Sequence[int]]
"""The seed of a batch and its examples."""


class Feed:
    """The windows of a training in their order; has worker processes until `close`, if `loading` asks for some."""

    def __init__(self, data: Dataset, order: Order, loading: Loading, *, seed: int, device: torch.device) -> None:
        self._data = data
        self._order = order
        self._seed = seed
        self._rest = _Rest()
        self._loader = _loader(data, self._rest, loading, seed=seed, device=device) if loading.processes else None
        self._fetched: Iterator[Batch | _Failure] | None = None
        self._position = (-1, 0)

    def window(self, epoch: int, first: int) -> list[Batch]:
        """Return the batches of the window that begins with batch `first` of an epoch.

        Raises:
            Exception: What the dataset raises, with a note if that was in a worker process.
        """
        chosen = self._order.window(epoch, first)
        if self._loader is None:
            return [self._data.batch(examples) for examples in chosen]
        if self._fetched is None or self._position != (epoch, first):
            self._rest.requests = list(self._requests(epoch, first))
            self._fetched = iter(self._loader)
        self._position = (epoch, first + len(chosen))
        return [_batch(next(self._fetched)) for _ in chosen]

    def _requests(self, epoch: int, first: int) -> Iterator[_Request]:
        for number in range(first, self._order.batches(epoch)):
            yield derive_seed(self._seed, epoch, number), self._order.batch(epoch, number)

    def close(self) -> None:
        """End the worker processes, if there are any; an exception's traceback could keep them from the collector."""
        fetched: Any = self._fetched
        self._fetched = self._loader = None
        if fetched is not None:
            fetched._shutdown_workers()


class _Rest:
    """The sampler: what is left of an epoch."""

    def __init__(self) -> None:
        self.requests: list[_Request] = []

    def __iter__(self) -> Iterator[_Request]:
        return iter(self.requests)


class _Fetch(TorchDataset[Any]):
    """A dataset as the worker processes see it: an item is a whole batch, or what went wrong."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def __getitem__(self, request: _Request) -> "Batch | _Failure":
        seed, examples = request
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global generator that a dataset may draw from
        torch.manual_seed(seed)
        try:
            return self._data.batch(examples)
        except Exception as error:  # noqa: BLE001 - the training raises it
            return _Failure(_portable(error))


class _Failure:
    """An exception on its way from a worker process: torch would raise another in its place."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _batch(fetched: "Batch | _Failure") -> Batch:
    if isinstance(fetched, _Failure):
        raise fetched.error
    return fetched


def _portable(error: Exception) -> Exception:
    """Return an exception that can be sent to another process and says where it comes from."""
    note = "".join(["In a process that loads data:\n", *traceback.format_exception(error)])
    try:
        copy: Exception = ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001 - whatever a constructor of the user's does
        copy = RuntimeError(f"{type(error).__name__}: {error}")
    copy.add_note(note)
    return copy


def _loader(data: Dataset, rest: _Rest, loading: Loading, *, seed: int, device: torch.device) -> DataLoader[Any]:
    return DataLoader(
        _Fetch(data),
        batch_size=None,
        sampler=rest,
        collate_fn=_as_it_is,
        num_workers=loading.processes,
        worker_init_fn=_obey_the_training,
        pin_memory=device.type == "cuda" if loading.pin_memory == "auto" else loading.pin_memory,
        persistent_workers=loading.persistent,
        prefetch_factor=loading.prefetch,
        generator=torch.Generator().manual_seed(seed),  # else torch draws from the training's
    )


def _as_it_is(item: Any) -> Any:
    return item


def _obey_the_training(_: int) -> None:
    """Leave Ctrl-C, which reaches the whole terminal, to the training; and SIGTERM comes from it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
