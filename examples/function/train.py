"""A small network learns which of two spirals a point lies on. `train` is what hpsearch searches."""

import math

import torch
from torch import nn


def spirals(points, seed):
    """Return points of the plane and the spiral of each, with some noise."""
    draw = torch.Generator().manual_seed(seed)
    which = torch.randint(0, 2, (points,), generator=draw)
    along = torch.rand(points, generator=draw) * 3 * math.pi
    angle = along + math.pi * which
    place = along.sqrt()[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return place + 0.1 * torch.randn(points, 2, generator=draw), which


def scores(model, split, data):
    """Return the loss and accuracy on a split, as hpsearch names them."""
    points, which = data
    with torch.no_grad():
        told = model.eval()(points)
    accuracy = (told.argmax(1) == which).float().mean()
    return {f"{split}/loss": nn.functional.cross_entropy(told, which), f"{split}/accuracy": accuracy}


def train(lr: float, width: int = 32, depth: int = 2, dropout: float = 0.0, epochs: int = 40, *, report):
    """Train a network on 400 points.

    Args:
        lr: The learning rate of Adam.
        width: Neurons of each hidden layer.
        depth: Hidden layers.
        dropout: The probability of dropping a neuron.
        epochs: How often all points are seen.
    """
    training, validation, test = (spirals(400, report.split_seed + part) for part in range(3))
    layers, inputs = [], 2
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    model = nn.Sequential(*layers, nn.Linear(inputs, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr)
    done = 0
    if report.checkpoint.exists():  # the training was paused or killed: it goes on
        state = torch.load(report.checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        done = state["epoch"]
    for epoch in range(done + 1, epochs + 1):
        model.train()
        for batch in torch.randperm(400).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(training[0][batch]), training[1][batch]).backward()
            optimizer.step()
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        torch.save({**state, "random": torch.get_rng_state()}, report.checkpoint)
        report(epoch, scores(model, "val", validation))
    if report.tests:  # only when a winner is trained again
        report(None, scores(model, "test", test))
