import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hpsearch.data.disk_cache import cache_folder, cache_path, cached_arrays


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HPSEARCH_CACHE", str(tmp_path))
    return tmp_path


class Maker:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"numbers": np.arange(6.0).reshape(2, 3), "flags": np.array([True, False])}


def test_what_was_made_once_is_read_the_second_time():
    make = Maker()
    first, second = (cached_arrays("kind", {"seed": 1}, make) for _ in range(2))
    assert make.calls == 1
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
        assert array.dtype == second[name].dtype


def test_another_key_or_kind_is_another_file():
    paths = {cache_path("kind", {"seed": 1}), cache_path("kind", {"seed": 2}), cache_path("other", {"seed": 1})}
    assert len(paths) == 3
    assert cache_path("kind", {"a": 1, "b": 2}) == cache_path("kind", {"b": 2, "a": 1})
    assert cache_path("kind", {}) != cache_path("kind", {}, libraries=["scipy"])


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text"])
def test_a_broken_file_is_made_again(damage):
    make = Maker()
    cached_arrays("kind", {}, make)
    path = cache_path("kind", {})
    content = bytearray(path.read_bytes())
    flipped = content.copy()
    flipped[len(content) // 3] ^= 0xFF
    path.write_bytes(
        {"truncate": content[: len(content) // 2], "flip": flipped, "empty": b"", "text": b"no archive"}[damage]
    )
    with pytest.warns(UserWarning, match="is broken and is made again"):
        again = cached_arrays("kind", {}, make)
    assert make.calls == 2
    np.testing.assert_array_equal(again["numbers"], make()["numbers"])
    cached_arrays("kind", {}, make)
    assert make.calls == 3  # the one above; the mended file was read


def test_a_cache_that_cannot_be_written_costs_a_warning(folder):
    (folder / "kind").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="could not be written"):
        arrays = cached_arrays("kind", {}, Maker())
    assert arrays["numbers"].shape == (2, 3)


def test_who_wants_the_same_data_at_the_same_time_waits_for_the_first_to_make_them(folder):
    make = Maker()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cached_arrays("kind", {}, make), range(32)))
    assert make.calls == 1
    assert all(np.array_equal(arrays["numbers"], found[0]["numbers"]) for arrays in found)
    assert [path.name for path in (folder / "kind").iterdir()] == [cache_path("kind", {}).name]


def test_nothing_is_pickled():
    with pytest.raises(ValueError, match="allow_pickle"):
        cached_arrays("kind", {}, lambda: {"objects": np.array([{}], dtype=object)})
    assert not list(cache_path("kind", {}).parent.iterdir())


READER = """
import hashlib, sys
import numpy as np
from hpsearch.data.disk_cache import cached_arrays
arrays = cached_arrays("kind", {}, lambda: sys.exit("it was made again"))
print(hashlib.sha256(arrays["numbers"].tobytes()).hexdigest())
_, _, pages = open("/proc/self/smaps").read().partition(sys.argv[1])
numbers = {name: int(size) for name, size, _ in (line.split() for line in pages.splitlines()[1:20])}
print(numbers["Rss:"] * 1024 >= arrays["numbers"].nbytes, numbers["Private_Dirty:"], numbers["Anonymous:"])
"""


def test_all_processes_map_the_same_file_and_copy_nothing():
    numbers = np.random.default_rng(0).standard_normal((500, 1000))
    mine = cached_arrays("kind", {}, lambda: {"numbers": numbers})["numbers"]
    path = str(cache_path("kind", {}))
    assert path in Path("/proc/self/maps").read_text()  # who made them, too
    command = [sys.executable, "-c", READER, path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == [hashlib.sha256(numbers.tobytes()).hexdigest(), "True", "0", "0"]
    np.testing.assert_array_equal(mine, numbers)


def test_what_a_process_changes_is_its_own():
    for _ in range(2):
        numbers = cached_arrays("kind", {}, Maker())["numbers"]
        np.testing.assert_array_equal(numbers, Maker()()["numbers"])
        numbers += 1


KINDS = {
    "a": np.arange(3, dtype=np.int8),
    "longer name": np.float32(2.5),
    "by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.zeros((0, 3), np.float16),
    "text": np.array(["ab", "c"]),
    "": np.array([1 + 2j]),
    "big-endian": np.arange(3, dtype=">i4"),
}


@pytest.mark.parametrize("write", [cached_arrays, None], ids=["this version", "earlier versions"])
def test_arrays_of_every_kind_come_back_aligned(write):
    path = cache_path("kind", {})
    if write:
        cached_arrays("kind", {}, lambda: KINDS)
        with np.load(path, allow_pickle=False) as archive:  # earlier versions can read it, too
            for name, array in KINDS.items():
                np.testing.assert_array_equal(archive[name], array)
    else:
        path.parent.mkdir(parents=True)
        np.savez(path, allow_pickle=False, **KINDS)
    found = cached_arrays("kind", {}, Maker())
    assert found.keys() == KINDS.keys()
    for name, array in KINDS.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].flags.aligned
        assert found[name].flags.f_contiguous == array.flags.f_contiguous
        assert not write or found[name].ctypes.data % 64 == 0, name


def test_where_the_cache_is(monkeypatch, folder):
    assert cache_folder() == folder
    monkeypatch.delenv("HPSEARCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/hpsearch")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/hpsearch")
