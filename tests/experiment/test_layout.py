"""The names of runs: whatever a classical method is called, its run is a folder of its own and gives the name back."""

import string
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import ExperimentError
from hpsearch.experiment.layout import (
    BASELINES_RUN,
    baseline_of,
    baseline_run,
    baseline_title,
    baselines_run,
    folder_called,
)
from hpsearch.records import Fold
from hpsearch.tracking.entries import run_title

ODD = [
    "knn:3",
    "a/b",
    "..",
    ".",
    "/etc/passwd",
    "x/../../y",
    "50 % of all",
    "%41",
    "<b>",
    "käse",
    " a ",
    "a\nb",
    "a\x00b",
]
FOLDED = baselines_run(Fold(5, 0, 3))
names = st.text(min_size=1) | st.sampled_from([*ODD, "repeat-0-fold-3-of-5", "repeat-0-fold-3-of-5/x"])


@given(names, st.sampled_from([BASELINES_RUN, FOLDED]))
def test_a_methods_name_may_hold_any_character(name: str, folder: str) -> None:
    run = baseline_run(folder, name)
    assert baseline_of(run) == (folder, name)
    path = PurePosixPath(run)
    assert str(path.parent) == folder
    assert path.name not in (".", "..")
    assert "\x00" not in run
    assert set(path.name) & set('/\\:*?"<>|\n\r\t') == set()


@given(names, names)
def test_two_methods_have_two_runs(one: str, other: str) -> None:
    assert (baseline_run(BASELINES_RUN, one) == baseline_run(BASELINES_RUN, other)) == (one == other)


@given(st.text(alphabet=string.ascii_letters + string.digits + "_ -+.,()=~", min_size=1))
def test_usual_names_stay_as_they_are(name: str) -> None:
    if name.strip(". ") == name and not name.startswith("repeat-"):
        assert baseline_run(BASELINES_RUN, name) == f"{BASELINES_RUN}/{name}"


@pytest.mark.parametrize("name", ["sloreta", "minimum norm", "a/b"])
def test_runs_of_older_logs_are_read(name: str) -> None:
    assert baseline_of(f"{BASELINES_RUN}/{name}") == (BASELINES_RUN, name)
    assert baseline_of(f"{FOLDED}/{name}") == (FOLDED, name)


def test_methods_are_shown_by_their_names() -> None:
    assert baseline_title(baseline_run(BASELINES_RUN, "knn:3")) == "knn:3"
    assert baseline_title(baseline_run(FOLDED, "knn:3")) == "repeat-0-fold-3-of-5/knn:3"
    assert run_title(baseline_run(BASELINES_RUN, "knn:3")) == "baseline-knn:3"
    assert run_title(baseline_run(FOLDED, "sloreta")) == "baseline-repeat-0-fold-3-of-5-sloreta"


@pytest.mark.parametrize("name", ["deepsif-quick", "a b", "käse", "v1.2+x", "run_(3)"])
def test_a_name_is_the_folder_below_the_root(name: str, tmp_path: Path) -> None:
    assert folder_called(name, tmp_path) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "/etc", "..", ".", ".git", "a\\b", "a\x00", "a\nb", "\u202ea", "-x", " a", "", "x" * 201]
)
def test_a_name_that_is_not_that_of_one_visible_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="cannot be the name of an experiment or a study: it is that of one fol"):
        folder_called(name, tmp_path)


@pytest.mark.parametrize("name", ["mlflow.db", "mlartifacts", "MLflow.db", "mlflow.lock"])
def test_the_files_of_mlflow_are_taken(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="MLflow's own files are called so"):
        folder_called(name, tmp_path)


@pytest.mark.parametrize("name", ["NUL", "con.yaml", "lpt1"])
def test_a_name_is_not_that_of_a_device(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="a device of this name"):
        folder_called(name, tmp_path)


@pytest.mark.parametrize(
    ("there", "name"), [("Toy", "toy"), ("caf\u00e9", "cafe\u0301"), ("\ufb01t", "fit"), ("STRASSE", "straße")]
)
def test_a_name_differs_from_others_in_more_than_case_and_form(there: str, name: str, tmp_path: Path) -> None:
    (tmp_path / there).mkdir()
    with pytest.raises(ExperimentError, match=f"'{there}' is there, which some file systems take for the same"):
        folder_called(name, tmp_path)
    (tmp_path / name).mkdir()  # one that is there already goes on
    assert folder_called(name, tmp_path) == tmp_path / name
