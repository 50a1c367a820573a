"""An arm with factors: its cells, their names, and every mistake at its place."""

import re
from pathlib import Path

import pytest

from hpsearch.errors import SpaceError
from hpsearch.studies.reading import load_study
from hpsearch.studies.study import factor_titles
from tests.toy_spaces import write_space

TEXT = """\
question: Which width, which optimizer?
metric: {name: test/loss}
arms:
  grid:
    space: toy.yaml
    set: {train.batch_size: 4}
    factors: {model.width: [1, 2], train.optimizer: [sgd, adamw]}
  mean: {baseline: mean}
budget: {trials: 1}
replicates: {seeds: 2}
quick:
  arms.grid.factors: {model.width: [3, 4]}
"""


def write(folder: Path, *changes: tuple[str, str]) -> Path:
    write_space(folder)
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "study.yaml"
    path.write_text(text)
    return path


def test_every_combination_is_an_arm_with_its_levels_set(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    assert [arm.name for arm in study.arms] == [
        *("width=1,optimizer=sgd", "width=1,optimizer=adamw", "width=2,optimizer=sgd", "width=2,optimizer=adamw"),
        "mean",
    ]
    assert study.factors == {"model.width": (1, 2), "train.optimizer": ("sgd", "adamw")}
    last = study.searched[-1]
    assert last.levels == {"model.width": 2, "train.optimizer": "adamw"}
    assert last.fixed == {"train.batch_size": 4, **last.levels}
    resolved = last.space.resolved()
    assert (resolved["model"]["width"], resolved["train"]["batch_size"]) == (2, 4)
    assert "adamw" in resolved["train"]["optimizer"]


def test_quick_replaces_the_factors(tmp_path: Path) -> None:
    study = load_study(write(tmp_path), quick=True)
    assert [arm.name for arm in study.searched] == ["width=3", "width=4"]


def test_titles_are_as_short_as_they_can_be() -> None:
    assert factor_titles({"a.x": 0, "b.x": 0, "b.y": 0}) == {"a.x": "a.x", "b.x": "b.x", "b.y": "y"}


MISTAKES = {
    "one level": (("[1, 2]", "[1]"), "7:28: arms.grid.factors: model.width needs a list of two or more"),
    "no list": (("[1, 2]", "1"), "7:28: arms.grid.factors: model.width needs a list"),
    "twice": (("[1, 2]", "[1, 1]"), "7:32: arms.grid.factors: the level 1 of model.width occurs twice"),
    "folder": (("[sgd,", "[s/d,"), "7:54: arms.grid.factors: the level s/d of train.optimizer cannot be part"),
    "unknown": (("model.width: [1", "model.widht: [1"), "7:29: unknown setting 'widht' in model, did you mean 'width'"),
    "bounds": (("[1, 2]", "[0, 2]"), "7:29: model.width: 0 is out of bounds"),
    "set": (("train.batch_size: 4", "model.width: 4"), "7:28: arms.grid.factors: model.width is set already"),
    "search": (("model.width: [1", "search.trials: [1"), "7:31: arms.trials=1.*set: search.trials cannot be set"),
    "baseline": (("{baseline: mean}", "{baseline: mean, factors: {a: [1, 2]}}"), "8:20: arms.mean: a baseline is"),
    "quick": (("arms.grid.factors", "arms.gird.factors"), "12:3: quick: arms.gird.factors is not arms.NAME.set or"),
    "two": (
        ("mean: {baseline: mean}", "more: {space: toy.yaml, factors: {model.width: [1, 2]}}"),
        "8:36: arms.more.factors: one arm of a study can have factors",
    ),
    "empty": (("{model.width: [1, 2], train.optimizer: [sgd, adamw]}", "{}"), "7:14: arms.grid.factors: write them as"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_at_its_place(name: str, tmp_path: Path) -> None:
    change, expected = MISTAKES[name]
    with pytest.raises(SpaceError) as refused:
        load_study(write(tmp_path, change))
    lines = [line.partition("study.yaml:")[2] for line in str(refused.value).splitlines()]
    place, _, message = expected.partition(": ")
    assert any(re.match(f"{place}: .*{message}", line) for line in lines), lines
