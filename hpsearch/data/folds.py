"""Dividing labelled examples into training, validation and test parts with equal proportions of the classes."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hpsearch.errors import DataError
from hpsearch.settings import Settings

Indices = NDArray[np.int64]
Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


_FILLERS = frozenset({"set", "split", "data", "images", "image", "imgs", "img", "photos"})
"""Words that may accompany a split's name: training_set, val-images."""
PART_NAMES: Mapping[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What splits are called."""


def part_called(name: str) -> Part | None:
    """Return the split that something is called after, such as Train, valid, training_set or test2017; else None."""
    words = [word for word in re.split(r"[^a-z]+", name.casefold()) if word and word not in _FILLERS]
    return PART_NAMES.get(words[0].removesuffix("set")) if len(words) == 1 else None


class Folds(Settings):
    """Stratified k-fold cross-validation: fold `index` is the test part, the other folds are what is learned from."""

    count: int = Field(default=5, ge=2)
    index: int = Field(default=0, ge=0)
    """Which fold is the test part, from 0 to count - 1."""
    seed: int = Field(default=42, ge=0, lt=2**32)
    """Decides the folds, whatever the seed of the experiment: two experiments can be compared fold by fold."""

    @model_validator(mode="after")
    def _index_is_a_fold(self) -> "Folds":
        if self.index >= self.count:
            raise ValueError(f"index {self.index} is not a fold: {self.count} folds are numbered 0 to {self.count - 1}")
        return self


def classes_in(labels: Iterable[str | None], order: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the classes in this order, or in that of their numbers, or of the alphabet where one is not a number."""
    names = {label for label in labels if label is not None}
    if order:
        return tuple(name for name in order if name in names)
    whole = all(name.removeprefix("-").isdecimal() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if whole else (0, name)))


ReadT = TypeVar("ReadT")


def opened_splits(files: Mapping[Part, str], inside: Callable[[Path], Mapping[Part, ReadT]]) -> dict[Part, ReadT]:
    """Return what reads each of the splits that `files` name; `inside` tells which splits a file or folder holds.

    A place that is named for `train` may hold the other splits too; what is not divided is `train`.
    """
    found: dict[Part, ReadT] = {}
    for part in PARTS:
        if part in files:
            held = inside(Path(files[part]).expanduser())
            if part == "train":
                found |= held
            else:
                found[part] = held[part] if part in held else held["train"]
    return found


Named = Mapping[Part, str | None]
"""What settings name for each split."""


def named_splits(newer: Named, older: Named) -> dict[Part, str]:
    """Return the file or folder of each split that has one, by its setting or by that setting's older name."""
    named = {part: newer.get(part) or older.get(part) for part in PARTS}
    return {part: path for part, path in named.items() if path}


def check_splits(newer: Named, older: Named, *, val_fraction: float, source: str | None = None) -> None:
    """Check the files of the splits against each other; `older` are those that were given by older names.

    `source` is code in place of them.

    Raises:
        ValueError: They do not go together.
    """
    for part, name in zip(PARTS, ("path", "val_path", "test_path"), strict=True):
        if newer.get(part) and older.get(part):
            raise ValueError(f"{name} and {part} are two names of the same setting; leave one of them out")
    files = named_splits(newer, older)
    if source is not None and (files or not source.partition(":")[2]):
        wanted = "give files or a source" if files else "write ./mydata.py:load"
        raise ValueError(f"source is a function in a file of Python that stands for the files: {wanted}")
    if files and "train" not in files:
        raise ValueError(f"{' and '.join(files)} need a train")
    pairs: tuple[tuple[Part, Part], ...] = (("train", "val"), ("train", "test"), ("val", "test"))
    for first, second in pairs:
        if files.get(first, "") == files.get(second) and (newer.get(first) or newer.get(second)):
            raise ValueError(f"{first} and {second} name the same file: {files[first]}")
    if not val_fraction and "val" not in files:
        raise ValueError("val_fraction is 0 and there is no val: validation is what configurations are chosen by")


def stratified_parts(
    labels: Sequence[int] | Sequence[str] | NDArray[np.int64],
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    folds: Folds | None = None,
) -> dict[str, Indices]:
    """Return the sorted indices of the parts `train`, `val` and `test` of examples with these labels.

    With `folds` the test part is the fold that scikit-learn's StratifiedKFold gives, shuffled with `folds.seed`, and
    `test_fraction` does not matter; else it is that fraction of all examples, drawn with `seed`. The validation part is
    `val_fraction` of all, drawn with `seed` from what is left. The parts share no example and cover all of them. A
    fraction of 0 is for a part that is taken from elsewhere.

    Raises:
        DataError: there are too few examples, or none of some class to train on.
    """
    kinds, classes = np.unique(np.asarray(labels), return_inverse=True)
    everything = np.arange(len(classes))
    if folds is None:
        test = _draw(classes, everything, round(test_fraction * len(classes)), seed=seed)
    else:
        test = _fold(classes, folds)
    rest = np.setdiff1d(everything, test)
    val = _draw(classes, rest, round(val_fraction * len(classes)), seed=seed + 1)
    parts = {"train": np.setdiff1d(rest, val), "val": val, "test": test}
    elsewhere = {"val"} if not val_fraction else set()
    elsewhere |= {"test"} if not test_fraction and folds is None else set()
    _check({name: part for name, part in parts.items() if name not in elsewhere}, kinds, classes)
    return parts


def _draw(classes: Indices, among: Indices, size: int, *, seed: int) -> Indices:
    """Return `size` of the indices, from each class its proportion up to one example.

    Every so-many-th one is taken of the shuffled examples in the order of their classes: systematic sampling.
    """
    size = min(size, len(among))
    shuffled = np.random.default_rng(seed).permutation(among)
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    places = ((np.arange(size) + 0.5) * len(among) / max(1, size)).astype(np.int64)
    return np.sort(by_class[places])


def _fold(classes: Indices, folds: Folds) -> Indices:
    from sklearn.model_selection import StratifiedKFold

    smallest = np.bincount(classes).min() if len(classes) else 0
    if smallest < folds.count:
        raise DataError(f"{folds.count} folds need {folds.count} examples of each class; the smallest has {smallest}")
    splitter = StratifiedKFold(folds.count, shuffle=True, random_state=folds.seed)
    tests = [test for _, test in splitter.split(np.zeros(len(classes)), classes)]
    return np.asarray(tests[folds.index], dtype=np.int64)


def _check(parts: Mapping[str, Indices], kinds: NDArray[np.generic], classes: Indices) -> None:
    for part, indices in parts.items():
        if not len(indices):
            raise DataError(
                f"of {len(classes)} examples none are left for the {part} part; take more examples or other fractions"
            )
    missing = np.setdiff1d(np.arange(len(kinds)), classes[parts["train"]])
    if len(missing):
        raise DataError(f"no example of the class {kinds[missing[0]]} is left for training; it needs more examples")
