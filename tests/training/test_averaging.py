import torch
from torch import nn

from hpsearch.training.weights import WeightAverage


class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("running", torch.zeros(3))
        self.register_buffer("index", torch.arange(200))
        self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))


def test_closed_form_for_parameters_and_floating_buffers():
    decay, model = 0.9, Buffered()
    average = WeightAverage(model, decay)
    history = [model.weight.detach().clone()]
    for step in range(1, 7):
        with torch.no_grad():
            model.weight.fill_(float(step) ** 2)
            model.running.fill_(-(float(step) ** 2))
        history.append(model.weight.detach().clone())
        average.update(model)
    steps = len(history) - 1
    expected = decay**steps * history[0] + sum(
        (1 - decay) * decay ** (steps - number) * weight for number, weight in enumerate(history) if number
    )
    torch.testing.assert_close(average.model.weight.detach(), expected)
    torch.testing.assert_close(average.model.running, -expected)


def test_indices_and_masks_survive():
    model = Buffered()
    average = WeightAverage(model, 0.999)
    for _ in range(5):
        average.update(model)
    assert torch.equal(average.model.index, torch.arange(200))
    assert torch.equal(average.model.mask, model.mask)


def test_tied_weights_stay_tied_and_the_average_needs_no_gradient():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    model[1].weight = model[0].weight
    average = WeightAverage(model, 0.5)
    assert average.model[1].weight is average.model[0].weight
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert not average.model.training


def test_state_goes_on_where_it_was():
    model = nn.Linear(2, 2)
    first = WeightAverage(model, 0.9)
    with torch.no_grad():
        model.weight.add_(1.0)
    first.update(model)
    second = WeightAverage(nn.Linear(2, 2), 0.9)
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.update(model)
    assert torch.equal(first.model.weight, second.model.weight)
