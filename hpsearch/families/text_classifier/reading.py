"""From the data settings to the texts of one part, as they are written. Free of torch."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hpsearch.data.folds import PARTS, Part, stratified_parts
from hpsearch.data.labelled_text import CORPORA, LabelledTexts, without_repeats
from hpsearch.data.own_data import own_splits
from hpsearch.data.text import GuessedEncoding, read_text
from hpsearch.data.text_files import Column, Writing, read_labelled
from hpsearch.data.text_splits import ReadTexts, files_in, own_texts, text_splits
from hpsearch.errors import DataError, NoSplitError, UnknownNameError
from hpsearch.families.text_classifier.settings import DataSettings


def writing_of(settings: DataSettings, *, auxiliary: Column | None = None) -> Writing:
    """Return how the files of the main task are written.

    Raises:
        DataError: the names of the classes cannot be read.
    """
    return Writing(
        text_column=settings.text_column,
        label_column=settings.label_column,
        auxiliary_column=auxiliary,
        format=settings.format,
        quoting=settings.quoting,
        header=settings.header,
        encoding=settings.encoding,
        class_names=named_classes(settings),
        first_label=settings.first_label,
        coarse=settings.coarse_labels,
    )


def named_classes(settings: DataSettings) -> tuple[str, ...]:
    """Return the names that numeric labels have, in the order of the numbers; none where labels are names.

    Raises:
        DataError: their file cannot be read, or a name occurs twice.
    """
    names = settings.class_names or ()
    if settings.class_names_file:
        lines = read_text(settings.class_names_file, encoding=settings.encoding).splitlines()
        names = tuple(line.strip() for line in lines if line.strip())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two classes have the name '{twice[0]}'")
    return names


def given_splits(settings: DataSettings) -> dict[Part, ReadTexts]:
    """Return what reads each of the splits that files or folders hold; the others are drawn from `train`.

    Raises:
        DataError: a folder does not hold what it should.
    """
    if settings.source is not None:
        return own_splits(settings.source, own_texts, test=bool(settings.test_fraction))
    if not settings.files:
        corpus = CORPORA[settings.corpus]
        return {"train": lambda: corpus(settings.classes) if settings.classes else corpus()}
    second = settings.auxiliary
    column = second.label_column if second is not None and second.path is None else None
    return text_splits(settings.files, writing_of(settings, auxiliary=column))


def has_test(settings: DataSettings) -> bool:
    """Check whether there is a test split; a folder that cannot be read is taken to have none."""
    if settings.test_fraction or settings.folds:
        return True
    try:
        return "test" in given_splits(settings)
    except DataError:
        return False


def read_part(settings: DataSettings, split: Part, seed: int) -> LabelledTexts:
    """Return the texts of one part, those of the second task behind the others; other parts' own files stay closed."""
    given, second = given_splits(settings), settings.auxiliary
    if split != "train" and split in given:
        if settings.folds and split == "test":
            raise DataError("with folds the test part is a fold of all texts, but these data have their own test part")
        part = _of_classes(given[split](), settings.classes, whole=False)
    else:
        whole = _of_classes(given["train"](), settings.classes, whole=bool(settings.files or settings.source))
        part = _drawn(settings, whole, split, seed, given)
    if second is None or second.path is None:
        return part
    writing = Writing(
        text_column=settings.text_column,
        label_column=second.label_column,
        quoting=settings.quoting,
        encoding=settings.encoding,
    )
    other = _drawn(settings, read_labelled(second.path, writing), split, seed)
    return LabelledTexts(
        part.texts + other.texts,
        part.labels + (None,) * len(other),
        (None,) * len(part) + other.labels,
    )


def _of_classes(texts: LabelledTexts, classes: Sequence[str] | None, *, whole: bool) -> LabelledTexts:
    """Return the examples of these classes, and those without a label; a part may lack one, the `whole` must not."""
    if classes is None:
        return texts
    found = {label for label in texts.labels if label is not None}
    for name in classes:
        if whole and name not in found:
            raise UnknownNameError("class in data.classes", name, found)
    return texts.part(index for index, label in enumerate(texts.labels) if label is None or label in classes)


def _drawn(
    settings: DataSettings, texts: LabelledTexts, split: Part, seed: int, given: Mapping[Part, object] | None = None
) -> LabelledTexts:
    """Return a part of texts that are divided; parts that are `given` take nothing of them."""
    given = given or {}
    if split == "test" and not has_test(settings):
        raise NoSplitError("there is no test split: data.test_fraction is 0")
    if settings.leaked == "drop":
        texts = without_repeats(texts)
    if "val" in given and "test" in given:
        return texts
    val, test = settings.val_fraction, settings.test_fraction
    parts = stratified_parts(
        [label or "" for label in texts.labels],
        val_fraction=0.0 if "val" in given else val,
        # which texts are drawn for validation depends on it, also where the test is given: it has always been so
        test_fraction=0.0 if "test" in given and not round(test * len(texts)) else test,
        seed=seed,
        folds=settings.folds,
    )
    indices = parts[split]
    if split == "train" and "test" in given:
        indices = np.union1d(indices, parts["test"])
    return texts.part(indices)


def encoding_notes(settings: DataSettings) -> tuple[str, ...]:
    """Return in which encodings files are read that are not UTF-8."""
    notes: list[str] = []
    for path in (each for place in settings.files.values() for each in files_in(Path(place))):
        if path.suffix in (".arrow", ".parquet"):
            continue
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", GuessedEncoding)
            with contextlib.suppress(DataError):  # told elsewhere
                read_text(path, encoding="auto")
        notes += [f"{each.message}; set data.encoding if it is another one" for each in heard]
    return tuple(notes)


def objections_to(settings: DataSettings) -> dict[str, str]:
    """Return which files hold no labelled texts, or classes that the training texts lack, by setting."""
    found: dict[str, str] = {}
    classes: set[str | None] = set()
    try:
        given = given_splits(settings)
    except DataError as error:
        setting = "data.class_names_file" if settings.class_names_file else settings.setting("train")
        setting = "data.source" if settings.source else setting
        return {setting: f"{setting}: {error}"}
    for part in (each for each in PARTS if each in given):
        read = given[part]
        setting = "data.source" if settings.source else settings.setting(part if part in settings.files else "train")
        try:
            labels = {label for label in read().labels if label in (settings.classes or (label,))}
            if part == "train":
                classes = labels
            elif alien := sorted(label for label in labels - classes if label is not None):
                known = ", ".join(sorted(filter(None, classes))[:10])
                lacking = f"the {part} part has the class '{alien[0]}', of which training has no example"
                found[setting] = f"{setting}: {lacking}; it has: {known}"
        except DataError as error:
            found[setting] = f"{setting}: {error}"
            if part == "train":
                break
    second = settings.auxiliary
    if second is not None and second.path is not None:
        setting = "data.auxiliary.path"
        writing = Writing(
            settings.text_column, second.label_column, quoting=settings.quoting, encoding=settings.encoding
        )
        try:
            read_labelled(Path(second.path), writing)
        except DataError as error:
            found[setting] = f"{setting}: {error}"
    return found
