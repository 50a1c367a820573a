"""Schedules with a memory, against torch's plateau and the rules of guide 003, and over an interruption."""

import json
import math
import random

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from hpsearch.experiment.layout import RATE_DECISIONS
from hpsearch.records import Goal, Monitor
from hpsearch.training.batches import Order
from hpsearch.training.rate_control import rate_control
from hpsearch.training.rates import Rates
from hpsearch.training.schedule_settings import Adaptive, Plateau, Warmup
from hpsearch.training.settings import TrainSettings
from tests.training.test_resume import assert_resumes, train
from tests.training.toy import LineTask, NetTask


def factors(schedule, values, *, floor=0.0):
    """Return the factor after each value, and the decisions."""
    control = rate_control(schedule)
    found = []
    for number, value in enumerate(values):
        control.take(value, step=number + 1, epoch=number + 1, floor=floor)
        found.append(control.factor)
    return found, control.decisions


@pytest.mark.parametrize("cooldown", [0, 3])
@pytest.mark.parametrize(("relative", "threshold"), [(True, 0.05), (False, 0.02)])
def test_plateau_is_torchs(relative, threshold, cooldown):
    generator = random.Random(3)
    values = [1.0 / (1 + number / 9) + 0.1 * generator.random() for number in range(80)]
    settings = Plateau(factor=0.6, patience=2, threshold=threshold, relative=relative, cooldown=cooldown)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    mode = "rel" if relative else "abs"
    theirs = ReduceLROnPlateau(
        optimizer, factor=0.6, patience=2, threshold=threshold, threshold_mode=mode, cooldown=cooldown, min_lr=0.05
    )
    expected = []
    for value in values:
        theirs.step(value)
        expected.append(optimizer.param_groups[0]["lr"])
    found, decisions = factors(settings, values, floor=0.05)
    assert found == pytest.approx(expected)
    assert found[-1] == 0.05
    assert [decision.after for decision in decisions] == sorted(set(found) - {1.0}, reverse=True)


def falling(count):
    return [10.0 - 0.1 * number for number in range(count)]


def test_stagnation_boosts_up_to_the_cap_with_a_cooldown_between():
    """A full window of 6 at the 6th value, then after 4 that cool down every fifth; 1.5 ** 2 is cut to the cap."""
    settings = Adaptive(window=6, cooldown=4, boost=1.5, cap=2.0, decay_after=100, plateau_patience=100)
    found, decisions = factors(settings, [4.25] * 30)
    assert [(decision.step, decision.after) for decision in decisions] == [(6, 1.5), (11, 2.0)]
    assert found[-1] == 2.0
    assert decisions[0].reason == "stagnation: variance 0 over 6 evaluations, and no downward trend"


def test_neither_a_falling_nor_a_varying_loss_is_stagnation():
    slow = [1.0 - 1e-4 * number for number in range(30)]
    wild = [1.0 + (-1) ** number for number in range(30)]
    for values in (slow, wild):
        found, _ = factors(Adaptive(window=10, decay_after=100, plateau_patience=100), values)
        assert set(found) == {1.0}


def test_stagnation_relative_to_the_loss():
    """A standard deviation of 0.1 around 100 is 1e-3 of it: a variance of 1e-2, or of 1e-6 relative to the loss."""
    values = [100.0 + 0.1 * (-1) ** number for number in range(4)]
    settings = {"window": 4, "threshold": 1e-3}
    assert factors(Adaptive(**settings), values)[0][-1] == 1.0
    assert factors(Adaptive(**settings, relative=True), values)[0][-1] == 1.5


def test_decay_waits_anew_after_it_acted():
    settings = Adaptive(decay_after=5, cooldown=0, plateau_patience=100, window=4, threshold=1e-9)
    rising = [1.0 + 0.1 * number for number in range(17)]
    found, decisions = factors(settings, rising)
    assert [decision.step for decision in decisions] == [6, 11, 16]  # not at each value after the first
    assert found[-1] == pytest.approx(0.8**3)
    assert decisions[0].reason == "no gain for 5 evaluations"


def test_without_the_others_it_is_the_plateau_which_does_not_count_their_acts():
    rising = [1.0 + 0.1 * number for number in range(30)]
    common = {"cooldown": 0, "window": 4, "threshold": 1e-9, "plateau_patience": 6}
    alone = factors(Adaptive(**common, decay_after=1000), rising)[1]
    assert [(decision.step, decision.after) for decision in alone[:2]] == [(8, 0.7), (15, pytest.approx(0.49))]
    both = factors(Adaptive(**common, decay_after=4), rising)[1]
    assert [(decision.step, round(decision.after / decision.before, 3)) for decision in both[:3]] == [
        (5, 0.8),
        (9, 0.8),
        (10, 0.7),  # 6 evaluations without a gain would have been the 8th; two of them were the decays'
    ]


def test_a_small_gain_is_none():
    values = [1.0 - 1e-3 * number for number in range(12)]
    settings = {"window": 20, "decay_after": 5}
    assert factors(Adaptive(**settings), values)[0][-1] == 1.0
    assert factors(Adaptive(**settings, minimum_gain=0.1), values)[0][-1] == 0.8


def test_nothing_acts_during_the_warm_up_and_a_floor_holds():
    settings = TrainSettings(
        epochs=20,
        learning_rate=0.01,
        warmup=Warmup(epochs=5),
        schedule=Plateau(patience=0, factor=0.5, floor_rate=1e-3),
    )
    rates = Rates(settings, Order(examples=1, epochs=20, batch_size=1, accumulate=1, seed=0))
    for step in range(1, 20):
        rates.watch({"val/dice": 1.0}, Monitor("val/dice", Goal.MAXIMIZE), step=step, epoch=float(step))
    assert [decision.step for decision in rates.control.decisions] == [7, 8, 9, 10]  # the 6th is the first it sees
    assert rates.at(19) == 1e-3


def test_more_is_better_when_the_metric_says_so():
    rates = Rates(TrainSettings(schedule=Plateau(patience=2)), Order(**ORDER))
    for step in range(1, 20):
        rates.watch({"val/dice": float(step)}, Monitor("val/dice", Goal.MAXIMIZE), step=step, epoch=float(step))
    assert rates.control.decisions == []


ORDER = {"examples": 1, "epochs": 20, "batch_size": 1, "accumulate": 1, "seed": 0}
STAGNATING = Adaptive(
    window=4, threshold=10.0, cooldown=1, decay_after=2, boost=1.5, minimum_gain=100.0, plateau_patience=2
)


def lines(folder):
    return [json.loads(line) for line in (folder / RATE_DECISIONS).read_text().splitlines()]


@pytest.mark.parametrize("interrupted_at", [2, 5, 7])
@pytest.mark.parametrize("schedule", [Plateau(patience=0, factor=0.5, threshold=0.2), STAGNATING])
def test_an_interruption_neither_repeats_nor_loses_a_decision(schedule, interrupted_at, tmp_path):
    settings = TrainSettings(epochs=9, batch_size=6, learning_rate=0.01, schedule=schedule)
    assert_resumes(NetTask(augmented=True), settings, tmp_path, interrupted_at=interrupted_at)
    assert len(lines(tmp_path / "unbroken")) >= 2
    assert lines(tmp_path / "resumed") == lines(tmp_path / "unbroken")


def test_every_decision_says_when_why_and_how_much_and_scales_all_groups_alike(tmp_path):
    class Layered(LineTask):
        def rate_scale(self, parameter):
            return 0.1 if parameter == "bias" else 1.0

    schedule = Plateau(patience=0, factor=0.5, threshold=100.0, relative=False)
    settings = TrainSettings(epochs=3, batch_size=11, learning_rate=0.1, schedule=schedule)
    result, report = train(Layered(), settings, tmp_path)
    assert lines(tmp_path) == [
        {"step": step, "epoch": epoch, "reason": "no gain for 1 evaluations", "before": before, "after": before / 2}
        for step, epoch, before in [(4, 2.0, 1.0), (6, 3.0, 0.5)]
    ]
    assert [item.metrics["learning_rate"] for item in report.seen] == [0.1, 0.1, 0.05]
    groups = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["optimizer"]["param_groups"]
    assert math.isclose(groups[0]["lr"], 10 * groups[1]["lr"])
    assert result.step == 3
