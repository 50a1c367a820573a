"""Compiled steps and recomputed activations: the same training in other clothes."""

import pytest
import torch
from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import BEST
from hpsearch.training.acceleration import checkpoint_activations
from hpsearch.training.checkpoint import load, load_weights
from hpsearch.training.loop import fit
from hpsearch.training.settings import TrainSettings
from tests.training.test_resume import KilledError, assert_same_ending
from tests.training.toy import MONITOR, SEEDS, LineTask, NetTask, Recorder, line_splits, numbers


class Block(nn.Module):
    """Dropout and a list of lists inside, as networks have them."""

    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.GELU()) for _ in range(2)])
        self.dropout = nn.Dropout(0.3)
        self.calls = 0

    def forward(self, x, *, scale):
        self.calls += 1
        for layer in self.inner:
            x = x + scale * layer(x)
        return self.dropout(x)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.entrance, self.blocks, self.exit = nn.Linear(1, 8), nn.ModuleList([Block(), Block()]), nn.Linear(8, 1)

    def forward(self, x):
        x = self.entrance(x)
        for block in self.blocks:
            x = block(x, scale=0.5)
        return self.exit(x)


class DeepTask(LineTask):
    def build_model(self):
        return Deep()


def train(task, folder=None, *, report=None, **settings):
    settings = TrainSettings(epochs=2, batch_size=4, **settings)
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "report": report or Recorder(), "folder": folder, "device": "cpu"}
    return fit(task, line_splits(), settings, **arguments)


def gradients(*, recomputed):
    torch.manual_seed(0)
    model = Deep()
    if recomputed:
        checkpoint_activations(LineTask().blocks(model))
    torch.manual_seed(1)
    model(torch.linspace(-1, 1, 6)[:, None]).square().mean().backward()
    return model, [parameter.grad for parameter in model.parameters()]


def test_recomputed_activations_give_the_same_gradients_from_two_passes():
    (plain, expected), (model, found) = gradients(recomputed=False), gradients(recomputed=True)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert [block.calls for block in plain.blocks] == [1, 1]
    assert [block.calls for block in model.blocks] == [2, 2]
    model.eval()(torch.ones(2, 1)).sum().backward()
    assert [block.calls for block in model.blocks] == [3, 3]


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_training_with_recomputed_activations_is_the_same(tmp_path, ema):
    plain = train(DeepTask(), tmp_path / "plain", ema=ema)
    sparing = train(DeepTask(), tmp_path / "sparing", ema=ema, activation_checkpointing=True)
    assert numbers(sparing.evaluations) == numbers(plain.evaluations)
    assert load(tmp_path / "plain" / BEST)["model"].keys() == load(tmp_path / "sparing" / BEST)["model"].keys()


def test_only_outermost_blocks_are_found_and_none_is_said():
    model = Deep()
    assert LineTask().blocks(model) == list(model.blocks)
    layers = nn.Sequential(Block(), Block())
    assert LineTask().blocks(nn.Sequential(nn.Linear(1, 8), layers)) == list(layers)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 3, enable_nested_tensor=False)
    assert LineTask().blocks(encoder) == list(encoder.layers)
    with pytest.raises(HpsearchError, match="no blocks"):
        train(NetTask(), activation_checkpointing=True)


@pytest.mark.slow
def test_compiled_steps_learn_the_same_and_leave_plain_files(tmp_path):
    task = NetTask(dropout=0.0, norm=False)  # before a norm, a bias has a gradient of 0 that Adam blows up by its sign
    plain, quick = train(task, tmp_path / "plain"), train(task, tmp_path / "quick", compile=True)
    for expected, found in zip(plain.evaluations, quick.evaluations, strict=True):
        for name in ("train/loss", "val/loss", "gradient_norm"):
            assert found.metrics[name] == pytest.approx(expected.metrics[name], rel=1e-4)
    assert load(tmp_path / "quick" / BEST)["model"].keys() == load(tmp_path / "plain" / BEST)["model"].keys()
    load_weights(task.build_model(), tmp_path / "quick" / BEST)


@pytest.mark.slow
def test_a_compiled_training_resumes_bit_for_bit(tmp_path):
    whole = train(NetTask(), tmp_path / "whole", compile=True)
    with pytest.raises(KilledError):
        train(NetTask(), tmp_path / "killed", compile=True, checkpoint_seconds=0, report=Recorder({1: KilledError()}))
    again = train(NetTask(), tmp_path / "killed", compile=True)
    assert numbers(again.evaluations) == numbers(whole.evaluations)
    assert_same_ending(tmp_path / "whole", tmp_path / "killed")
