"""Folders of images: a subfolder for each class, with its images anywhere below it; or first one for each split.

photos/cat/1.png                                  classes
photos/train/cat/1.png, photos/test/cat/2.png     splits, and in them classes
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.folds import PART_NAMES, Part, part_called
from hpsearch.errors import DataError

Layout = Literal["auto", "classes", "splits"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_LIKE_SPLITS = PART_NAMES.keys() | {"eval", "evaluation", "holdout", "trainval", "fold", "part"}
"""Words in the names of subfolders that may be divisions of the data."""
_SAY = "say with layout, next to the path, which it is: splits, or classes"


@dataclass(frozen=True)
class ImageFiles:
    """Image files in a fixed order, each with the number of its class, and its split where the folder has splits."""

    classes: tuple[str, ...]
    files: Sequence[Path]
    labels: NDArray[np.int64]
    parts: Sequence[Part] | None = None

    def of(self, part: Part) -> NDArray[np.int64]:
        """Return the indices of the images in the subfolder of a split; none where there is no such one."""
        return np.array([number for number, own in enumerate(self.parts or ()) if own == part], dtype=np.int64)


def find_images(folder: Path, layout: Layout = "auto") -> ImageFiles:
    """Return the images of a folder.

    Raises:
        DataError: the folder is not as it should be.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder of images {folder.absolute()}")
    subfolders = _subfolders(folder)
    splits = _splits(folder, subfolders, layout)
    if not splits:
        classes, files, labels = _in_classes(folder)
        if layout == "auto":
            _refuse_splits_below(folder, subfolders)
            _refuse_other_splits(folder, subfolders)
        return ImageFiles(classes, files, np.array(labels, dtype=np.int64))
    found = {part: _in_classes(place, fewest=1) for part, place in splits.items()}
    classes = found["train"][0]
    if len(classes) < 2:
        raise DataError(f"{splits['train'].absolute()} has 1 subfolder; two classes or more are needed")
    for part, (own, _, _) in found.items():
        if alien := sorted(set(own) - set(classes)):
            raise DataError(
                f"{splits[part].absolute()} has the class '{alien[0]}', of which {splits['train'].name} has no image; "
                f"it has: {', '.join(classes)}"
            )
    files = [file for _, own, _ in found.values() for file in own]
    labels = [classes.index(own[label]) for own, _, numbers in found.values() for label in numbers]
    parts = [part for part, (_, own, _) in found.items() for _ in own]
    return ImageFiles(classes, files, np.array(labels, dtype=np.int64), parts)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _splits(folder: Path, subfolders: Sequence[Path], layout: Layout) -> dict[Part, Path]:
    """Return the subfolders of the splits, or none where the subfolders are classes."""
    if layout == "classes":
        return {}
    named = [(part, each) for each in subfolders if (part := part_called(each.name))]
    splits = dict(named)
    others = [each for each in subfolders if not part_called(each.name)]
    if layout == "auto" and (not splits or _is_a_class(splits, others)):
        return {}
    if layout == "auto" and others:
        names = ", ".join(each.name for _, each in named)
        raise DataError(
            f"the subfolders of {folder.absolute()} are called like splits ({names}) and like classes "
            f"({', '.join(each.name for each in others[:3])}); {_SAY}. Subfolders next to splits are not read"
        )
    if "train" not in splits:
        raise DataError(f"{folder.absolute()} has no subfolder train, so that there is nothing to learn from")
    if len(splits) < len(named):
        twice = " and ".join(each.name for part, each in named if [other for other, _ in named].count(part) > 1)
        raise DataError(f"{folder.absolute()} has {twice}, which are the same split; leave one of them")
    flat = [each.name for each in splits.values() if not _subfolders(each)]
    if layout == "auto" and len(flat) == len(splits):
        raise DataError(
            f"{folder.absolute()} has subfolders called like splits ({', '.join(flat)}) with images, but without "
            f"subfolders for classes; {_SAY}"
        )
    return splits


def _is_a_class(splits: Mapping[Part, Path], others: Sequence[Path]) -> bool:
    """Check whether a folder called train is one class among others, as trains are among vehicles."""
    alone = splits.keys() == {"train"} and bool(others)
    return alone and (not _subfolders(splits["train"]) or any(map(_subfolders, others)))


def _refuse_splits_below(folder: Path, classes: Sequence[Path]) -> None:
    """Refuse to mix the splits of classes that are divided themselves: photos/cat/train, photos/cat/test."""
    for each in classes:
        inside = {part: below.name for below in _subfolders(each) if (part := part_called(below.name))}
        if len(inside) > 1:
            raise DataError(
                f"{each.absolute()} has subfolders called like splits ({', '.join(inside.values())}), which would be "
                f"mixed; move the splits above the classes ({folder.name}/train/{each.name}), or say with layout: "
                "classes, next to the path, that they are to be divided by hpsearch"
            )


def _refuse_other_splits(folder: Path, subfolders: Sequence[Path]) -> None:
    """Refuse to take for classes what has the same subfolders and such names: photos/train/cat, photos/holdout/cat."""
    inside = [{below.name for below in _subfolders(each)} for each in subfolders]
    like = [each.name for each in subfolders if _LIKE_SPLITS & set(re.split(r"[^a-z]+", each.name.casefold()))]
    if like and len(subfolders) > 1 and len(set.intersection(*inside)) > 1:
        names = ", ".join(each.name for each in subfolders[:5])
        raise DataError(
            f"the subfolders of {folder.absolute()} ({names}) have the same subfolders, as splits have; call them "
            "train, val and test if they are splits, or say with layout: classes, next to the path, that they are not"
        )


def _in_classes(folder: Path, *, fewest: int = 2) -> tuple[tuple[str, ...], list[Path], list[int]]:
    """Return the classes of a folder, its image files in a fixed order, and the number of each one's class."""
    subfolders = _subfolders(folder)
    if len(subfolders) < fewest:
        raise DataError(
            f"{folder.absolute()} has {len(subfolders)} subfolders; a folder of images needs one for each of two or "
            "more classes"
        )
    files: list[Path] = []
    labels: list[int] = []
    for number, subfolder in enumerate(subfolders):
        own = sorted(path for path in subfolder.rglob("[!.]*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not own:
            kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
            raise DataError(f"there is no image in {subfolder.absolute()}; known are {kinds}")
        files += own
        labels += [number] * len(own)
    return tuple(each.name for each in subfolders), files, labels
