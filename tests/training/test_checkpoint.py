import os

import pytest
import torch
from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.training import checkpoint
from hpsearch.training.loop import fit
from hpsearch.training.settings import TrainSettings
from tests.training.toy import MONITOR, SEEDS, NetTask, Recorder, line_splits


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_both_files_are_read_with_weights_only(tmp_path):
    settings = TrainSettings(epochs=1, batch_size=4, ema=0.9, precision="fp16", early_stopping={"patience": 2})
    settings = settings.model_copy(update={"checkpoint_seconds": 1e9})  # written once, at the end
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "report": Recorder(), "folder": tmp_path, "device": "cpu"}
    fit(NetTask(), line_splits(), settings, **arguments)
    for name in (CHECKPOINT, BEST):
        assert torch.load(tmp_path / name, weights_only=True)["version"] == checkpoint.FORMAT_VERSION
    assert sorted(item.name for item in tmp_path.iterdir()) == ["best.pt", "checkpoint.pt"]


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"version": 1, "model": Evil(str(tmp_path / "made"))}, tmp_path / "best.pt")
    with pytest.raises(HpsearchError, match="cannot be read"):
        checkpoint.load(tmp_path / "best.pt")
    assert not (tmp_path / "made").exists()


def test_a_failing_write_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"number": 1})

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"number": 2})
    monkeypatch.undo()
    assert checkpoint.load(path)["number"] == 1
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_another_format_version_is_named(tmp_path):
    torch.save({"version": 99}, tmp_path / "best.pt")
    with pytest.raises(HpsearchError, match="format version 99; this hpsearch reads version 1"):
        checkpoint.load(tmp_path / "best.pt")
    torch.save([1, 2], tmp_path / "best.pt")
    with pytest.raises(HpsearchError, match="format version None"):
        checkpoint.load(tmp_path / "best.pt")


def test_weights_come_back_and_foreign_ones_are_refused(tmp_path):
    model, other = nn.Linear(2, 3), nn.Linear(2, 3)
    checkpoint.save_best(tmp_path, model.state_dict(), step=4, metric="val/loss", value=0.5)
    facts = checkpoint.load_weights(other, tmp_path / "best.pt")
    assert facts == {"step": 4, "metric": "val/loss", "value": 0.5}
    assert torch.equal(model.weight, other.weight)
    with pytest.raises(HpsearchError, match="do not fit the model"):
        checkpoint.load_weights(nn.Linear(3, 3), tmp_path / "best.pt")
    with pytest.raises(HpsearchError, match="does not exist"):
        checkpoint.load_weights(other, tmp_path / "nothing.pt")
