"""The fingerprint of a source: equal for equal content, and it can say what differs."""

import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data import fingerprint as module
from hpsearch.data.fingerprint import PACKAGE, Fingerprint, Source, differences, fingerprint_of, hash_file
from hpsearch.errors import DataError

TREE = st.dictionaries(st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3})?", fullmatch=True), st.binary(max_size=6), max_size=4)


def written(folder: Path, tree: dict[str, bytes]) -> Path:
    """Write files; one whose name is also a folder's is called otherwise."""
    for name, content in tree.items():
        path = folder / (name if "/" in name else f"{name}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder.mkdir(exist_ok=True)
    return folder


def of(path: Path, **settings: object) -> Fingerprint:
    return fingerprint_of(Source("files", {"data.path": str(path)}, settings), Path)


@given(TREE, TREE)
def test_folders_have_one_fingerprint_if_and_only_if_they_hold_the_same(tmp_path_factory, first, second):
    folders = [written(tmp_path_factory.mktemp("tree") / "inside", tree) for tree in (first, second)]
    one, two = map(of, folders)
    assert (one.digest == two.digest) == (first == second)
    assert bool(differences(one, two)) == (first != second)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_a_files_name_and_place_have_no_say_but_its_content(tmp_path_factory, first, second):
    paths = [tmp_path_factory.mktemp("file") / name for name in ("a.txt", "b.csv")]
    for path, content in zip(paths, (first, second), strict=True):
        path.write_bytes(content)
    assert (of(paths[0]).digest == of(paths[1]).digest) == (first == second)


def test_the_hash_is_that_of_sha256sum(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000  # longer than a block
    (tmp_path / "a").write_bytes(content)
    assert hash_file(tmp_path / "a") == (len(content), hashlib.sha256(content).hexdigest())


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    state = path.stat()
    first = hash_file(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as a copy with its old time does
    assert hash_file(path) != first


def test_it_comes_back_from_json(tmp_path: Path) -> None:
    found = of(written(tmp_path / "a", {"x": b"1", "y/z": b"22"}), classes=["b", "a"])
    again = Fingerprint.from_json(json.loads(json.dumps(found.to_json())))
    assert again.digest == found.digest
    assert differences(found, again) == []


def test_it_says_what_differs(tmp_path: Path) -> None:
    before = of(written(tmp_path / "a", {"gone": b"1", "same": b"2", "other": b"3"}), label_column="label")
    (tmp_path / "a" / "gone.txt").unlink()
    (tmp_path / "a" / "other.txt").write_bytes(b"4")
    (tmp_path / "a" / "new.txt").write_bytes(b"5")
    settings, files = differences(before, of(tmp_path / "a", label_column="class"))
    assert settings == 'label_column was "label", and is "class"'
    assert "had 3 files, 3 bytes, sha256" in files
    assert files.endswith(": gone.txt is gone, new.txt is new, other.txt has changed")


def test_a_large_folder_is_told_by_its_subfolders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MEMBERS", 3)
    written(tmp_path / "a", {f"cat/{letter}": b"1" for letter in "abcd"} | {"dog/a": b"2"})
    before = of(tmp_path / "a")
    assert set(before.contents[0].members) == {"cat", "dog"}
    (tmp_path / "a" / "cat" / "b").write_bytes(b"2")
    assert differences(before, of(tmp_path / "a"))[0].endswith(": cat has changed")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.path: .*gone cannot be read: No such file"):
        of(tmp_path / "gone")


def test_files_of_packages_are_found_without_importing_them() -> None:
    source = Source("digits", {"digits": f"{PACKAGE}sklearn/datasets/data/digits.csv.gz"})
    assert fingerprint_of(source, Path).contents[0].bytes > 10_000


@pytest.mark.parametrize(
    ("content", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n" * 3_000_000, 3_000_000)]
)
def test_it_tells_how_long_a_table_is(tmp_path: Path, content: bytes, lines: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    before = of(path)
    assert before.contents[0].lines == lines
    path.write_bytes(content + b"\nmore")
    (told,) = differences(before, of(path))
    had = {0: "had 0 bytes", 1: "had 1 line, "}.get(lines, f"had {lines:,} lines, ")
    assert had in told
    assert re.search(r"and has [\d,]+ lines, [\d,]+ bytes, sha256", told)
