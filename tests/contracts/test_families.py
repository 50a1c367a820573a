"""What every family on the shelf promises to the loop and to the search, on its own quick space made smaller still."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.errors import SealedSplitError
from hpsearch.families.loading import family_names, load_family
from hpsearch.loading import load_space
from hpsearch.training.task import Split, Splits
from tests.small_eeg import SMALL_EEG

SPACES = Path(__file__).parents[2] / "spaces"
SMALLER = {
    "deepsif": [f"data.{name}={json.dumps(value)}" for name, value in SMALL_EEG.items()],
    "char_lm": ["data.context=16"],
}


class Shelf:
    """One family with a small configuration of its quick space and its data."""

    def __init__(self, name: str) -> None:
        self.family = load_family(name, Path())
        self.space = load_space(SPACES / f"{name}.yaml", quick=True, overrides=SMALLER.get(name, []))
        params = self.space.sample_feasible(random.Random(0))
        assert params is not None
        self.config: Any = self.space.config(params)

    def splits(self, *, seed: int = 0, sealed: bool = True) -> Splits:
        return Splits(lambda split: self.family.load(self.config.data, split, seed), sealed=sealed)


@pytest.fixture(scope="module", params=family_names())
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def examples(splits: Splits, split: Split) -> set[str]:
    """A fingerprint of each example of a split."""
    data = splits[split]
    whole = data.batch(range(len(data)))
    rows = zip(*(whole[name].numpy() for name in sorted(whole)), strict=True)
    return {hashlib.sha256(b"".join(part.tobytes() for part in row)).hexdigest() for row in rows}


def test_the_search_never_needs_the_test_split(shelf: Shelf) -> None:
    splits = shelf.splits(sealed=True)
    task = shelf.family.task(shelf.config, splits)
    model = task.build_model()
    with torch.no_grad():
        task.evaluate(model.eval(), [splits["val"].batch([0, 1])])
    with pytest.raises(SealedSplitError):
        splits["test"]


def test_no_example_of_one_split_stands_in_another(shelf: Shelf) -> None:
    splits = shelf.splits(sealed=False)
    train, val, test = (examples(splits, split) for split in ("train", "val", "test"))
    assert not test & train
    assert not test & val
    assert not train & val


def test_equal_seeds_give_equal_data(shelf: Shelf) -> None:
    once, again = shelf.splits(seed=3), shelf.splits(seed=3)
    for split in ("train", "val"):
        for name, tensor in once[split].batch([0, 1]).items():
            assert torch.equal(tensor, again[split].batch([0, 1])[name])


def test_scores_are_the_metrics_that_the_family_names(shelf: Shelf) -> None:
    splits = shelf.splits()
    task = shelf.family.task(shelf.config, splits)
    with torch.no_grad():
        scores = task.evaluate(task.build_model().eval(), [splits["val"].batch([0, 1, 2])])
    assert set(scores) == set(shelf.family.metrics)


def test_baselines_are_scored_by_the_same_metrics(shelf: Shelf) -> None:
    baselines = shelf.family.baselines(shelf.config, shelf.splits(), "val")
    assert baselines
    assert all(set(scores) <= set(shelf.family.metrics) for scores in baselines.values())


def test_two_steps_lower_the_loss_of_one_batch(shelf: Shelf) -> None:
    splits = shelf.splits()
    task = shelf.family.task(shelf.config, splits)
    torch.manual_seed(0)
    model = task.build_model().eval()  # without dropout the loss is a function of the weights alone
    batch = splits["train"].batch([0, 1, 2, 3])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        loss = task.loss(model, batch, task.scalars)["loss"]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]


def test_the_loss_is_a_pure_function_of_parameters_batch_and_scalars(shelf: Shelf) -> None:
    splits = shelf.splits()
    task = shelf.family.task(shelf.config, splits)
    torch.manual_seed(0)
    model = task.build_model().eval()
    batch = splits["train"].batch([0, 1])
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def called(*inputs: Any) -> torch.Tensor:
        answer: torch.Tensor = torch.func.functional_call(model, parameters, inputs)
        return answer

    direct, through = task.loss(model, batch, task.scalars)["loss"], task.loss(called, batch, task.scalars)["loss"]
    assert torch.allclose(direct, through)


@pytest.mark.parametrize("name", family_names())
def test_every_end_of_every_range_builds(name: str) -> None:
    space = load_space(SPACES / f"{name}.yaml", quick=True, overrides=SMALLER.get(name, []))
    shelf = Shelf(name)
    generator = random.Random(1)
    for parameter in space.parameters:
        ends = (
            parameter.range.options
            if hasattr(parameter.range, "options")
            else (parameter.range.low, parameter.range.high)
        )
        for end in ends:
            params = next(
                (
                    {**drawn, parameter.path: end}
                    for drawn in (space.sample(generator) for _ in range(2000))
                    if parameter.path in drawn
                    and (not hasattr(parameter.range, "options") or drawn[parameter.path] == end)
                    and space.violation({**drawn, parameter.path: end}) is None
                ),
                None,
            )
            assert params is not None, f"{parameter.path} = {end} is never feasible"
            shelf.family.task(space.config(params), shelf.splits()).build_model()
