"""Labelled texts in their official splits: a file for each, or a folder that holds all of them.

A folder holds files that are called after the splits (train.tsv, dev.tsv, test.tsv), or a dataset of Hugging Face's
`datasets`. Needs no torch.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data.folds import Part, ReadT, opened_splits, part_called
from hpsearch.data.image_pixels import labels_of
from hpsearch.data.labelled_text import LabelledTexts
from hpsearch.data.local_datasets import dataset_files, dataset_splits, is_dataset, names_of, rows_of
from hpsearch.data.own_data import array_of
from hpsearch.data.text_files import Column, Writing, labelled_from, read_labelled
from hpsearch.errors import DataError

ReadTexts = Callable[[], LabelledTexts]


def text_splits(files: Mapping[Part, str], writing: Writing) -> dict[Part, ReadTexts]:
    """Return what reads each of the splits that `files`, or the folder of `train`, holds; nothing is read yet.

    Raises:
        DataError: a folder does not hold what it should.
    """
    return opened_splits(files, lambda place: _inside(place, writing))


def own_texts(found: Mapping[str, Any], origin: str) -> LabelledTexts:
    """Return the texts that a function of the user's returned.

    It returns `texts`, a list of str, and `labels`, as many: str or whole numbers, as a list or an array.

    Raises:
        DataError: it returned something else.
    """
    texts = list(array_of(found, "texts", "a list of texts", origin))
    labels = np.asarray(array_of(found, "labels", "a label for each text", origin))
    if wrong := next((text for text in texts if not isinstance(text, str)), None):
        raise DataError(f"{origin}: texts are str, not {type(wrong).__name__}")
    if not texts:
        raise DataError(f"{origin} returned no texts")
    return LabelledTexts(tuple(map(str, texts)), labels_of(labels, len(texts), f"{origin}, labels", what="texts"))


def _inside(place: Path, writing: Writing) -> dict[Part, ReadTexts]:
    """Return the splits of a file or folder; one that is not divided is `train`."""
    if is_dataset(place):
        splits = dataset_splits(place).items()
        return {part: partial(_of_dataset, read, writing, f"{place}, {part}") for part, read in splits}
    if not place.is_dir():
        return {"train": partial(read_labelled, place, writing)}
    named = [(part_called(each.stem), each) for each in files_in(place)]
    files = {part: each for part, each in named if part}
    if "train" not in files:
        held = ", ".join(sorted(each.name for each in place.iterdir())[:5]) or "nothing"
        raise DataError(
            f"{place} holds neither a file called train, such as train.tsv, nor a dataset of Hugging Face's datasets; "
            f"it has: {held}"
        )
    if len(files) < len(named):
        names = ", ".join(each.name for _, each in named)
        raise DataError(f"{place} has several files for one split ({names}); name the files: train, val and test")
    return {part: partial(read_labelled, path, writing) for part, path in files.items()}


def labelled_for_test(place: Path, writing: Writing) -> LabelledTexts:
    """Return the labelled texts of a file, or those of a folder that are for the test, to score a model on.

    Raises:
        DataError: there are none, or a folder holds splits of which none is for the test.
    """
    if not place.exists():
        raise DataError(f"there is no file of labelled texts {place.absolute()}")
    return _for_test(_inside(place, writing), place)()


def texts_of_dataset(place: Path, column: Column) -> Iterator[str]:
    """Yield the texts of a dataset of Hugging Face's `datasets`: of its test split, where it has splits.

    Raises:
        DataError: there is no such column, or it holds something else.
    """
    if not isinstance(column, str):
        raise DataError(f"{place}: columns of a dataset have names, not numbers: give text_column")
    for number, text in enumerate(rows_of(_for_test(dataset_splits(place), place)(), [column])[column], start=1):
        if not isinstance(text, str):
            raise DataError(f"{place}, row {number}: '{column}' must be text, not {type(text).__name__}")
        yield text


def _for_test(splits: Mapping[Part, Callable[[], ReadT]], place: Path) -> Callable[[], ReadT]:
    if len(splits) > 1 and "test" not in splits:
        raise DataError(f"{place} holds splits ({', '.join(splits)}), but none for the test; name one of them")
    return splits["test" if "test" in splits else "train"]


def files_in(place: Path) -> list[Path]:
    """Return the files that a file or folder stands for: those that are called after splits, or a dataset's."""
    if not place.is_dir():
        return [place]
    if is_dataset(place):
        return dataset_files(place)
    return [each for each in sorted(place.iterdir()) if each.is_file() and part_called(each.stem)]


def _of_dataset(read: Callable[[], Any], writing: Writing, origin: str) -> LabelledTexts:
    rows = read()
    columns = [writing.text_column, writing.label_column]
    if writing.auxiliary_column is not None:
        columns.append(writing.auxiliary_column)
    texts = [column for column in columns if isinstance(column, str)]
    if len(texts) < len(columns):
        raise DataError(f"{origin}: columns of a dataset have names, not numbers: {', '.join(rows.features)}")
    values = dict(rows_of(rows, texts))
    for column in texts[1:]:
        if names := names_of(rows, column):
            values[column] = [_class_name(number, names, origin) for number in values[column]]

    def examples() -> Iterator[tuple[str, Mapping[str, Any]]]:
        for number, row in enumerate(zip(*values.values(), strict=True), start=1):
            yield f"{origin}, row {number}", dict(zip(values, row, strict=True))

    return labelled_from(examples(), writing, origin)


def _class_name(number: int | None, names: tuple[str, ...], origin: str) -> str | None:
    if number is None or number < 0:
        raise DataError(f"{origin} has rows without a label, as the Hub's test splits have; name another test")
    return names[number]
