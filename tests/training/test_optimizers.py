import itertools

import pytest
import torch
from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.training.optimizers import build_optimizer, check_groups, parameter_groups, set_rates
from hpsearch.training.settings import SGD, TrainSettings
from tests.training.toy import LineTask

SETTINGS = TrainSettings(weight_decay=0.1)


class Zoo(nn.Module):
    """One of each kind of parameter, a tied weight and a frozen one."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm((2, 4)), nn.RMSNorm((2, 4)))
        self.batch_norm = nn.BatchNorm1d(4)
        self.recurrent = nn.LSTM(4, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.table = nn.Parameter(torch.zeros(5, 2))
        self.gain = nn.Parameter(torch.ones(()))
        self.head = nn.Linear(4, 7)
        self.head.weight = self.embedding.weight
        self.frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)


def names_with_decay(model, groups):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for group in groups if group["weight_decay"] for parameter in group["params"]}


def test_every_trainable_parameter_once_and_decay_by_kind():
    model = Zoo()
    groups = parameter_groups(LineTask(), model, SETTINGS)
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(members) == sorted({id(p) for p in model.parameters() if p.requires_grad})
    assert names_with_decay(model, groups) == {
        "embedding.weight",
        "layers.0.weight",
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "table",
    }


class KnowsBetter(LineTask):
    """Its table does not decay, and one bias does."""

    def decays(self, parameter):
        return {"table": False, "head.bias": True}.get(parameter)


def test_a_task_may_know_better_what_decays():
    model = Zoo()
    usual = names_with_decay(model, parameter_groups(LineTask(), model, SETTINGS))
    told = names_with_decay(model, parameter_groups(KnowsBetter(), model, SETTINGS))
    assert (usual - told, told - usual) == ({"table"}, {"head.bias"})


def test_decay_for_all_when_asked():
    model = Zoo()
    groups = parameter_groups(LineTask(), model, TrainSettings(weight_decay=0.1, decay_norms_and_biases=True))
    assert [group["weight_decay"] for group in groups] == [0.1]
    check_groups(model, groups)


def test_groups_that_miss_repeat_or_invent_are_refused_by_name():
    model = nn.Linear(2, 2)
    with pytest.raises(HpsearchError, match=r"missing \['bias'\]"):
        check_groups(model, [{"params": [model.weight]}])
    with pytest.raises(HpsearchError, match=r"more than once \['weight'\]"):
        check_groups(model, [{"params": [model.weight, model.bias]}, {"params": [model.weight]}])
    with pytest.raises(HpsearchError, match="not the model's 1"):
        check_groups(model, [{"params": [*model.parameters(), nn.Parameter(torch.zeros(1))]}])
    with pytest.raises(HpsearchError, match="no trainable parameters"):
        check_groups(model.requires_grad_(requires_grad=False), [])


class LayerwiseTask(LineTask):
    def rate_scale(self, parameter):
        return 0.5 if parameter.startswith("0.") else 1.0


def test_rate_scales_multiply_the_scheduled_rate():
    model = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 1))
    optimizer = build_optimizer(LayerwiseTask(), model, SETTINGS)
    assert len(optimizer.param_groups) == 4
    set_rates(optimizer, 0.2)
    set_rates(optimizer, 0.1)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: rates[id(p)] for name, p in model.named_parameters()} == {
        "0.weight": 0.05,
        "0.bias": 0.05,
        "1.weight": 0.1,
        "1.bias": 0.1,
    }


def test_a_rate_scale_of_nothing_is_refused():
    class Frozen(LineTask):
        def rate_scale(self, parameter):
            return 0.0

    with pytest.raises(HpsearchError, match="rate_scale for 'weight' is 0"):
        build_optimizer(Frozen(), nn.Linear(1, 1), SETTINGS)


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_settings_arrive_in_the_optimizer(kind):
    optimizer = build_optimizer(LineTask(), nn.Linear(1, 1), TrainSettings(optimizer=kind, learning_rate=0.3))
    assert type(optimizer).__name__.lower() == kind
    assert {group["lr"] for group in optimizer.param_groups} == {0.3}
    own = {"betas": (0.9, 0.999), "eps": 1e-8} if kind != "sgd" else {"momentum": 0.9, "nesterov": False}
    assert all(group[name] == value for group in optimizer.param_groups for name, value in own.items())


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_a_parameter_may_get_its_first_gradient_later(kind):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = build_optimizer(LineTask(), model, TrainSettings(optimizer=kind))
    for used in (model[0], model, model[1]):
        before = [parameter.detach().clone() for parameter in used.parameters()]
        used(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        assert not any(torch.equal(old, new) for old, new in zip(before, used.parameters(), strict=True))


def test_sgd_weight_decay_in_closed_form():
    model = nn.Linear(3, 2)
    settings = TrainSettings(optimizer=SGD(momentum=0.0), learning_rate=0.5, weight_decay=0.1)
    optimizer = build_optimizer(LineTask(), model, settings)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before["weight"] * (1 - 0.5 * 0.1))
    assert torch.equal(model.bias, before["bias"])


@pytest.mark.parametrize(("kind", "decay"), list(itertools.product(["adamw", "adam", "sgd"], [0.0, 0.1])))
def test_a_few_steps_are_those_of_torchs_plain_optimizer(kind, decay):
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    optimizer = build_optimizer(LineTask(), ours, TrainSettings(optimizer=kind, weight_decay=decay))
    groups = [{"params": [theirs.weight], "weight_decay": decay}, {"params": [theirs.bias], "weight_decay": 0.0}]
    plain = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}[kind]
    reference = plain(groups, lr=1e-3, fused=False, foreach=False, **({"momentum": 0.9} if kind == "sgd" else {}))
    for _ in range(4):
        inputs = torch.randn(5, 3)
        for model, chosen in ((ours, optimizer), (theirs, reference)):
            model(inputs).square().sum().backward()
            chosen.step()
            chosen.zero_grad()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)
