"""`sqlite:///` addresses name the files that they are made from, whatever these are called."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from hpsearch.experiment.addresses import absolute_url, sqlite_path, sqlite_url

NAMES = st.text(st.sampled_from("a%?#& =25é+:@[]~"), min_size=1, max_size=12).filter(lambda name: name.strip() == name)


@given(NAMES, NAMES)
def test_an_address_comes_back_as_its_file(folder: str, name: str) -> None:
    path = Path("/nowhere") / folder / name
    assert sqlite_path(sqlite_url(path)) == path
    assert make_url(sqlite_url(path)).database == str(path)  # as Optuna and MLflow read it


@pytest.mark.parametrize("name", ["a b.db", "a?b.db", "a?b=1.db", "a#b.db", "50%.db", "a%20b.db"])
def test_a_file_that_is_there_may_be_written_as_it_is_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert sqlite_path(f"sqlite:///{path}") == path
    assert sqlite_path(sqlite_url(path)) == path
    assert sqlite_path(str(path)) == path
    assert sqlite_path(absolute_url(f"sqlite:///{path}")) == path


def test_a_file_that_is_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "a%20b").mkdir()
    assert sqlite_path(f"sqlite:///{tmp_path}/a%20b/x.db") == tmp_path / "a%20b" / "x.db"
    assert sqlite_path(f"sqlite:///{tmp_path}/x%20y.db") == tmp_path / "x y.db"
    assert sqlite_path(f"sqlite:///{tmp_path}/x.db?timeout=30") == tmp_path / "x.db"
    assert sqlite_path(f"{tmp_path}/x%20y.db") == tmp_path / "x%20y.db"  # a path is no address


def test_an_address_means_the_same_from_every_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_url("sqlite:///x.db") == f"sqlite:///{tmp_path}/x.db"
    assert absolute_url("sqlite:///x.db?timeout=30") == f"sqlite:///{tmp_path}/x.db?timeout=30"
    assert absolute_url(f"sqlite:///{tmp_path}/x.db") == f"sqlite:///{tmp_path}/x.db"
    assert absolute_url("http://host/a?b") == "http://host/a?b"
    (tmp_path / "a?b.db").touch()
    assert absolute_url("sqlite:///a?b.db") == f"sqlite:///{tmp_path}/a%3Fb.db"
