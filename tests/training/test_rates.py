import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from hpsearch.training.batches import Order
from hpsearch.training.rates import Rates, count_warmup_steps
from hpsearch.training.schedule_settings import (
    Constant,
    Cosine,
    Cyclical,
    Exponential,
    Linear,
    OneCycle,
    Step,
    WarmRestarts,
    Warmup,
)
from hpsearch.training.settings import TrainSettings


def order(*, epochs, choose=lambda epoch: None):
    """Return an order of 10 steps an epoch, or of as many as `choose` says."""
    return Order(examples=10, epochs=epochs, batch_size=1, accumulate=1, seed=0, choose=choose)


def rates(schedule, *, total, warmup=0, until=None, **settings):
    """Return the rates of a training of `total` epochs of one step each."""
    warmup = Warmup(steps=warmup) if isinstance(warmup, int) else warmup
    base = {"learning_rate": 1.0, "warmup": warmup, **settings}
    training = Rates(TrainSettings(schedule=schedule, **base), one_step_epochs(total))
    return [training.at(step) for step in range(until or total)]


def one_step_epochs(epochs):
    return Order(examples=1, epochs=epochs, batch_size=1, accumulate=1, seed=0)


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


def torch_rates(build, total, *, rate=1.0):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = build(optimizer)
    values = []
    for _ in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_cosine_is_torchs_cosine():
    expected = torch_rates(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=12, eta_min=0.1), 12)
    assert rates(Cosine(floor=0.1), total=12, warmup=0) == pytest.approx(expected)


def test_warm_up_and_linear_fall_are_torchs():
    def build(optimizer):
        up = lr_scheduler.LinearLR(optimizer, start_factor=1 / 5, total_iters=4)
        down = lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.2, total_iters=8)
        return lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[4])

    assert rates(Linear(floor=0.2), total=12, warmup=4) == pytest.approx(torch_rates(build, 12))


SCHEDULERS = [
    (Exponential(factor=0.9), lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9)),
    (Step(every=10, factor=0.9), lambda optimizer: lr_scheduler.StepLR(optimizer, 10, 0.9)),
    (OneCycle(), lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=40, cycle_momentum=False)),
    (
        OneCycle(rise=0.4, start_divisor=10, end_divisor=100),
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=40, pct_start=0.4, div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
    ),
    (
        WarmRestarts(period=4, multiplier=2, floor=0.1),
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4, 2, eta_min=0.1),
    ),
    (WarmRestarts(period=7), lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 7)),
    (
        Cyclical(period=6, floor=0.2),
        lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.2, 1.0, step_size_up=3, cycle_momentum=False),
    ),
    (
        Cyclical(period=8, floor_rate=0.2, decay=0.5),
        lambda optimizer: lr_scheduler.CyclicLR(
            optimizer, 0.2, 1.0, step_size_up=4, mode="triangular2", cycle_momentum=False
        ),
    ),
]


@pytest.mark.parametrize(("schedule", "build"), SCHEDULERS)
def test_the_schedules_are_torchs(schedule, build):
    assert rates(schedule, total=40) == pytest.approx(torch_rates(build, 40))


def test_seed_001_warm_up_by_a_factor_then_cosine():
    """LinearLR from a tenth over 10 of 100 epochs, then CosineAnnealingLR over 90; both follow the epochs."""

    def build(optimizer):
        up = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=10)
        down = lr_scheduler.CosineAnnealingLR(optimizer, T_max=90)
        return lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[10])

    warmup = Warmup(epochs=10, start_factor=0.1)
    values = rates(Cosine(), total=100, warmup=warmup, learning_rate=1e-3, until=101)
    assert [values[epoch] for epoch in (0, 1, 10, 55, 100)] == pytest.approx([1e-4, 1.9e-4, 1e-3, 5e-4, 0.0])
    assert values[:100] == pytest.approx(torch_rates(build, 100, rate=1e-3), abs=1e-12)


def test_seed_003_warm_up_from_a_rate_in_epoch_0():
    values = rates(Constant(), total=12, warmup=Warmup(epochs=10, start=1e-5), learning_rate=5e-4)
    assert values[:3] == pytest.approx([1e-5, 5.9e-5, 1.08e-4])
    assert values[9:] == pytest.approx([4.51e-4, 5e-4, 5e-4])


def test_cosine_to_a_rate():
    values = rates(Cosine(floor_rate=1e-6), total=20, learning_rate=3e-4, until=40)
    assert values[0] == 3e-4
    assert values[10] == pytest.approx((3e-4 + 1e-6) / 2)
    assert values[20:] == pytest.approx([1e-6] * 20)


@pytest.mark.parametrize("schedule", [Linear(floor_rate=2.0), Exponential(floor_rate=2.0), Cyclical(floor_rate=2.0)])
def test_a_floor_above_the_rate_is_the_rate(schedule):
    assert rates(schedule, total=9) == [1.0] * 9


def test_steps_and_decay_stop_at_the_floor():
    assert rates(Step(every=2, factor=0.5, floor=0.3), total=7) == [1.0, 1.0, 0.5, 0.5, 0.3, 0.3, 0.3]


def test_one_cycle_takes_the_place_of_the_warm_up():
    assert rates(OneCycle(), total=30, warmup=Warmup(epochs=5)) == rates(OneCycle(), total=30)


def test_a_rate_per_epoch_is_that_of_the_epochs_first_step():
    def of(rate_per):
        settings = TrainSettings(
            schedule=Cosine(), warmup=Warmup(epochs=2, start_factor=0.5), learning_rate=1.0, rate_per=rate_per
        )
        each = Rates(settings, order(epochs=5))
        return [each.at(step) for step in range(50)]

    assert of("epoch") == [value for value in of("step")[::10] for _ in range(10)]


def test_two_floors_or_two_starts_are_refused():
    with pytest.raises(ValueError, match="floor or floor_rate, not both"):
        Cosine(floor=0.1, floor_rate=1e-6)
    with pytest.raises(ValueError, match="start_factor or start, not both"):
        Warmup(steps=3, start=1e-6, start_factor=0.1)


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
