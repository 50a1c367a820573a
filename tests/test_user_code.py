"""Files of the user's own that a space names."""

import pickle
import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.user_code import find_code


@pytest.fixture
def two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Files of one name in two folders; each has a class that says where it is from."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"class Mine:\n    place = {folder!r}\n", encoding="utf-8")
    yield tmp_path
    for name in [each for each in sys.modules if each.startswith("hpsearch_user_mine")]:
        del sys.modules[name]


def test_what_is_imported_is_the_text_and_no_bytecode_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "bytecode.py"
    file.write_text("def train(): return 'hidden'\n")
    py_compile.compile(str(file), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    file.write_text("def train(): return 'read'\n")
    assert find_code("./bytecode.py:train", tmp_path, kind="family").found() == "read"


def test_two_files_of_one_name_are_two_modules(two_files: Path) -> None:
    one, two = (find_code(f"./{folder}/mine.py:Mine", two_files, kind="family").found for folder in ("one", "two"))
    assert (one.place, two.place) == ("one", "two")
    assert one.__module__ != two.__module__
    for each in (one, two):
        assert pickle.loads(pickle.dumps(each)) is each  # noqa: S301 -- our own


def test_a_file_that_is_read_again_keeps_its_name(two_files: Path) -> None:
    names = {find_code("./one/mine.py:Mine", two_files, kind="family").found.__module__ for _ in range(2)}
    assert names == {"hpsearch_user_mine"}


def test_a_file_that_changes_the_working_directory_changes_it_for_nobody_else(two_files: Path) -> None:
    (two_files / "one" / "mine.py").write_text("import os\nos.chdir('/')\nclass Mine: ...\n", encoding="utf-8")
    here = Path.cwd()
    find_code("./one/mine.py:Mine", two_files, kind="family")
    assert Path.cwd() == here


def test_a_program_that_ends_while_it_is_imported_says_what_to_do(two_files: Path) -> None:
    (two_files / "mine_program.py").write_text("import argparse\nargparse.ArgumentParser().parse_args(['--x'])\n")
    with pytest.raises(HpsearchError, match=r"is a program: .* `hpsearch init mine_program.py` .* `if __name__ =="):
        find_code("./mine_program.py:train", two_files, kind="function")
