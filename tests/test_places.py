"""Settings that name files: which there are, and where the files lie."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from hpsearch.places import NamedPlace, find_place, found_places, located, named_places, obstacle
from hpsearch.settings import FILE, FOLDER, UNFOLD, Option, Settings


class Words(Option):
    kind: Literal["words"] = "words"


class Checkpoint(Option):
    kind: Literal["checkpoint"] = "checkpoint"
    path: Annotated[str, FOLDER]


class Data(Settings):
    table: Annotated[str | None, FILE] = None
    val_file: str = ""
    tokens: Annotated[Words | Checkpoint, Field(discriminator="kind"), UNFOLD] = Words()


class Model(Settings):
    path: str = "short"


class Config(Settings):
    data: Data = Data()
    model: Model = Model()


def config(**data: object) -> Config:
    return Config.model_validate({"data": data})


def test_settings_are_found_by_their_mark_and_named_as_a_space_names_them() -> None:
    found = list(named_places(config(table="a.csv", val_file="b.csv", tokens={"checkpoint": {"path": "bert"}})))
    assert found == [
        NamedPlace("data.table", "a.csv", "file"),
        NamedPlace("data.tokens.checkpoint.path", "bert", "folder"),
    ]
    assert list(named_places(config())) == []


def test_unmarked_ones_only_where_they_name_something(tmp_path: Path) -> None:
    data = config(table="a.csv", val_file="b.csv").data
    assert [place.path for place in found_places(data, tmp_path)] == ["a.csv"]
    (tmp_path / "b.csv").touch()
    assert [place.path for place in found_places(data, tmp_path)] == ["a.csv", "b.csv"]


def test_paths_become_absolute_and_nothing_else_changes(tmp_path: Path) -> None:
    for name in ("b.csv", "short"):
        (tmp_path / name).touch()
    written = config(table="../a.csv", val_file="b.csv", tokens={"checkpoint": {"path": "bert"}})
    found = located(written, tmp_path / "spaces" / "..")
    assert found.data.table == str(tmp_path.parent / "a.csv")
    assert found.data.val_file == str(tmp_path / "b.csv")
    assert found.data.tokens == Checkpoint(path=str(tmp_path / "bert"))
    assert found.model.path == "short"  # no setting of the data
    assert located(found, Path("/other")) == found
    assert located(config(), tmp_path) == config()


def test_the_space_files_folder_comes_before_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir(), here.mkdir()
    monkeypatch.chdir(here)
    assert find_place("a.csv", home) == home / "a.csv"
    (here / "a.csv").touch()
    assert find_place("a.csv", home) == here / "a.csv"
    (home / "a.csv").touch()
    assert find_place("a.csv", home) == home / "a.csv"
    assert find_place(str(here / "a.csv"), home) == here / "a.csv"
    monkeypatch.setenv("HOME", str(here))
    assert find_place("~/a.csv", home) == here / "a.csv"


def test_what_keeps_a_file_from_being_read(tmp_path: Path) -> None:
    def told(path: str, kind: Literal["file", "folder"] = "file") -> str | None:
        return obstacle(NamedPlace("data.table", path, kind), tmp_path)

    assert told("tabel.csv") == f"there is no file {tmp_path}/tabel.csv, and no {Path.cwd()}/tabel.csv"
    (tmp_path / "table.csv").touch()
    assert "did you mean table.csv?" in str(told("tabel.csv"))
    assert told("table.csv") == f"the file {tmp_path}/table.csv is empty"
    (tmp_path / "table.csv").write_text("a")
    assert told("table.csv") is None
    assert told("table.csv", "folder") == f"{tmp_path}/table.csv is a file, not a folder"
    (tmp_path / "folder").mkdir()
    assert told("folder", "folder") == f"the folder {tmp_path}/folder is empty"
    assert told("folder") == f"{tmp_path}/folder is a folder, not a file"
