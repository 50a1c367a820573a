"""`data.source: ./mydata.py:load`: data from a function of the user's, for each family that takes them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hpsearch.data.fingerprint import fingerprint_of
from hpsearch.data.own_data import own_splits
from hpsearch.errors import ExperimentError, NoSplitError, SpaceError
from hpsearch.families.loading import load_interface
from hpsearch.places import find_place, located
from hpsearch.running.chosen import confirm
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run

CODE = """
import numpy as np
from numbers_of_mine import SEED

RNG = np.random.default_rng(SEED)
IMAGES = RNG.integers(0, 256, (60, 4, 4), dtype=np.uint8)
LABELS = (IMAGES.mean(axis=(1, 2)) > 128).astype(int)
PARTS = {"train": slice(0, 30), "val": slice(30, 45), "test": slice(45, 60)}
CALLS = []


def by_split(split):
    CALLS.append(split)
    return {"images": IMAGES[PARTS[split]], "labels": LABELS[PARTS[split]]}


def whole():
    return {"images": IMAGES, "labels": LABELS}


def in_splits():
    return {"train": by_split("train"), "test": by_split("test")}


def texts():
    return {"texts": [f"text {n % 2} of {n}" for n in range(40)], "labels": np.arange(40) % 2}


def text(split):
    return {"text": "abcdefgh" * 30}


def broken(split):
    return {"images": 1 / 0}


def nothing(split):
    return None


def unnamed():
    return {"pixels": IMAGES, "labels": LABELS}


def flat():
    return {"images": IMAGES.reshape(60, 16), "labels": LABELS}


def objects():
    return {"images": IMAGES, "labels": LABELS.astype(object)}


def unknown(split):
    return {"images": IMAGES, "labels": LABELS + (split == "test")}


def two(a, b):
    pass


NUMBER = 3
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "mydata.py").write_text(CODE)
    (tmp_path / "numbers_of_mine.py").write_text("SEED = 0\n")
    yield tmp_path
    for name in ("numbers_of_mine", "hpsearch_user_mydata"):
        sys.modules.pop(name, None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


def space_of(home: Path, family: str, data: str, *, more: str = "") -> Path:
    path = home / "space.yaml"
    metric = "{metric: val/loss, goal: minimize}"
    path.write_text(
        f"family: {family}\nobjective: {metric}\nsearch: {{trials: 1, workers: 1, pruner: none}}\ndata: {data}\n"
        f"train: {{epochs: 1, device: cpu, learning_rate: {{log: [1e-4, 1e-3]}}}}\n{more}"
    )
    return path


def splits(home: Path, family: str, data: str) -> dict[str, int]:
    """Return the number of examples in each split."""
    space = load_space(space_of(home, family, data))
    config = located(space.config(space.example), home)
    found = {}
    for part in ("train", "val", "test"):
        try:
            found[part] = len(load_interface(family, home).load(config.data, part, 0))  # type: ignore[union-attr]
        except NoSplitError:
            continue
    return found


SHAPE = "size: [4, 4], channels: 1"


@pytest.mark.parametrize(
    ("family", "data", "sizes"),
    [
        ("relative_vit", f"{{source: './mydata.py:by_split', {SHAPE}}}", (30, 15, 15)),
        ("relative_vit", f"{{source: './mydata.py:whole', {SHAPE}}}", (39, 9, 12)),
        ("relative_vit", f"{{source: './mydata.py:in_splits', {SHAPE}, val_fraction: 0.2}}", (24, 6, 15)),
        ("relative_vit", f"{{source: './mydata.py:by_split', {SHAPE}, test_fraction: 0}}", (30, 15)),
        ("text_classifier", "{source: './mydata.py:texts'}", (28, 4, 8)),
        ("char_lm", "{source: './mydata.py:text', context: 16}", (15, 15, 15)),
    ],
)
def test_a_function_gives_splits_or_what_is_divided(home: Path, family: str, data: str, sizes: tuple) -> None:
    assert tuple(splits(home, family, data).values()) == sizes


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", r'mydata.py:broken\("train"\) failed in line 34: ZeroDivisionError: division by zero'),
        ("nothing", r'mydata.py:nothing\("train"\) returned None; a dictionary of arrays was expected'),
        ("unnamed", r"mydata.py:unnamed\(\) returned no 'images' \(\(N, H, W\), .*\); it returned: pixels, labels"),
        ("flat", r"mydata.py:flat\(\), images: images are \(N, H, W\), .*not 60x16"),
        ("objects", r"mydata.py:objects\(\), labels: labels are whole numbers or names, not of the type object"),
        ("unknown", r"the test part has the class '2', of which training has no image"),
        ("two", r"mydata.py:two needs a, b; it is called with a split"),
        ("whol", r"mydata.py has no function whol, did you mean 'whole'"),
        ("NUMBER", r"mydata.py has no function NUMBER"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_trial(home: Path, name: str, words: str) -> None:
    path = space_of(home, "relative_vit", f"{{source: './mydata.py:{name}', {SHAPE}}}")
    with pytest.raises(SpaceError, match=rf"space.yaml:4:\d+: data.source: .*{words}"):
        load_space(path)


@pytest.mark.parametrize(
    ("family", "data", "words"),
    [
        ("relative_vit", f"{{source: './other.py:load', {SHAPE}}}", r"data.source: there is no file .*other.py"),
        ("relative_vit", "{source: './mydata.py:whole'}", "source needs size and channels beside it"),
        ("char_lm", "{source: './mydata.py:whole'}", r"mydata.py:whole\(\) returned no 'text' \(a str\)"),
        ("char_lm", "{source: mydata}", "a function in a file of Python .*write ./mydata.py:load"),
        ("text_classifier", "{source: './mydata.py:texts', train: mydata.py}", "give files or a source"),
    ],
)
def test_other_mistakes(home: Path, family: str, data: str, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        load_space(space_of(home, family, data))


def test_other_arrays_of_the_same_code_are_other_data(home: Path) -> None:
    """The code's file stays as it is: the arrays tell, of which those for the test are not asked for."""
    space = load_space(space_of(home, "relative_vit", f"{{source: './mydata.py:by_split', {SHAPE}}}"))

    def digest() -> str:
        source = space.interface.source(space.config(space.example).data)  # type: ignore[union-attr]
        return fingerprint_of(source, lambda path: find_place(path, home)).digest

    before = digest()
    assert digest() == before
    (home / "numbers_of_mine.py").write_text("SEED = 111\n")  # of another length: Python compiles it anew at once
    sys.modules.pop("numbers_of_mine")
    (home / "mydata.py").touch()  # what a new process would see
    assert digest() != before


def test_the_test_split_is_not_asked_for_when_others_are_read(home: Path) -> None:
    found = own_splits(f"{home}/mydata.py:by_split", lambda given, _: np.asarray(given["labels"]), test=True)
    assert len(found["train"]()) == 30
    assert sys.modules["hpsearch_user_mydata"].CALLS == ["train"]


def test_a_search_is_refused_on_other_arrays(home: Path) -> None:
    more = "model: {width: 8, layers: 1, heads: 1}\nconfirm: {seeds: 1}\n"
    path = space_of(home, "relative_vit", f"{{source: './mydata.py:by_split', {SHAPE}}}", more=more)
    here = RunOptions(in_process=True)
    result = run(load_space(path), folder=home / "e", options=here)
    assert "test/accuracy" in result.record.replicates[0].scores
    (home / "numbers_of_mine.py").write_text("SEED = 111\n")  # of another length: Python compiles it anew at once
    sys.modules.pop("numbers_of_mine")
    (home / "mydata.py").touch()
    with pytest.raises(ExperimentError, match=r"the data have changed since .*data.source \(./mydata.py\)"):
        confirm(home / "e", seeds=2, options=here)
