"""A mistake is shown with its line, a mark below it and what would be right; for editors as JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.cli import app
from hpsearch.cli.complaints import shown
from hpsearch.errors import Problem

SPACE = "family: char_lm\nobjective: {metric: val/bits_per_char}\nmodel: {layers: {values: [1, 2]}}\n"


def test_the_line_is_shown_with_a_mark_below_the_word(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(SPACE, encoding="utf-8")
    place, line, mark, right = [text.plain for text in shown(Problem(str(path), 3, 9, "is wrong", "write it so"))]
    assert place == f"{path}:3:9: is wrong"
    assert line == "3 | model: {layers: {values: [1, 2]}}"
    assert mark == "  |         ^^^^^^"
    assert right == "  = help: write it so"


@pytest.mark.parametrize("problem", [Problem("--set a=1", 0, 0, "is wrong"), Problem("gone.yaml", 9, 9, "is wrong")])
def test_what_has_no_line_is_one_line(problem: Problem) -> None:
    assert len(list(shown(problem))) == 1


def test_a_long_line_is_shown_around_the_mistake(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a" * 500 + " wrong" + "b" * 500, encoding="utf-8")
    _, line, mark = [text.plain for text in shown(Problem(str(path), 1, 502, "is wrong"))]
    assert len(line) < 200
    assert line[mark.index("^") :].startswith("wrong")


def test_the_mark_stands_below_letters_of_two_cells(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("日本語: wrong日\n", encoding="utf-8")
    _, line, mark = list(shown(Problem(str(path), 1, 6, "is wrong")))
    assert line.cell_len - len("wrong日") - 1 == mark.plain.index("^")
    assert mark.plain.count("^") == len("wrong") + 2


def test_the_line_that_is_no_text_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"# caf\xe9\n")
    _, line, mark = [text.plain for text in shown(Problem(str(path), 1, 6, "not UTF-8 text (byte 0xe9)"))]
    assert line.startswith("1 | # caf")
    assert mark.index("^") == 4 + 5


def test_a_mark_stands_at_most_behind_the_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("short\n", encoding="utf-8")
    _, line, mark = [text.plain for text in shown(Problem(str(path), 1, 900, "is wrong"))]
    assert (line, mark.index("^")) == ("1 | short", len("1 | short"))


def test_a_program_in_place_of_its_space_is_told_how_it_gets_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.py"
    path.write_text("def train(lr: float, *, report): ...\n", encoding="utf-8")
    assert app(["check", "--json", str(path)], standalone_mode=False) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["help"] == f"`hpsearch init {path}` writes a space file for it"


def test_editors_get_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(SPACE, encoding="utf-8")
    assert app(["check", "--json", str(path)], standalone_mode=False) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["line"], problem["column"], problem["help"]) == (3, 9, "write {choice: [1, 2]}")


def test_no_colours_where_there_is_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(SPACE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "hpsearch", "check", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "= help: write {choice: [1, 2]}" in done.stderr
