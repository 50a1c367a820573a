import warnings

import pytest
import torch

from hpsearch.training.order import Order
from hpsearch.training.rates import count_warmup_steps, factor
from hpsearch.training.settings import Constant, Cosine, Linear, Warmup


def order(*, epochs, choose=lambda epoch: None):
    """Return an order of 10 steps an epoch, or of as many as `choose` says."""
    return Order(examples=10, epochs=epochs, batch_size=1, accumulate=1, seed=0, choose=choose)


def rates(schedule, *, total, warmup, until=None):
    return [factor(step, total_steps=total, warmup_steps=warmup, schedule=schedule) for step in range(until or total)]


@pytest.mark.parametrize("schedule", [Constant(), Linear(), Cosine(floor=0.1)])
@pytest.mark.parametrize("warmup", [1, 4])
def test_warm_up_is_never_zero_never_full_and_full_right_after(schedule, warmup):
    values = rates(schedule, total=20, warmup=warmup)
    assert values[0] == 1 / (warmup + 1)
    assert values[: warmup + 1] == sorted(values[: warmup + 1])
    assert max(values[:warmup]) < 1.0
    assert values[warmup] == 1.0


@pytest.mark.parametrize("schedule", [Linear(floor=0.25), Cosine(floor=0.25)])
def test_the_floor_is_reached_at_the_end_and_kept(schedule):
    values = rates(schedule, total=10, warmup=2, until=30)
    assert values[9] > 0.25
    assert values[10:] == [0.25] * 20
    assert values[2:11] == sorted(values[2:11], reverse=True)


@pytest.mark.parametrize("schedule", [Constant(), Linear(), Cosine()])
def test_a_training_of_one_step_has_the_full_rate(schedule):
    assert rates(schedule, total=1, warmup=0) == [1.0]


@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
def test_the_step_after_a_warm_up_up_to_the_last_step_has_the_full_rate(schedule):
    assert rates(schedule, total=3, warmup=2, until=5)[2:] == [1.0, 0.0, 0.0]


def torch_rates(build, total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimizer)
    values = []
    for _ in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_cosine_is_torchs_cosine():
    expected = torch_rates(
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12, eta_min=0.1), 12
    )
    assert rates(Cosine(floor=0.1), total=12, warmup=0) == pytest.approx(expected)


def test_warm_up_and_linear_fall_are_torchs():
    def build(optimizer):
        up = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 5, total_iters=4)
        down = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.2, total_iters=8)
        return torch.optim.lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[4])

    assert rates(Linear(floor=0.2), total=12, warmup=4) == pytest.approx(torch_rates(build, 12))


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [(Warmup(steps=3), 3), (Warmup(epochs=1.5), 15), (Warmup(fraction=0.1), 10), (Warmup(steps=0), 0)],
)
def test_warm_up_in_its_three_units(warmup, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count_warmup_steps(warmup, order(epochs=10)) == expected


def test_a_warm_up_in_epochs_counts_the_steps_of_a_curriculums_epochs():
    growing = order(epochs=3, choose=lambda epoch: range(2 + 4 * epoch))  # 2, 6 and 10 steps
    assert growing.total_steps == 18
    assert [count_warmup_steps(Warmup(epochs=epochs), growing) for epochs in (0.5, 1, 1.5, 3)] == [1, 2, 5, 18]
    assert [growing.epoch_at(step) for step in (0, 1, 2, 5, 8, 13, 18, 23)] == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]


def test_a_warm_up_longer_than_the_training_is_cut_with_a_warning():
    with pytest.warns(UserWarning, match="warm-up of 500 steps is longer"):
        assert count_warmup_steps(Warmup(steps=500), order(epochs=2)) == 20
    values = rates(Cosine(), total=20, warmup=20)
    assert values[-1] == 20 / 21
