"""A quick step is bit for bit the optimizer's own."""

import copy

import pytest
import torch
from torch import nn

from hpsearch.training.optimizers import build_optimizer, set_rates
from hpsearch.training.quick_adam import quick_adam
from hpsearch.training.settings import TrainSettings
from tests.training.toy import LineTask


class ScaledTask(LineTask):
    """The first layer learns at half the rate."""

    def rate_scale(self, parameter):
        return 0.5 if parameter.startswith("0.") else 1.0


def made(settings, device="cpu"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 40), nn.LayerNorm(40), nn.Linear(40, 3)).to(device)
    return model, build_optimizer(ScaledTask(), model, settings)


def gradients(model, number, *, frozen=False):
    generator = torch.Generator().manual_seed(number)
    for name, parameter in model.named_parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.device)
        if frozen and name.startswith("0."):
            parameter.grad = None


def taken(settings, *, frozen=range(0), device="cpu"):
    """Return which of 12 steps were quick; all have left what the optimizer's own leave, as after a resume at 8."""
    (plain, own), (model, theirs) = made(settings, device), made(settings, device)
    quick, found = quick_adam(theirs), []
    for number in range(12):
        for net, chosen in ((plain, own), (model, theirs)):
            gradients(net, number, frozen=number in frozen)
            set_rates(chosen, 0.01 * (1 + number))
            if number == 8:
                chosen.load_state_dict(copy.deepcopy(chosen.state_dict()))
            if number == 10:
                for memory in chosen.state.values():
                    memory["exp_avg"] = memory["exp_avg"] + 1
        own.step()
        found.append(quick.step())
        if not found[-1]:
            theirs.step()
    for before, after in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(before, after)
        for name, value in own.state[before].items():
            assert torch.equal(value, theirs.state[after][name])
    return found


@pytest.mark.parametrize("optimizer", ["adamw", "adam", {"adamw": {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6}}])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_weights_and_the_memory_are_the_same(optimizer, decay):
    assert taken(TrainSettings(optimizer=optimizer, weight_decay=decay)) == [False, *[True] * 11]


def test_a_frozen_parameter_leaves_the_step_to_the_optimizer():
    settings = TrainSettings(weight_decay=0.1)
    assert taken(settings, frozen=range(4)) == [False] * 5 + [True] * 7  # the fifth step gives it its memory
    assert taken(settings, frozen=range(3, 6)) == [False, True, True, *[False] * 3, *[True] * 6]


@pytest.mark.parametrize("optimizer", ["sgd", "radam", "nadam"])
def test_others_have_no_quick_step(optimizer):
    assert quick_adam(made(TrainSettings(optimizer=optimizer))[1]) is None


def test_parameters_of_two_precisions_have_no_quick_step():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    assert quick_adam(build_optimizer(LineTask(), model, TrainSettings())) is None
