"""Trying batch sizes: where it ends, what it calls fastest, and that nothing is left of it."""

import os
import resource
import weakref
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hpsearch.errors import HpsearchError
from hpsearch.training.batch_sizes import try_batch_sizes
from hpsearch.training.devices import available_memory, bounded_memory, is_out_of_memory
from hpsearch.training.settings import TrainSettings
from hpsearch.training.task import Batch, Forward
from tests.training.toy import SEEDS, NetTask, draw, line_splits

SETTINGS = TrainSettings(batch_size=4, learning_rate=0.1, device="cpu")


class Hungry(NetTask):
    """Has memory for `room` examples, and notes the sizes and weights that it sees."""

    def __init__(self, room: int = 1000) -> None:
        super().__init__()
        self.room = room
        self.sizes: list[int] = []
        self.weights: list[Tensor] = []

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        self.sizes.append(len(batch["x"]))
        assert isinstance(forward, nn.Sequential)
        self.weights.append(forward[0].weight.detach().clone())
        if len(batch["x"]) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().loss(forward, batch, scalars)


class Heavy(NetTask):
    """Has a model that is too large by itself."""

    def build_model(self) -> nn.Module:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB")


@pytest.mark.slow
def test_the_size_doubles_until_the_memory_does_not_suffice() -> None:
    task = Hungry(room=10)
    found = try_batch_sizes(task, line_splits(100), SETTINGS, seeds=SEEDS)
    assert [each.size for each in found.fitted] == [2, 4, 8]
    assert found.too_large == 16
    assert found.largest is found.fitted[-1]
    assert task.sizes == [2] * 4 + [4] * 4 + [8] * 4 + [16]  # a step to see whether it fits, three for the clock


@pytest.mark.slow
@pytest.mark.parametrize(("most", "last"), [(None, 16), (16, 16), (15, 8), (1000, 16)])
def test_it_ends_at_the_limit_and_at_the_examples_there_are(most: int | None, last: int) -> None:
    found = try_batch_sizes(Hungry(), line_splits(22), SETTINGS, seeds=SEEDS, most=most)
    assert found.fitted[-1].size == last
    assert found.too_large is None


def test_nothing_fits_into_no_memory() -> None:
    found = try_batch_sizes(Hungry(room=1), line_splits(22), SETTINGS, seeds=SEEDS)
    assert (found.fitted, found.too_large, found.largest, found.fastest) == ((), 2, None, None)
    with pytest.raises(HpsearchError, match="not suffice for the model alone"):
        try_batch_sizes(Heavy(), line_splits(22), SETTINGS, seeds=SEEDS)
    with pytest.raises(HpsearchError, match="1 are too few"):
        try_batch_sizes(Hungry(), line_splits(1), SETTINGS, seeds=SEEDS)


@pytest.mark.slow
def test_the_fastest_has_the_most_examples_in_a_second() -> None:
    """Steps of 0.7 and 0.5 (the shortest counts), of 1 and of 4 seconds at 2, 4 and 8 examples: 4, 4 and 2 a second."""
    times = iter([0.0, 0.7, 1.0, 1.5, 10.0, 11.0, 20.0, 24.0])
    found = try_batch_sizes(Hungry(), line_splits(22), SETTINGS, seeds=SEEDS, most=8, clock=lambda: next(times))
    assert [each.examples_per_second for each in found.fitted] == [4.0, 4.0, 2.0]
    assert found.fastest is found.fitted[0]


def test_other_errors_are_not_taken_for_exhausted_memory() -> None:
    class Broken(Hungry):
        def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        try_batch_sizes(Broken(), line_splits(22), SETTINGS, seeds=SEEDS)


@pytest.mark.slow
def test_model_process_and_random_state_are_afterwards_as_before() -> None:
    task, flags, limits = Hungry(room=10), torch.are_deterministic_algorithms_enabled(), _limits()
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the global generator is what is tested
    expected = draw()
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the global generator is what is tested
    state = torch.get_rng_state()
    try_batch_sizes(task, line_splits(100), SETTINGS, seeds=SEEDS)
    assert torch.equal(torch.get_rng_state(), state)
    assert draw()[2:] == expected[2:]
    assert torch.are_deterministic_algorithms_enabled() is flags
    assert _limits() == limits
    assert all(torch.equal(weight, task.weights[0]) for weight in task.weights)


@pytest.mark.slow
def test_the_memory_of_the_model_is_free_again() -> None:
    """Also after a step that failed, whose error keeps hold of it."""

    class Watched(Hungry):
        def build_model(self) -> nn.Module:
            model = super().build_model()
            self.alive = weakref.ref(model)
            return model

        def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
            self.weights.clear()
            return super().loss(forward, batch, scalars)

    task = Watched(room=4)
    try_batch_sizes(task, line_splits(22), SETTINGS, seeds=SEEDS)
    assert task.alive() is None


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_AS)


def test_bounded_memory_makes_a_large_allocation_fail_instead_of_the_process() -> None:
    before = _limits()
    with bounded_memory(256 * 2**20):
        torch.empty(2**20)
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            torch.empty(2**30, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert _limits() == before
    assert torch.empty(2**30, dtype=torch.uint8).numel() == 2**30


def test_the_free_memory_is_less_than_all_of_it() -> None:
    free, whole = available_memory(), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert free is not None
    assert 0 < free < whole
