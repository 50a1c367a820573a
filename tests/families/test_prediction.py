"""From inputs to a prediction and its files: what every family's predictor is given, and what it need not do itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from pydantic import Field

from hpsearch.errors import DataError, HpsearchError, UnknownNameError
from hpsearch.families.prediction import Computing, Prediction, Predictor, Watcher, files_of
from hpsearch.settings import Settings

CPU = torch.device("cpu")


class Told(Watcher):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int | None, str]] = []

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self.heard.append((done, total, unit))


class Memory:
    """A computation for which the memory suffices up to so many items."""

    def __init__(self, enough_for: int) -> None:
        self.enough_for = enough_for
        self.asked: list[int] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.asked.append(len(batch))
        if len(batch) > self.enough_for:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [2 * each for each in batch]


def test_where_the_memory_does_not_suffice_batches_are_halved_and_nothing_is_lost() -> None:
    memory, told = Memory(enough_for=3), Told()
    found = list(Computing(CPU, 8, told).over(iter(range(19)), memory, unit="frames", total=19))
    assert [each for batch in found for each in batch] == [2 * each for each in range(19)]
    assert memory.asked == [8, 4, *[2] * 9, 1]  # no size that was too large is tried again
    assert told.heard[0] == (2, 19, "frames")
    assert told.heard[-1] == (19, 19, "frames")


def test_items_are_fetched_when_they_are_needed() -> None:
    fetched: list[int] = []

    def items():
        for number in range(100):
            fetched.append(number)
            yield number

    next(iter(Computing(CPU, 4).over(items(), Memory(9))))
    assert fetched == [0, 1, 2, 3]


def broken(batch: Sequence[int]) -> int:
    raise RuntimeError(f"shapes do not fit {len(batch)}")


def test_memory_for_not_even_one_is_told_and_other_errors_go_on() -> None:
    with pytest.raises(HpsearchError, match="does not suffice for a single input"):
        list(Computing(CPU, 8).over(range(3), Memory(0)))
    with pytest.raises(RuntimeError, match=r"^shapes"):
        list(Computing(CPU, 8).over(range(3), broken))


@dataclass(frozen=True)
class Lengths(Prediction):
    endings: ClassVar = {".txt": "a length on each line", ".long.txt": "the same in words"}
    lengths: tuple[int, ...]

    def summary(self) -> str:
        return str(self.lengths)

    def save(self, path: Path, ending: str) -> None:
        path.write_text(f"{ending} {self.lengths}")
        if not self.lengths:
            raise OSError(28, "No space left on device")


class Rules(Settings):
    least: int = Field(default=0, ge=0)
    """In letters."""


class Measuring(Predictor[str, Rules, Lengths]):
    takes = "words"
    Options, Result = Rules, Lengths

    def read(self, inputs, options):
        return inputs

    def predict(self, items, options, computing):
        return Lengths(tuple(max(len(each), options.least) for each in items))


def test_the_longest_known_ending_decides_and_others_are_refused(tmp_path: Path) -> None:
    assert Lengths((1,)).write(tmp_path / "new" / "a.LONG.txt").read_text() == ".LONG.txt (1,)"
    assert Lengths((1,)).write(tmp_path / "b.txt").read_text() == ".txt (1,)"
    with pytest.raises(HpsearchError, match=r"c\.png: the ending.*\.txt \(a length on each line\); \.long\.txt"):
        Lengths.ending_of(Path("c.png"))
    with pytest.raises(HpsearchError, match="the ending"):
        Lengths.ending_of(Path(".txt"))


def test_a_file_that_cannot_be_completed_leaves_the_old_one(tmp_path: Path) -> None:
    Lengths((1,)).write(tmp_path / "a.txt")
    with pytest.raises(HpsearchError, match=r"a\.txt cannot be written: No space left"):
        Lengths(()).write(tmp_path / "a.txt")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", ".txt (1,)")]


def test_options_are_checked_by_name_and_value() -> None:
    measuring = Measuring(None, {}, torch.nn.Identity())
    assert measuring.given({"least": 3}) == Rules(least=3)
    with pytest.raises(UnknownNameError, match="unknown option 'last', did you mean 'least'"):
        measuring.given({"last": 3})
    with pytest.raises(HpsearchError, match="least: Input should be greater than or equal to 0, not -1"):
        measuring.given({"least": -1})


def test_files_come_from_folders_in_order_and_wrong_ones_are_named(tmp_path: Path) -> None:
    for name in ("b.png", "sub/a.PNG", "notes.txt", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    kinds = frozenset({".png"})
    assert files_of([tmp_path, str(tmp_path / "b.png")], kinds, what="image") == [
        *(tmp_path / "b.png", tmp_path / "sub" / "a.PNG", tmp_path / "b.png")
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"there is no image in the folder .*empty; known are png"):
        files_of([tmp_path / "empty"], kinds, what="image")
    with pytest.raises(DataError, match=r"there is no image .*gone\.png"):
        files_of([tmp_path / "gone.png"], kinds, what="image")
    with pytest.raises(DataError, match=r"notes.txt: the ending '.txt' is that of no image; known are png"):
        files_of([tmp_path / "notes.txt"], kinds, what="image")
