"""Files are written seldom; what a crash takes with it is trained again, bit for bit the same."""

import os

import pytest
import torch
from torch import nn

from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.records import Decision
from hpsearch.testing.families import KilledError, assert_same_ending, differences
from hpsearch.training.checkpoint import load
from hpsearch.training.files import copied
from hpsearch.training.generations import newest
from hpsearch.training.loop import fit
from hpsearch.training.settings import TrainSettings
from tests.training.toy import MONITOR, SEEDS, NetTask, Recorder, line_splits, numbers

EPOCHS = 8
VALLEY = (5.0, 4.0, 3.0, 2.0, 3.0, 1.0, 4.0, 5.0)
"""The validation losses by epoch: the best after 4 and then after 6."""


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Slow(NetTask):
    """Each of the two steps of an epoch takes a second; the losses go through a valley."""

    def __init__(self, clock):
        super().__init__(augmented=True)
        self.clock, self.epoch = clock, 0

    def begin_epoch(self, model, epoch, epochs):
        self.epoch = epoch

    def loss(self, forward, batch, scalars):
        self.clock.now += 1.0
        return super().loss(forward, batch, scalars)

    def evaluate(self, forward, batches):
        return {**super().evaluate(forward, batches), "valley": VALLEY[self.epoch]}


def train(folder, report=None, *, seconds=5.0, **settings):
    clock = Clock()
    settings = TrainSettings(epochs=EPOCHS, batch_size=11, checkpoint_seconds=seconds, **settings)
    monitor = type(MONITOR)("val/valley", MONITOR.goal)
    arguments = {"seeds": SEEDS, "monitor": monitor, "folder": folder, "device": "cpu", "clock": clock}
    report = report or Recorder()
    return fit(Slow(clock), line_splits(), settings, report=report, **arguments), report


class Seen(Recorder):
    """A report that looks at which steps the two files are of."""

    def __init__(self, folder, answers=None):
        super().__init__(answers)
        self.folder, self.files = folder, []

    def __call__(self, evaluation):
        checkpoint = newest(self.folder, SEEDS.model_dump()).content
        best = load(self.folder / BEST)["step"] if (self.folder / BEST).exists() else None
        self.files.append((checkpoint and checkpoint["progress"]["epoch"], best))
        return super().__call__(evaluation)


@pytest.mark.parametrize(
    ("seconds", "files"),
    [
        (5.0, [(None, None), (None, None), (3, 3), (3, 3), (3, 3), (6, 6), (6, 6), (8, 6)]),
        (0.0, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 6), (7, 6), (8, 6)]),
        (1e9, [*[(None, None)] * 7, (8, 6)]),
    ],
)
def test_checkpoints_come_by_the_clock_and_at_the_end(seconds, files, tmp_path):
    _, report = train(tmp_path, Seen(tmp_path), seconds=seconds)
    assert report.files == files


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("call", range(1, EPOCHS + 1))
def test_killed_between_two_checkpoints_is_the_unbroken_run(call, ema, tmp_path):
    whole, _ = train(tmp_path / "whole", ema=ema)
    with pytest.raises(KilledError):
        train(tmp_path / "killed", Recorder({call: KilledError()}), ema=ema)
    resumed, report = train(tmp_path / "killed", ema=ema)
    assert numbers(report.seen) == numbers(whole.evaluations)
    assert (resumed.best_step, resumed.best_value) == (whole.best_step, whole.best_value)
    assert_same_ending(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("step", range(1, EPOCHS))
def test_a_pause_leaves_what_saving_at_each_evaluation_leaves(step, tmp_path):
    for name, seconds in (("seldom", 5.0), ("always", 0.0)):
        train(tmp_path / name, Recorder({step: Decision.PAUSE}), seconds=seconds)
    assert_same_ending(tmp_path / "always", tmp_path / "seldom")
    assert load(tmp_path / "seldom" / CHECKPOINT)["progress"]["epoch"] == step


@pytest.mark.parametrize("decision", [Decision.PRUNE, Decision.TIME_OUT])
def test_one_that_is_stopped_for_good_leaves_its_best_weights(decision, tmp_path):
    train(tmp_path / "always", Recorder({5: Decision.PAUSE}), seconds=0.0)
    result, _ = train(tmp_path / "stopped", Recorder({5: decision}), seconds=1e9)
    assert result.best_step == 4
    assert differences(load(tmp_path / "always" / BEST), load(tmp_path / "stopped" / BEST)) == []
    assert not (tmp_path / "stopped" / CHECKPOINT).exists()


@pytest.mark.parametrize(("answers", "synced"), [({}, 2), ({4: Decision.PRUNE}, 1), ({4: Decision.PAUSE}, 2)])
def test_a_short_training_waits_for_the_disk_twice(answers, synced, tmp_path, monkeypatch):
    calls, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append(file), sync(file)))
    train(tmp_path, Recorder(answers), seconds=1e9)
    assert len(calls) == synced


def test_a_copy_of_weights_is_its_own_and_keeps_ties():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3), nn.Linear(3, 3))
    model[2].weight = model[1].weight
    weights = copied(model.state_dict())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(1)
    assert all(torch.equal(weights[name], before[name]) for name in before)
    assert weights["1.weight"] is weights["2.weight"]
    assert weights._metadata == model.state_dict()._metadata
