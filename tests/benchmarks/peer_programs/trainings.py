"""What every program of the comparison trains: two problems in plain torch, with their search spaces as plain data.

The loop is what a careful user writes: tensors in memory, one permutation an epoch, a whole validation split in few
pieces, no library around it. The network and the text of char_lm are hpsearch's, the loop, the optimizer's groups and
the rates are written out here, after the defaults of its settings.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Config = Mapping[str, Any]
Scores = dict[str, float]
Splits = Mapping[str, tuple[Tensor, Tensor]]
"""Inputs and targets of `train` and `val`."""
_SCORED = 256
"""Examples that are scored at once."""


@dataclass(frozen=True)
class Problem:
    """A training and its space: names of parameters with `("int", low, high, step)`, `("log", low, high)` or a choice.

    `metric` is minimised. `base` belongs to rotary positions and means nothing elsewhere. `fixed` are configurations
    that all programs train, where what is proposed decides how long a training takes. `target` is a value that counts
    as good after the `epochs` that it is named with.
    """

    metric: str
    space: Mapping[str, tuple[Any, ...]]
    load: Callable[[], Splits]
    build: Callable[[Config], nn.Module]
    batch_size: int
    fixed: Sequence[Config] = ()
    clip: float | None = None
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Callable[[float], float] = lambda _: 1.0
    """The factor on the rate, by the part of the training that is done, from 0 to 1."""


# The MLP on digits


@cache
def digits() -> Splits:
    """Return scikit-learn's handwritten digits: 1078 for training (34 batches of 32), 359 for validation, 360 more."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    inputs, labels = torch.tensor(x / 16, dtype=torch.float32)[order], torch.tensor(y)[order]
    parts = {"train": slice(0, 1078), "val": slice(1078, 1437), "test": slice(1437, None)}
    return {split: (inputs[part], labels[part]) for split, part in parts.items()}


def mlp(config: Config) -> nn.Module:
    """Return two hidden layers."""
    first, second = config["first"], config["second"]
    hidden = nn.Sequential(nn.Linear(64, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(second, 10))


# A small GPT on the help topics of Python


@cache
def text() -> Splits:
    """Return windows of 64 characters and the characters that follow."""
    from hpsearch.families.char_lm.family import CharLM
    from hpsearch.families.char_lm.settings import DataSettings

    family, settings = CharLM(), DataSettings(context=64)
    windows = {split: family.load(settings, split, 0) for split in ("train", "val")}
    batches = {split: part.batch(range(len(part))) for split, part in windows.items()}
    return {split: (batch["input"], batch["target"]) for split, batch in batches.items()}


def gpt(config: Config) -> nn.Module:
    """Return the network of the family char_lm."""
    from hpsearch.families.char_lm.network import CharTransformer
    from hpsearch.families.char_lm.settings import Learned, ModelSettings, RotaryPositions, Sinusoidal

    positions = {"learned": Learned, "sinusoidal": Sinusoidal, "rope": RotaryPositions}
    base = {"base": config["base"]} if config["position"] == "rope" else {}
    sizes = {name: config[name] for name in ("layers", "width", "heads")}
    settings = ModelSettings(**sizes, position=positions[config["position"]](**base), dropout=0.0)
    return CharTransformer(settings, vocabulary=_vocabulary(), context=64)


@cache
def _vocabulary() -> int:
    from hpsearch.families.char_lm.family import CharLM
    from hpsearch.families.char_lm.settings import DataSettings

    return CharLM().load(DataSettings(context=64), "train", 0).vocabulary


def _warm_cosine(done: float) -> float:
    """Return a warm-up over a twentieth, then a cosine to a tenth."""
    if done < 0.05:
        return max(done, 0.002) / 0.05
    return 0.1 + 0.9 * (1 + math.cos(math.pi * (done - 0.05) / 0.95)) / 2


def _fixed() -> list[Config]:
    sizes = [(layers, width) for layers in (1, 2) for width in (48, 64)]
    rates = [1.5e-3, 3e-3, 6e-3, 1.2e-2, 2e-3, 4e-3, 8e-3, 1.6e-2]
    return [
        {"layers": layers, "width": width, "heads": heads, "position": "learned", "learning_rate": rate}
        for (layers, width, heads), rate in zip(
            [(*size, heads) for heads in (2, 4) for size in sizes], rates, strict=True
        )
    ]


PROBLEMS = {
    "digits": Problem(
        metric="loss",
        space={"first": ("int", 16, 64, 16), "second": ("int", 16, 64, 16), "learning_rate": ("log", 1e-4, 3e-2)},
        load=digits,
        build=mlp,
        batch_size=32,
    ),
    "char_lm": Problem(
        metric="bits_per_char",
        space={
            "layers": ("int", 1, 2, 1),
            "width": ("choice", 48, 64),
            "heads": ("choice", 2, 4),
            "position": ("choice", "learned", "sinusoidal", "rope"),
            "base": ("log", 1e3, 1e5),
            "learning_rate": ("log", 1e-3, 2e-2),
        },
        load=text,
        build=gpt,
        batch_size=8,
        fixed=_fixed(),
        clip=1.0,
        weight_decay=0.1,
        betas=(0.9, 0.99),
        schedule=_warm_cosine,
    ),
}


def train(name: str, config: Config, *, epochs: int, seed: int, fused: bool) -> Iterator[tuple[int, Scores]]:
    """Train one configuration; yield the scores on the validation split after each epoch, counted from 1."""
    problem = PROBLEMS[name]
    splits = problem.load()
    torch.manual_seed(seed)
    model = problem.build(config)
    optimizer = torch.optim.AdamW(_groups(problem, model), lr=config["learning_rate"], betas=problem.betas, fused=fused)
    inputs, targets = splits["train"]
    steps = epochs * math.ceil(len(inputs) / problem.batch_size)
    step = 0
    for epoch in range(1, epochs + 1):
        model.train()
        for chosen in torch.randperm(len(inputs)).split(problem.batch_size):
            for group in optimizer.param_groups:
                group["lr"] = config["learning_rate"] * problem.schedule(step / steps)
            loss = _loss(model(inputs[chosen]), targets[chosen], "mean")
            optimizer.zero_grad()
            loss.backward()
            if problem.clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), problem.clip)
            optimizer.step()
            step += 1
        yield epoch, scores(model, *splits["val"])


def _groups(problem: Problem, model: nn.Module) -> list[dict[str, Any]]:
    """Return the weights, which decay, and the rest, which does not."""
    parameters = list(model.parameters())
    return [
        {"params": [each for each in parameters if each.ndim >= 2], "weight_decay": problem.weight_decay},
        {"params": [each for each in parameters if each.ndim < 2], "weight_decay": 0.0},
    ]


def _loss(logits: Tensor, target: Tensor, reduction: str) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction=reduction)


@torch.no_grad()
def scores(model: nn.Module, inputs: Tensor, targets: Tensor) -> Scores:
    """Return the mean loss of an item, in nats and in bits, and the accuracy."""
    model.eval()
    loss, right, count = 0.0, 0, 0
    for x, y in zip(inputs.split(_SCORED), targets.split(_SCORED), strict=True):
        logits = model(x)
        loss += float(_loss(logits, y, "sum"))
        right += int((logits.argmax(-1) == y).sum())
        count += int((y >= 0).sum())  # the end of a text has targets that do not count
    return {"loss": loss / count, "bits_per_char": loss / count / math.log(2), "accuracy": right / count}
