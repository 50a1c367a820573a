"""Whose winner `--params best` takes, and what is said of a study's arm."""

from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import ExperimentError, HpsearchError, UnknownNameError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import RESULT, STUDY
from hpsearch.final.selection import find_source


def written(folder: Path, *, goal: str = "maximize", verdict: str = "better", c: float | None = None) -> Path:
    """Write the result of a study in which `a` has 0.8, `b` 0.6 and a baseline 0.9."""
    means = {"a": 0.8, "b": 0.6, "baseline": 0.9} | ({} if c is None else {"c": c})
    comparison: dict[str, Any] = {
        "metric": "test/dice",
        "goal": goal,
        "experiments": [{"name": name, "mean": mean} for name, mean in means.items()],
        "pairs": [{"a": "a", "b": "b", "verdict": verdict}, {"a": "a", "b": "baseline", "verdict": "worse"}],
    }
    winners: dict[str, Any] = {name: {"trial": 0} for name in means if name != "baseline"}
    folder.mkdir()
    write_json(folder / STUDY, {})
    write_json(folder / RESULT, {"version": 1, "winners": winners, "comparison": comparison})
    return folder


def test_the_arm_with_the_best_mean_is_taken_and_called_better_where_that_was_shown(tmp_path: Path) -> None:
    source = find_source(written(tmp_path / "s"))
    assert (source.folder, source.arm) == (tmp_path / "s" / "a", "a")
    assert source.grounds == (
        "It has the best mean test/dice of 2 searched arms (0.8). By the planned test it is better than b."
    )


@pytest.mark.parametrize("verdict", ["not enough evidence", "equivalent", "not testable"])
def test_an_arm_that_is_only_nominally_the_best_is_called_that(tmp_path: Path, verdict: str) -> None:
    grounds = find_source(written(tmp_path / "s", verdict=verdict)).grounds
    assert f"That it is better than b ({verdict}) has not been shown: it is nominally the best" in grounds
    assert "By the planned test it is better" not in grounds


def test_the_goal_decides_which_mean_is_the_best_and_a_verdict_is_read_from_both_sides(tmp_path: Path) -> None:
    source = find_source(written(tmp_path / "s", goal="minimize", verdict="worse"))
    assert source.arm == "b"
    assert source.grounds.endswith("it is better than a.")


def test_an_arm_may_be_named_and_its_rank_is_told(tmp_path: Path) -> None:
    source = find_source(written(tmp_path / "s", c=0.7), arm="b")
    assert source.arm == "b"
    assert "named with --arm" in source.grounds
    assert "third best mean" in source.grounds
    assert "better than a (worse) and c (not tested) has not been shown." in source.grounds


def test_what_is_no_searched_arm_is_refused_with_those_that_are(tmp_path: Path) -> None:
    study = written(tmp_path / "s")
    with pytest.raises(UnknownNameError, match="unknown searched arm 'baseline'; known: a, b"):
        find_source(study, arm="baseline")
    with pytest.raises(HpsearchError, match="is not a study"):
        find_source(tmp_path / "experiment", arm="a")


def test_a_study_without_a_result_has_no_first_arm(tmp_path: Path) -> None:
    study = written(tmp_path / "s")
    (study / RESULT).unlink()
    with pytest.raises(ExperimentError, match="has no result yet"):
        find_source(study)
    (study / RESULT).write_text("{")
    with pytest.raises(ExperimentError, match="is damaged"):
        find_source(study)
