import itertools

import pytest

from hpsearch.training.order import Order


def epoch_of(order, epoch):
    """Return the windows of an epoch."""
    firsts = range(0, order.batches, order.accumulate)
    return [order.window(epoch, first) for first in firsts]


@pytest.mark.parametrize(
    ("examples", "batch_size", "accumulate"), list(itertools.product([1, 2, 7, 8, 9, 33], [1, 4, 8], [1, 2, 3]))
)
def test_every_example_once_an_epoch_and_never_a_lone_one(examples, batch_size, accumulate):
    order = Order(examples=examples, batch_size=batch_size, accumulate=accumulate, seed=0)
    windows = epoch_of(order, 0)
    batches = [batch for window in windows for batch in window]
    assert sorted(itertools.chain(*batches)) == list(range(examples))
    assert len(batches) == order.batches
    assert len(windows) == order.steps_per_epoch
    assert all(len(window) == accumulate for window in windows[:-1])
    if batch_size > 1 and examples > 1:
        assert min(map(len, batches)) > 1


@pytest.mark.parametrize("examples", range(2, 40))
def test_windows_of_small_batches_hold_what_one_large_batch_holds(examples):
    small = Order(examples=examples, batch_size=4, accumulate=3, seed=5)
    large = Order(examples=examples, batch_size=12, accumulate=1, seed=5)
    joined = [[list(itertools.chain(*window))] for window in epoch_of(small, 2)]
    assert joined == epoch_of(large, 2)


def test_epochs_differ_and_any_of_them_can_be_entered():
    order = Order(examples=20, batch_size=5, accumulate=1, seed=3)
    first, second = epoch_of(order, 0), epoch_of(order, 1)
    assert first != second
    fresh = Order(examples=20, batch_size=5, accumulate=1, seed=3)
    assert fresh.window(1, 2) == second[2]
    assert epoch_of(order, 0) == first
    assert epoch_of(Order(examples=20, batch_size=5, accumulate=1, seed=4), 0) != first
