"""What `train.histograms` writes is what numpy finds in the same tensors, and a resume leaves no look twice."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from hpsearch.experiment.artifacts import gradient_norms, read_histograms
from hpsearch.experiment.files import append_json_line, read_lines
from hpsearch.experiment.layout import HISTOGRAMS
from hpsearch.training.loop import fit
from hpsearch.training.measurements import BINS, look_at
from hpsearch.training.settings import TrainSettings
from tests.training.test_resume import KilledError
from tests.training.toy import MONITOR, SEEDS, NetTask, Recorder, line_splits, numbers


def train(folder, *, report=None, **settings):
    settings = TrainSettings(epochs=6, batch_size=11, **settings)
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "report": report or Recorder(), "folder": folder, "device": "cpu"}
    return fit(NetTask(), line_splits(), settings, **arguments)


def test_the_numbers_are_those_of_numpy():
    torch.manual_seed(0)
    model = nn.Linear(40, 5)
    model(torch.randn(7, 40)).square().sum().backward()
    look = look_at(model)["weight"]
    gradient, weight = model.weight.grad.numpy().ravel(), model.weight.detach().numpy().ravel()
    assert look["gradient"]["norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
    assert look["ratio"] == pytest.approx(np.linalg.norm(gradient) / (np.linalg.norm(weight) + 1e-7), rel=1e-6)
    assert look["gradient"]["mean"] == pytest.approx(np.abs(gradient).mean(), rel=1e-6)
    assert look["gradient"]["max"] == pytest.approx(np.abs(gradient).max(), rel=1e-6)
    assert look["weight"]["counts"] == np.histogram(weight, BINS)[0].tolist()
    assert (look["weight"]["low"], look["weight"]["high"]) == (weight.min(), weight.max())


def test_what_is_not_finite_is_counted_and_named(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    for layer, value in zip(model, (math.nan, math.inf, 200.0, 1.0), strict=True):
        layer.weight.grad = torch.tensor([[value, 0.0], [0.0, 0.0]])
        layer.bias.grad = torch.zeros(2)
    look = {"parameters": look_at(model)}
    assert look["parameters"]["0.weight"]["gradient"]["nan"] == 1
    assert look["parameters"]["0.weight"]["gradient"]["counts"] == [3]
    assert look["parameters"]["1.weight"]["gradient"]["inf"] == 1
    norms = {name: norm for _, name, norm in gradient_norms(look | {"step": 1}) if name.endswith("weight")}
    assert math.isnan(norms.pop("0.weight"))
    assert norms == {"1.weight": math.inf, "2.weight": 200.0, "3.weight": 1.0}


def test_looks_do_not_change_the_training_and_come_when_asked_for(tmp_path):
    plain = train(tmp_path / "plain")
    looked = train(tmp_path / "looked", histograms={"every": 2})
    assert numbers(looked.evaluations) == numbers(plain.evaluations)
    assert not (tmp_path / "plain" / HISTOGRAMS).exists()
    looks = list(read_histograms(tmp_path / "looked"))
    assert [look["step"] for look in looks] == [2, 4, 6]
    assert set(looks[0]["parameters"]) == {name for name, _ in NetTask().build_model().named_parameters()}
    norms = [numbers["gradient"]["norm"] for numbers in looks[0]["parameters"].values()]
    norm = math.hypot(*norms)  # of the last step; the evaluation has the mean and the maximum over its two steps
    evaluation = looked.evaluations[1].metrics
    other = 2 * evaluation["gradient_norm"] - norm
    assert max(norm, other) == pytest.approx(evaluation["gradient_norm_max"], rel=1e-5)


@pytest.mark.parametrize("call", [2, 4])
def test_killed_and_gone_on_leaves_each_look_once(tmp_path, call):
    train(tmp_path / "whole", histograms={})
    with pytest.raises(KilledError):
        train(tmp_path / "killed", histograms={}, checkpoint_seconds=0, report=Recorder({call: KilledError()}))
    file = tmp_path / "killed" / HISTOGRAMS
    *_, (last, _) = read_lines(file)
    append_json_line(file, {**last, "step": last["step"] + 10})
    train(tmp_path / "killed", histograms={})
    assert file.read_bytes() == (tmp_path / "whole" / HISTOGRAMS).read_bytes()
