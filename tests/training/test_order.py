import itertools

import pytest
import torch

from hpsearch.errors import DataError
from hpsearch.seeds import derive_seed
from hpsearch.training.batches import Order


def epoch_of(order, epoch):
    """Return the windows of an epoch."""
    firsts = range(0, order.batches(epoch), order.accumulate)
    return [order.window(epoch, first) for first in firsts]


@pytest.mark.parametrize(
    ("examples", "batch_size", "accumulate"), list(itertools.product([1, 2, 7, 8, 9, 33], [1, 4, 8], [1, 2, 3]))
)
def test_every_example_once_an_epoch_and_never_a_lone_one(examples, batch_size, accumulate):
    order = Order(examples=examples, epochs=3, batch_size=batch_size, accumulate=accumulate, seed=0)
    windows = epoch_of(order, 0)
    batches = [batch for window in windows for batch in window]
    assert sorted(itertools.chain(*batches)) == list(range(examples))
    assert len(batches) == order.batches(0)
    assert len(windows) == order.steps(0)
    assert all(len(window) == accumulate for window in windows[:-1])
    if batch_size > 1 and examples > 1:
        assert min(map(len, batches)) > 1


@pytest.mark.parametrize("examples", range(2, 40))
def test_windows_of_small_batches_hold_what_one_large_batch_holds(examples):
    small = Order(examples=examples, epochs=3, batch_size=4, accumulate=3, seed=5)
    large = Order(examples=examples, epochs=3, batch_size=12, accumulate=1, seed=5)
    joined = [[list(itertools.chain(*window))] for window in epoch_of(small, 2)]
    assert joined == epoch_of(large, 2)


def test_epochs_differ_and_any_of_them_can_be_entered():
    order = Order(examples=20, epochs=3, batch_size=5, accumulate=1, seed=3)
    first, second = epoch_of(order, 0), epoch_of(order, 1)
    assert first != second
    fresh = Order(examples=20, epochs=3, batch_size=5, accumulate=1, seed=3)
    assert fresh.window(1, 2) == second[2]
    assert epoch_of(order, 0) == first
    assert epoch_of(Order(examples=20, epochs=3, batch_size=5, accumulate=1, seed=4), 0) != first


def test_an_order_without_choice_is_torchs_permutation_of_all_examples():
    order = Order(examples=20, epochs=2, batch_size=6, accumulate=1, seed=3)
    generator = torch.Generator().manual_seed(derive_seed(3, 1))
    expected = torch.randperm(20, generator=generator).tolist()
    assert [index for window in epoch_of(order, 1) for batch in window for index in batch] == expected
    assert order.total_steps == 8


def test_an_epoch_has_the_examples_that_are_chosen_for_it():
    chosen = {0: [7, 3], 1: None, 2: [1, 1, 2, 9, 4]}
    order = Order(examples=10, epochs=3, batch_size=2, accumulate=2, seed=1, choose=chosen.get)
    seen = [
        sorted(index for window in epoch_of(order, epoch) for batch in window for index in batch) for epoch in chosen
    ]
    assert seen == [[3, 7], list(range(10)), [1, 1, 2, 4, 9]]
    assert [(order.batches(epoch), order.steps(epoch)) for epoch in chosen] == [(1, 1), (5, 3), (2, 1)]
    assert order.total_steps == 5


@pytest.mark.parametrize(("chosen", "message"), [([], "no training examples for epoch 1"), ([2, 10], "example 10")])
def test_what_cannot_be_chosen(chosen, message):
    with pytest.raises(DataError, match=message):
        Order(examples=10, epochs=2, batch_size=2, accumulate=1, seed=0, choose=lambda epoch: chosen if epoch else [0])
