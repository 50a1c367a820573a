"""From the data settings to one encoded part of the texts."""

from collections.abc import Sequence

import numpy as np

from hpsearch.data.folds import stratified_parts
from hpsearch.data.labelled_text import CORPORA, LabelledTexts
from hpsearch.data.words import WordVocabulary, split_words
from hpsearch.families.text_classifier.dataset import NO_LABEL, TextData
from hpsearch.families.text_classifier.settings import DataSettings
from hpsearch.training.task import Split


def load_split(settings: DataSettings, split: Split, seed: int) -> TextData:
    """Return one part, encoded by the vocabulary of the training part. Errors: DataError."""
    train, wanted = read_parts(settings, split, seed)
    words = settings.tokenizer
    vocabulary = WordVocabulary.of(
        (split_words(text, lowercase=words.lowercase) for text in train.texts),
        size=words.size,
        minimum_count=words.minimum_count,
    )
    classes = class_names(train.labels)
    numbers = {name: number for number, name in enumerate(classes)}
    return TextData(
        texts=wanted.texts,
        tokens=[
            vocabulary.encode(split_words(text, lowercase=words.lowercase)[: settings.max_length])
            for text in wanted.texts
        ],
        labels=np.array([[NO_LABEL if name is None else numbers[name]] for name in wanted.labels], dtype=np.int64),
        classes={"label": classes},
        vocabulary=vocabulary.size,
    )


def read_parts(settings: DataSettings, split: Split, seed: int) -> tuple[LabelledTexts, LabelledTexts]:
    """Return the training part and the part `split`."""
    corpus = CORPORA[settings.corpus]()
    parts = stratified_parts(
        [str(label) for label in corpus.labels],
        val_fraction=settings.val_fraction,
        test_fraction=settings.test_fraction,
        seed=seed,
        folds=settings.folds,
    )
    return corpus.part(parts["train"]), corpus.part(parts[split])


def class_names(labels: Sequence[str | None]) -> tuple[str, ...]:
    """Return the classes in the order of their numbers, or of the alphabet where one is no number."""
    names = {label for label in labels if label is not None}
    whole = all(name.removeprefix("-").isdecimal() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if whole else (0, name)))
