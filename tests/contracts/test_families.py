"""What every family on the shelf promises to the loop and to the search, on its own quick space made smaller still."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.errors import SealedSplitError
from hpsearch.families.loading import load_family
from hpsearch.records import Goal, Monitor
from hpsearch.running.loading import load_space
from hpsearch.seeds import Seeds
from hpsearch.training.loop import FitResult, fit
from hpsearch.training.task import Split, Splits
from tests.contracts.family_shelf import FAMILIES, SPACES, Shelf, ends_of_ranges
from tests.training.test_resume import KilledError, assert_same_ending
from tests.training.toy import Recorder, numbers

SEEDS = Seeds.for_trial(0, 0)


@pytest.fixture(scope="module", params=FAMILIES)
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def train(shelf: Shelf, folder: Path | None = None, *, seeds: Seeds = SEEDS, report: Any = None) -> FitResult:
    """Train for six optimizer steps with everything that the configuration asks of the loop."""
    torch.rand(())  # what was drawn before does not matter
    return fit(
        shelf.family.task(shelf.config, shelf.splits()),
        shelf.few(train=12, val=8),
        shelf.short_training(),
        seeds=seeds,
        monitor=Monitor("val/loss", Goal.MINIMIZE),
        report=report or Recorder(),
        folder=folder,
    )


def examples(splits: Splits, split: Split) -> set[str]:
    """A fingerprint of each example of a split."""
    data = splits[split]
    whole = data.batch(range(len(data)))
    rows = zip(*(whole[name].numpy() for name in sorted(whole)), strict=True)
    return {hashlib.sha256(b"".join(part.tobytes() for part in row)).hexdigest() for row in rows}


def test_the_search_never_needs_the_test_split(shelf: Shelf) -> None:
    opened: list[str] = []

    def load(split: Split) -> Any:
        opened.append(split)
        return shelf.splits()[split]

    splits = Splits(load, sealed=True)
    task = shelf.family.task(shelf.config, splits)
    model = task.build_model()
    batch = splits["train"].batch([0, 1])
    task.loss(model, task.augment(batch, torch.Generator().manual_seed(0)), task.scalars)
    with torch.no_grad():
        task.evaluate(model.eval(), [splits["val"].batch([0, 1])])
    shelf.family.baselines(shelf.config, splits, "val")
    assert sorted(opened) == ["train", "val"]


def test_a_family_that_reads_the_test_split_in_a_search_fails() -> None:
    family = load_family("toy_family.py:Toy", Path(__file__).parents[1])
    config = family.Config.model_validate({"data": {"trouble": "peek"}})
    splits = Splits(lambda split: family.load(config.data, split, 0), sealed=True)
    with pytest.raises(SealedSplitError):
        family.task(config, splits)


def test_no_example_of_one_split_stands_in_another(shelf: Shelf) -> None:
    splits = shelf.splits(sealed=False)
    train, val, test = (examples(splits, split) for split in ("train", "val", "test"))
    assert not test & train
    assert not test & val
    assert not train & val


def test_equal_seeds_give_equal_data(shelf: Shelf) -> None:
    for split in ("train", "val", "test"):
        again = shelf.load(split).batch([0, 1])  # type: ignore[arg-type] # mypy forgets the literals of the tuple
        for name, tensor in shelf.splits(sealed=False)[split].batch([0, 1]).items():  # type: ignore[index]
            assert torch.equal(tensor, again[name])


def test_scores_are_the_metrics_that_the_family_names(shelf: Shelf) -> None:
    splits = shelf.splits()
    task = shelf.family.task(shelf.config, splits)
    with torch.no_grad():
        scores = task.evaluate(task.build_model().eval(), [splits["val"].batch([0, 1, 2])])
    assert shelf.family.optional_metrics <= set(shelf.family.metrics)
    assert set(scores) - shelf.family.optional_metrics == set(shelf.family.metrics) - shelf.family.optional_metrics
    assert shelf.space.objective.metric.removeprefix("val/") in scores


def test_baselines_are_scored_by_the_same_metrics(shelf: Shelf) -> None:
    baselines = shelf.family.baselines(shelf.config, shelf.splits(), "val")
    assert baselines
    assert tuple(baselines) == tuple(shelf.family.methods)
    assert all(set(scores) <= set(shelf.family.metrics) for scores in baselines.values())


def test_two_steps_lower_the_loss_of_one_batch(shelf: Shelf) -> None:
    task = shelf.family.task(shelf.config, shelf.splits())
    torch.manual_seed(0)
    model = task.build_model().eval()  # without dropout the loss is a function of the weights alone
    batch = shelf.splits()["train"].batch([0, 1, 2, 3])
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
    task = shelf.family.task(shelf.config, shelf.splits())
    torch.manual_seed(0)
    model = task.build_model().eval()
    batch = shelf.splits()["train"].batch([0, 1])
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def called(*inputs: Any) -> torch.Tensor:
        answer: torch.Tensor = torch.func.functional_call(model, parameters, inputs)
        return answer

    direct, through = task.loss(model, batch, task.scalars)["loss"], task.loss(called, batch, task.scalars)["loss"]
    assert torch.allclose(direct, through)


def test_the_same_seeds_give_the_same_numbers_and_others_do_not(shelf: Shelf, tmp_path: Path) -> None:
    first, again = train(shelf), train(shelf, tmp_path)
    other = train(shelf, seeds=Seeds.for_replicate(0, 0))
    assert numbers(first.evaluations) == numbers(again.evaluations)
    assert numbers(first.evaluations) != numbers(other.evaluations)
    assert len(first.evaluations) == 3


def test_a_training_that_was_killed_goes_on_bit_for_bit(shelf: Shelf, tmp_path: Path) -> None:
    unbroken = train(shelf, tmp_path / "unbroken")
    with pytest.raises(KilledError):
        train(shelf, tmp_path / "resumed", report=Recorder({1: KilledError()}))
    resumed = train(shelf, tmp_path / "resumed")
    assert numbers(resumed.evaluations) == numbers(unbroken.evaluations)
    assert_same_ending(tmp_path / "unbroken", tmp_path / "resumed")


def test_the_default_configuration_builds(shelf: Shelf) -> None:
    defaults: dict[str, Any] = {"data": shelf.config.data.model_dump()}
    config = shelf.family.Config.model_validate(defaults)
    with torch.device("meta"):  # at its full size it may have millions of weights; without numbers it has only shapes
        model = shelf.family.task(config, shelf.splits()).build_model()
    assert sum(weights.numel() for weights in model.parameters()) > 0


def test_every_end_of_every_range_builds(shelf: Shelf) -> None:
    built = [
        shelf.family.task(shelf.space.config(params), shelf.splits()).build_model()  # type: ignore[arg-type] # its Config
        for params in ends_of_ranges(shelf.space)
    ]
    assert len(built) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_end_of_every_range_of_the_full_space_builds(name: str) -> None:
    family, space = load_family(name, Path()), load_space(SPACES / f"{name}.yaml")
    opened: dict[str, Splits] = {}
    for params in ends_of_ranges(space):
        config: Any = space.config(params)
        load = partial(family.load, config.data, seed=0)
        splits = opened.setdefault(str(config.data), Splits(load, sealed=True))
        with torch.device("meta"):
            model = family.task(config, splits).build_model()
        assert sum(weights.numel() for weights in model.parameters()) > 0
