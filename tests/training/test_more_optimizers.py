"""The optimizers beyond Adam and SGD: one step against its formula, decay, groups, Lookahead by hand, and resume."""

import math

import pytest
import torch
from torch import nn

from hpsearch.training.optimizers import build_optimizer, set_rates
from hpsearch.training.settings import Lookahead, TrainSettings, Warmup
from tests.training.test_resume import assert_resumes
from tests.training.toy import LineTask, NetTask

START = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
GRADIENT = torch.tensor([[0.3, -0.5]], dtype=torch.float64)
RATE = 0.01
ROOT_MEAN_SQUARE = math.sqrt(2.5)  # of START
MOMENTA = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * step)) for step in (1, 2)]  # Dozat's
FIRST_STEPS = {
    "radam": RATE * GRADIENT,  # without the second moment: rho is at most 5 in the first steps
    "nadam": RATE * GRADIENT.sign() * (1 + MOMENTA[1] * 0.1 / (1 - MOMENTA[0] * MOMENTA[1])),
    "adabelief": RATE * GRADIENT.sign() / 0.9,  # the spread around the mean 0.1 g is 0.9 g
    "adan": RATE * GRADIENT.sign(),
    "lion": RATE * GRADIENT.sign(),
    "rmsprop": RATE * GRADIENT.sign() / math.sqrt(0.01),
    "adadelta": RATE * GRADIENT * 1e-3 / (0.1 * GRADIENT**2 + 1e-6).sqrt(),
    "adagrad": RATE * GRADIENT.sign(),
    "adafactor": RATE * ROOT_MEAN_SQUARE * GRADIENT.sign(),
}
DECOUPLED = ["adamw", "radam", "nadam", "adabelief", "adan", "lion", "adafactor"]
ALL = [*DECOUPLED, "adam", "sgd", "rmsprop", "adadelta", "adagrad"]


class Row(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(START.clone())


def stepped(settings, *, gradients=(GRADIENT,), task=None):
    """Return the weight after steps with these gradients, and the optimizer."""
    model = Row()
    optimizer = build_optimizer(task or LineTask(), model, settings)
    for gradient in gradients:
        model.weight.grad = None if gradient is None else gradient.clone()
        set_rates(optimizer, settings.learning_rate)
        optimizer.step()
    return model.weight.detach(), optimizer


def settings_of(optimizer, **more):
    return TrainSettings(optimizer=optimizer, learning_rate=RATE, **more)


@pytest.mark.parametrize("optimizer", FIRST_STEPS)
def test_the_first_step_is_the_formulas(optimizer):
    weight, _ = stepped(settings_of(optimizer))
    torch.testing.assert_close(START - weight, FIRST_STEPS[optimizer], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("optimizer", DECOUPLED)
def test_decoupled_decay_shrinks_the_weight_beside_the_step(optimizer):
    plain, _ = stepped(settings_of(optimizer))
    decayed, _ = stepped(settings_of(optimizer, weight_decay=0.5))
    expected = -RATE * 0.5 * START
    torch.testing.assert_close(decayed - plain, expected, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("optimizer", ALL)
def test_a_weight_without_a_gradient_stays(optimizer):
    weight, _ = stepped(settings_of(optimizer, weight_decay=0.5, lookahead=Lookahead(steps=1)), gradients=[None] * 3)
    assert torch.equal(weight, START)


@pytest.mark.parametrize("optimizer", ["radam", "lion", "adan", "adadelta"])
def test_the_rates_scale_the_step(optimizer):
    class Half(LineTask):
        def rate_scale(self, parameter):
            return 0.5

    full, _ = stepped(settings_of(optimizer))
    half, _ = stepped(settings_of(optimizer), task=Half())
    torch.testing.assert_close(START - half, (START - full) / 2, rtol=1e-9, atol=0.0)


def test_lookahead_by_hand():
    """Plain descent with a rate of 0.1 and a gradient of 1: each 3 steps go 0.3 down, of which a quarter remains."""
    plain = {"kind": "sgd", "momentum": 0.0}
    settings = TrainSettings(optimizer=plain, learning_rate=0.1, lookahead=Lookahead(steps=3, alpha=0.25))
    after = [stepped(settings, gradients=[torch.ones_like(START)] * count)[0][0, 0].item() for count in range(1, 8)]
    assert after == pytest.approx([1.9, 1.8, 1.925, 1.825, 1.725, 1.85, 1.75])


QUICK = ["radam", "lion", "adadelta"]


@pytest.mark.parametrize("lookahead", [None, Lookahead(steps=5)])
@pytest.mark.parametrize(
    "optimizer", [pytest.param(each, marks=[] if each in QUICK else pytest.mark.slow) for each in ALL]
)
def test_resume(optimizer, lookahead, tmp_path):
    """Three steps an epoch: Lookahead's five are interrupted in their middle."""

    class Layered(NetTask):
        def rate_scale(self, parameter):
            return 0.5 if parameter.startswith("0.") else 1.0

    settings = TrainSettings(
        epochs=4,
        batch_size=8,
        optimizer=optimizer,
        lookahead=lookahead,
        weight_decay=0.1,
        clip_norm=1.0,
        schedule="one_cycle",
        warmup=Warmup(steps=2),
    )
    assert_resumes(Layered(augmented=True), settings, tmp_path)


def test_resume_of_lookahead_in_half_precision_with_averaging(tmp_path):
    settings = TrainSettings(
        epochs=4, batch_size=4, precision="fp16", ema=0.9, lookahead=Lookahead(), optimizer="radam"
    )
    assert_resumes(NetTask(), settings, tmp_path)
