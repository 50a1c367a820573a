"""Numbered checkpoints: the last ones by number and not by name, and never without the best."""

import shutil

import pytest

from hpsearch.experiment.layout import CHECKPOINT, PREVIOUS
from hpsearch.training.checkpoint import load, numbered, numbered_steps
from hpsearch.training.loop import fit
from hpsearch.training.settings import Evaluate, TrainSettings
from tests.training.test_resume import KilledError, differences
from tests.training.toy import MONITOR, SEEDS, LineTask, Recorder, line_splits, numbers


class ValleyTask(LineTask):
    """Its validation loss is best at the third evaluation."""

    def __init__(self):
        self.evaluations = 0

    def evaluate(self, forward, batches):
        self.evaluations += 1
        return {"loss": abs(self.evaluations - 3.0)}


def train(folder, *, task=None, report=None, **settings):
    settings = TrainSettings(batch_size=11, learning_rate=0.01, **settings)
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "report": report or Recorder(), "folder": folder, "device": "cpu"}
    return fit(task or LineTask(), line_splits(), settings, **arguments)


def test_of_twelve_the_last_three_stay(tmp_path):
    train(tmp_path, epochs=12, keep={"every": 1, "last": 3})
    assert numbered_steps(tmp_path) == [10, 11, 12]
    assert numbered(12) == "checkpoint-000012.pt"
    assert load(tmp_path / numbered(11))["progress"]["step"] == 22
    assert differences(load(tmp_path / numbered(12)), load(tmp_path / CHECKPOINT)) == []


def test_numbers_are_compared_and_not_names(tmp_path):
    for step in (9, 999_999, 1_000_000, 10_000_000):
        (tmp_path / numbered(step)).touch()
    assert numbered_steps(tmp_path) == [9, 999_999, 1_000_000, 10_000_000]


def test_the_best_stays(tmp_path):
    result = train(tmp_path, task=ValleyTask(), epochs=9, keep={"last": 2})
    assert result.best_step == 3
    assert numbered_steps(tmp_path) == [3, 8, 9]


def test_every_third_evaluation_in_steps(tmp_path):
    train(tmp_path, epochs=9, keep={"every": 3}, evaluate=Evaluate(steps=2))
    assert numbered_steps(tmp_path) == [6, 12, 18]


def test_nothing_is_kept_unless_asked_for(tmp_path):
    train(tmp_path, epochs=2)
    assert numbered_steps(tmp_path) == []


@pytest.mark.parametrize("call", [1, 4, 5])
def test_killed_and_gone_on_leaves_the_same_files(tmp_path, call):
    keep = {"every": 2, "last": 2}
    whole = train(tmp_path / "whole", epochs=8, keep=keep)
    with pytest.raises(KilledError):
        train(tmp_path / "killed", epochs=8, keep=keep, report=Recorder({call: KilledError()}))
    assert numbers(train(tmp_path / "killed", epochs=8, keep=keep).evaluations) == numbers(whole.evaluations)
    files = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("whole", "killed")]
    assert files[0] == files[1]
    assert "checkpoint-000006.pt" in files[0]


def test_those_of_a_training_begun_anew_go(tmp_path):
    train(tmp_path, epochs=12, keep={"last": 3})
    (tmp_path / CHECKPOINT).write_bytes(b"torn")
    (tmp_path / PREVIOUS).write_bytes(b"torn")
    with pytest.warns(UserWarning, match="begins again"), pytest.raises(KilledError):
        train(tmp_path, epochs=12, keep={"last": 3}, report=Recorder({2: KilledError()}))
    assert numbered_steps(tmp_path) == [1, 2]


def test_a_training_goes_on_from_a_numbered_one(tmp_path):
    whole = train(tmp_path, epochs=6, keep={})
    shutil.copy(tmp_path / numbered(2), tmp_path / CHECKPOINT)
    again = train(tmp_path, epochs=6)  # without `keep`: it may change
    assert numbers(again.evaluations) == numbers(whole.evaluations)
