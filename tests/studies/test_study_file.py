"""A study file: every mistake at its place, the arms' spaces as the study lays them out."""

import re
from pathlib import Path

import pytest

from hpsearch.comparing.statistics.adjustment import ADJUSTMENTS
from hpsearch.errors import SpaceError
from hpsearch.records import Goal
from hpsearch.running.loading import load_space
from hpsearch.studies.reading import is_study, load_study
from hpsearch.studies.study import BaselineArm, Decide
from tests.toy_studies import altered, toy_study, write_study


def told(folder: Path, *changes: tuple[str, str]) -> list[str]:
    """Return the mistakes of the toy study with pieces of its text replaced."""
    path = altered(write_study(folder), *changes)
    with pytest.raises(SpaceError) as refused:
        load_study(path)
    return str(refused.value).replace(f"{folder}/", "").splitlines()


MISTAKES = {
    "metric": (
        ("test/loss", "test/los"),
        "study.yaml:2:16: metric.name: .* has no 'test/los', did you mean 'test/loss'",
    ),
    "validation metric": (("test/loss", "val/loss"), "study.yaml:2:16: metric.name: .* has no 'val/loss'"),
    "goal": (("name: test/loss", "name: test/loss, goal: maximize"), "study.yaml:2:33: metric.goal: .* is to minimize"),
    "section": (("budget:", "bugdet:"), "study.yaml:7:1: unknown section 'bugdet', did you mean 'budget'"),
    "budget": (("trials: 3", "trials: 0"), "study.yaml:7:18: budget.trials: 0 is out of bounds"),
    "option": (
        ("optimizer: sgd", "optimizer: sdg"),
        "study.yaml:4:49: unknown option 'sdg' of train.optimizer, did you",
    ),
    "leaf": (("train.optimizer: sgd", "train.epochs: 0"), "study.yaml:4:46: train.epochs: 0 is out of bounds"),
    "name": (("train.optimizer: sgd", "train.epoch: 3"), "study.yaml:4:32: unknown setting 'epoch' in train, did you"),
    "search": (
        ("train.optimizer: sgd", "search.trials: 9"),
        "study.yaml:4:32: arms.sgd.set: search.trials cannot be set",
    ),
    "file": (("sgd: {space: toy", "sgd: {space: tyo"), "study.yaml:4:16: arms.sgd.space: there is no file tyo.yaml"),
    "key": (("baseline: mean", "baselin: mean"), "study.yaml:6:10: unknown setting 'baselin' in arms.mean, did you"),
    "method": (("baseline: mean", "baseline: maen"), "study.yaml:6:20: .* unknown method 'maen', did you mean 'mean'"),
    "both": (("baseline: mean", "baseline: mean, space: toy.yaml"), "study.yaml:6:3: arms.mean: an arm has either"),
    "folds": (
        ("{seeds: 3}", "{folds: 5}"),
        "study.yaml:8:21: replicates.folds: arms.sgd: the family .*:Toy does not .*; those that do: relative_vit, ",
    ),
    "replicates": (("{seeds: 3}", "{seeds: 3, folds: 5}"), "study.yaml:8:1: replicates: give either"),
    "margin": (("margin: 0.1", "margin: 0"), "study.yaml:9:18: decide.margin: 0 is out of bounds"),
    "adjust": (
        ("margin: 0.1", "adjust: home"),
        "study.yaml:9:18: decide.adjust: 'home' is not one of .*, did you mean",
    ),
    "quick": (("quick: {budget", "quick: {bugdet"), "study.yaml:11:9: unknown setting 'bugdet', did you mean 'budget'"),
    "arm's name": (("  sgd:", "  ../x:"), "study.yaml:4:3: arms: '../x' cannot be the name of a folder"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_at_its_place(name: str, tmp_path: Path) -> None:
    change, expected = MISTAKES[name]
    place, _, message = expected.partition(": ")
    lines = told(tmp_path, change)
    assert any(re.match(f"{re.escape(place)}: {message}", line) for line in lines), lines


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = told(tmp_path, ("optimizer: sgd", "optimizer: sdg"), ("trials: 3", "trials: x"), ("seed: 0", "sed: 0"))
    assert [line.split(": ")[0] for line in lines] == ["study.yaml:4:49", "study.yaml:7:18", "study.yaml:10:1"]
    lines = told(tmp_path, ("optimizer: sgd", "optimizer: sdg"), ("baseline: mean", "baseline: maen"))
    assert [line.split(": ")[0] for line in lines] == ["study.yaml:4:49", "study.yaml:6:20"]


def test_an_unknown_engine_of_a_space_is_told_with_the_mistakes_of_the_study(tmp_path: Path) -> None:
    path = altered(write_study(tmp_path), ("optimizer: sgd", "optimizer: sdg"))
    altered(tmp_path / "toy.yaml", ("sampler: random", "engine: rya"))
    with pytest.raises(SpaceError) as refused:
        load_study(path)
    said = str(refused.value)
    assert "toy.yaml:3:18: search.engine: unknown engine 'rya', did you mean 'ray'?" in said
    assert "unknown option 'sdg'" in said


def test_an_arm_that_fixes_a_branch_keeps_the_ranges_below_its_option(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    ranges = {arm.name: [parameter.path for parameter in arm.space.parameters] for arm in study.searched}
    shared = ["model.start", "model.width", "train.learning_rate"]
    assert ranges == {"sgd": [*shared, "train.optimizer.sgd.momentum"], "adamw": shared}


def test_every_arm_has_the_studys_budget_and_seed(tmp_path: Path) -> None:
    study = toy_study(tmp_path, trials=4, seeds=5, seed=3)
    for arm in study.searched:
        search, confirm = arm.space.search, arm.space.confirm
        assert (search.trials, search.time, search.seed) == (4, None, 3)
        assert confirm is not None
        assert (confirm.top, confirm.seeds) == (1, 5)
    assert study.goal is Goal.MINIMIZE
    assert study.arms[2] == BaselineArm("mean", "mean", partner="sgd")


def test_quick_lays_the_quick_sections_of_the_spaces_over_them_too(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path), quick=True)
    assert (study.settings.budget.trials, study.settings.replicates.seeds) == (1, 2)
    assert all(arm.space.resolved()["train"]["epochs"] == 2 for arm in study.searched)


STANDARD = ("quick: {budget", "standard: {budget.trials: 20, set: {train.batch_size: 4}}\nquick: {budget")


def test_standard_lies_over_the_study_and_over_the_quick_sections_of_the_spaces(tmp_path: Path) -> None:
    path = altered(write_study(tmp_path), STANDARD)
    study = load_study(path, standard=True)
    assert (study.settings.budget.trials, study.settings.replicates.seeds) == (20, 3)
    for arm in study.searched:
        train = arm.space.resolved()["train"]
        assert (train["epochs"], train["batch_size"], arm.space.search.trials) == (2, 4, 20)
    assert (load_study(path).settings.budget.trials, load_study(path, quick=True).settings.budget.trials) == (3, 1)


def test_a_mistake_in_the_standard_form_is_told_whichever_form_is_read(tmp_path: Path) -> None:
    assert told(tmp_path, ("quick: {budget", "standard: {bugdet.trials: 20}\nquick: {budget"))[0].startswith(
        "study.yaml:11:12: unknown setting 'bugdet', did you mean 'budget'"
    )


def test_a_study_without_a_standard_form_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"no standard form; write standard: \{budget.trials: 20\}, or use --quick"):
        load_study(write_study(tmp_path), standard=True)


def test_the_adjustments_are_those_of_the_comparison() -> None:
    assert Decide.model_fields["adjust"].annotation.__args__ == ADJUSTMENTS  # type: ignore[union-attr]


def test_a_space_is_told_from_a_study(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    assert is_study(study)
    assert not is_study(tmp_path / "toy.yaml")
    with pytest.raises(SpaceError, match=r"study.yaml:3:1: this is a study: `hpsearch study` runs it"):
        load_space(study)
    with pytest.raises(SpaceError, match=r"toy.yaml:1:1: this is a space: `hpsearch run` searches it"):
        load_study(tmp_path / "toy.yaml")


COMMON = ("arms:", "set: {search.pruner: median, train.batch_size: 4}\narms:")


def test_what_is_set_for_all_lies_in_every_arm_and_below_its_own(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    path.write_text(path.read_text().replace(*COMMON).replace("sgd}}", "sgd, train.batch_size: 2}}"))
    study = load_study(path)
    spaces = [arm.space.resolved() for arm in study.searched]
    assert [list(space["search"]["pruner"]) for space in spaces] == [["median"], ["median"]]
    assert [space["train"]["batch_size"] for space in spaces] == [2, 4]
    assert study.common == {"search.pruner": "median", "train.batch_size": 4}
    assert study.searched[0].fixed == {"train.optimizer": "sgd", "train.batch_size": 2}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("search.pruner: median", "search.trials: 9"), r"3:\d+: set: search.trials is said by budget"),
        (("search.pruner: median", "confirm.seeds: 9"), r"3:\d+: set: confirm.seeds is said by budget"),
        (("search.pruner: median", "search.pruner: medain"), r"3:\d+: .*'medain'.*did you mean 'median'"),
        (("{search.pruner: median, train.batch_size: 4}", "4"), r"3:\d+: set: 4 is not a mapping"),
    ],
)
def test_mistakes_in_what_is_set_for_all(change: tuple[str, str], expected: str, tmp_path: Path) -> None:
    lines = told(tmp_path, COMMON, change)
    assert any(re.match(f"study.yaml:{expected}", line) for line in lines), lines
