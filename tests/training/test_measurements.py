import math

import pytest
import torch
from torch import nn

from hpsearch.errors import DivergedError
from hpsearch.training.measurements import Measurements

ACCELERATOR = torch.device("cuda")  # only its name is looked at


def add(measurements, step, *, loss=1.0, norm=1.0, count=2):
    measurements.add(step, {"loss": torch.tensor(loss)}, torch.tensor(norm), count)


@pytest.mark.parametrize("device", [torch.device("cpu"), ACCELERATOR])
def test_means_weigh_by_items_and_begin_anew(device):
    measurements = Measurements(nn.Linear(1, 1), device=device, scaled=False)
    for step in range(1, 71):
        add(measurements, step, loss=float(step), norm=float(step), count=1 + step % 2)
    weights = [1 + step % 2 for step in range(1, 71)]
    mean = sum(step * weight for step, weight in enumerate(weights, start=1)) / sum(weights)
    taken = measurements.take()
    assert taken == {"train/loss": pytest.approx(mean), "gradient_norm": 35.5, "gradient_norm_max": 70.0}
    assert measurements.take() == {}


def test_an_accelerator_is_read_seldom_but_the_step_is_named():
    model = nn.Linear(1, 1)
    model.weight.grad = torch.full((1, 1), math.nan)
    measurements = Measurements(model, device=ACCELERATOR, scaled=False)
    add(measurements, 1)
    add(measurements, 2, norm=math.nan)
    for step in range(3, 32):
        add(measurements, step)
    with pytest.raises(DivergedError, match=r"gradient norm became nan at optimizer step 2 \(loss 1\)$"):
        add(measurements, 32)
    add(measurements, 33, loss=math.inf)
    with pytest.raises(DivergedError, match="the loss became inf at optimizer step 33"):
        measurements.take()


def test_the_processor_is_read_at_once():
    measurements = Measurements(nn.Linear(1, 1), device=torch.device("cpu"), scaled=False)
    with pytest.raises(DivergedError, match="at optimizer step 1"):
        add(measurements, 1, loss=math.nan)


def test_scaled_gradients_may_overflow_49_times_in_a_row():
    measurements = Measurements(nn.Linear(1, 1), device=torch.device("cpu"), scaled=True)
    for step in range(1, 50):
        add(measurements, step, norm=math.inf)
    add(measurements, 50)
    assert measurements.skipped == 0
    assert measurements.take()["gradient_norm_max"] == 1.0
    for step in range(51, 100):
        add(measurements, step, norm=math.inf)
    with pytest.raises(DivergedError, match="50 steps in a row"):
        add(measurements, 100, norm=math.inf)
