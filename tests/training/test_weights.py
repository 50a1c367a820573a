"""The weights of a finished training, and the file of an exported model."""

from pathlib import Path

import pytest
import torch
from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import CHECKPOINT
from hpsearch.training.checkpoint import save, save_best
from hpsearch.training.weights import WeightAverage, count_parameters, load_trained, read_weights, write_weights


class Tied(nn.Module):
    """Two layers that share a matrix, a buffer of whole numbers and one that is not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("waves", torch.rand(3), persistent=False)


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


def checkpoint(folder: Path, model: nn.Module, average: WeightAverage | None) -> None:
    content = {"model": model.state_dict(), "average": average.state_dict() if average else None}
    save(folder / CHECKPOINT, {**content, "progress": {"evaluations": [{"step": 2}, {"step": 4}]}})


def test_weights_come_back_to_the_last_bit_and_shared_ones_stay_shared(tmp_path: Path) -> None:
    model, other = Tied(), Tied()
    write_weights(tmp_path / "w.safetensors", model)
    read_weights(tmp_path / "w.safetensors", other)
    assert same(model, other)
    assert other.head.weight is other.embedding.weight
    assert count_parameters(model) == 15
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_file_holds_tensors_alone(tmp_path: Path) -> None:
    """Eight bytes of length, JSON of names, types and places, then numbers: nothing that could be run."""
    write_weights(tmp_path / "w.safetensors", nn.Linear(2, 1))
    content = (tmp_path / "w.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert len(content) == 8 + length + 4 * 3
    assert content[8:9] == b"{"


def test_the_best_steps_weights_or_those_of_the_end(tmp_path: Path) -> None:
    best, last, model = nn.Linear(2, 1), nn.Linear(2, 1), nn.Linear(2, 1)
    save_best(tmp_path, best.state_dict(), step=3, metric="val/loss", value=0.5)
    checkpoint(tmp_path, last, None)
    assert load_trained(model, tmp_path, at_best=True) == 3
    assert same(model, best)
    assert load_trained(model, tmp_path, at_best=False) == 4
    assert same(model, last)


def test_a_moving_average_is_what_was_evaluated(tmp_path: Path) -> None:
    model, loaded = Tied(), Tied()
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model.embedding.weight += 1.0
    average.update(model)
    checkpoint(tmp_path, model, average)
    load_trained(loaded, tmp_path, at_best=False)
    assert same(loaded, average.model)
    assert not same(loaded, model)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    with pytest.raises(HpsearchError, match="does not exist, so there are no weights"):
        load_trained(nn.Linear(2, 1), tmp_path, at_best=True)
    save_best(tmp_path, nn.Linear(3, 1).state_dict(), step=1, metric="val/loss", value=0.0)
    with pytest.raises(HpsearchError, match="do not fit the model"):
        load_trained(nn.Linear(2, 1), tmp_path, at_best=True)
    write_weights(tmp_path / "w.safetensors", nn.Linear(3, 1))
    with pytest.raises(HpsearchError, match="cannot be read"):
        read_weights(tmp_path / "w.safetensors", nn.Linear(2, 1))
    (tmp_path / "w.safetensors").write_bytes(b"torn")
    with pytest.raises(HpsearchError, match="cannot be read"):
        read_weights(tmp_path / "w.safetensors", nn.Linear(3, 1))
