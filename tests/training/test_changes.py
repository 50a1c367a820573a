"""A training that goes on from its checkpoint with other settings: those that can change do, the others are refused."""

import pytest
import torch

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import CHECKPOINT
from hpsearch.records import Decision
from hpsearch.training.checkpoint import load
from hpsearch.training.generations import newest
from hpsearch.training.loop import fit
from hpsearch.training.settings import TrainSettings
from tests.training.toy import MONITOR, SEEDS, NetTask, Recorder, line_splits

FIRST = TrainSettings(epochs=4, batch_size=4, learning_rate=0.01, weight_decay=0.0, optimizer="sgd")


def train(settings, folder, *, before=None, until=None):
    """Train up to an evaluation, or to the end; return the result and what was reported."""
    report = Recorder({until: Decision.PAUSE} if until else {})
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "report": report, "folder": folder, "device": "cpu"}
    return fit(NetTask(), line_splits(), settings, before=before, **arguments), report


def changed(**settings):
    return TrainSettings.model_validate({**FIRST.model_dump(), **settings})


def groups(folder):
    """Return the settings of the optimizer's groups in a checkpoint."""
    found = load(folder / CHECKPOINT)["optimizer"]["param_groups"]
    return [{name: value for name, value in group.items() if name != "params"} for group in found]


def test_rate_decay_and_momentum_take_effect(tmp_path):
    train(FIRST, tmp_path, until=2)
    second = changed(learning_rate=0.02, weight_decay=0.25, optimizer={"kind": "sgd", "momentum": 0.5})
    _, report = train(second, tmp_path, before=FIRST)
    assert [item.metrics["learning_rate"] for item in report.seen] == [0.01, 0.01, 0.02, 0.02]
    assert [group["weight_decay"] for group in groups(tmp_path)] == [0.25, 0.0]
    assert {group["momentum"] for group in groups(tmp_path)} == {0.5}
    assert {group["lr"] for group in groups(tmp_path)} == {0.02}


def test_betas_and_epsilon_take_effect(tmp_path):
    first = changed(optimizer="adamw")
    train(first, tmp_path, until=1)
    second = changed(optimizer={"kind": "adamw", "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3})
    train(second, tmp_path, before=first)
    assert {(*group["betas"], group["eps"]) for group in groups(tmp_path)} == {(0.5, 0.9, 1e-3)}


def test_decay_shrinks_the_weights_that_it_did_not_before(tmp_path):
    """With a rate of 0.1 and a decay of 5, a step halves a weight without a gradient; its bias stays (closed form)."""

    class Still(NetTask):
        def loss(self, forward, batch, scalars):
            return {"loss": super().loss(forward, batch, scalars)["loss"] * 0.0}

    sgd = {"kind": "sgd", "momentum": 0.0}
    first = TrainSettings(epochs=2, batch_size=22, learning_rate=0.1, optimizer=sgd)
    second = TrainSettings(epochs=2, batch_size=22, learning_rate=0.1, optimizer=sgd, weight_decay=5.0)
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "folder": tmp_path, "device": "cpu"}
    fit(Still(), line_splits(), first, report=Recorder({1: Decision.PAUSE}), **arguments)
    before = load(tmp_path / CHECKPOINT)["model"]
    fit(Still(), line_splits(), second, report=Recorder(), before=first, **arguments)
    after = load(tmp_path / CHECKPOINT)["model"]
    assert torch.allclose(after["0.weight"], before["0.weight"] / 2)
    assert torch.equal(after["0.bias"], before["0.bias"])


def test_the_momentum_so_far_is_kept(tmp_path):
    train(FIRST, tmp_path, until=2)
    memory = load(tmp_path / CHECKPOINT)["optimizer"]["state"]
    assert all(float(state["momentum_buffer"].abs().sum()) > 0 for state in memory.values())
    train(changed(clip_norm=1e-12), tmp_path, before=FIRST)
    again = load(tmp_path / CHECKPOINT)["optimizer"]["state"]
    steps = 2 * 6  # two epochs of six steps, whose gradients are clipped to nothing
    for key, state in memory.items():
        expected = state["momentum_buffer"] * 0.9**steps
        assert torch.allclose(again[key]["momentum_buffer"], expected, rtol=1e-3, atol=1e-9)


def test_without_being_told_a_change_is_refused(tmp_path):
    train(FIRST, tmp_path, until=2)
    with pytest.raises(HpsearchError, match=r"learning_rate \(0.01 -> 0.5\)"):
        train(changed(learning_rate=0.5), tmp_path)
    with pytest.raises(HpsearchError, match=r"learning_rate \(0.01 -> 0.5\)"):
        train(changed(learning_rate=0.5), tmp_path, before=changed(learning_rate=0.4))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"batch_size": 8}, "batch_size"),
        ({"epochs": 5}, "epochs"),
        ({"schedule": "cosine"}, "schedule"),
        ({"ema": 0.9}, "ema"),
        ({"optimizer": "adamw"}, "optimizer"),
    ],
)
def test_what_is_fixed_cannot_change(settings, name, tmp_path):
    train(FIRST, tmp_path, until=2)
    with pytest.raises(HpsearchError, match=f"cannot change while a training runs: {name}$"):
        train(changed(**settings), tmp_path, before=FIRST)


def test_a_changed_training_resumes_like_any_other(tmp_path):
    second = changed(learning_rate=0.05, weight_decay=0.1)
    for folder in ("whole", "broken"):
        train(FIRST, tmp_path / folder, until=2)
    whole, _ = train(second, tmp_path / "whole", before=FIRST)
    train(second, tmp_path / "broken", before=FIRST, until=3)
    broken, _ = train(second, tmp_path / "broken", before=FIRST)
    assert [item.metrics["val/loss"] for item in broken.evaluations] == [
        item.metrics["val/loss"] for item in whole.evaluations
    ]


def test_how_far_a_checkpoint_has_come(tmp_path):
    assert newest(tmp_path, SEEDS.model_dump()).step == 0
    train(FIRST, tmp_path, until=3)
    assert newest(tmp_path, SEEDS.model_dump()).step == 3
    (tmp_path / CHECKPOINT).write_bytes(b"torn")
    assert newest(tmp_path, SEEDS.model_dump()).step == 0
