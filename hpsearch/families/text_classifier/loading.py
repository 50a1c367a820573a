"""From the data settings to one part of the texts: a Dataset of rows of numbers, padded to the longest of the batch.

Texts become numbers by the words of the training part, or by a checkpoint's own tokenizer.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray

from hpsearch.data.folds import classes_in
from hpsearch.data.labelled_text import LabelledTexts, text_hashes, without_leakage
from hpsearch.data.words import PAD, WordVocabulary, augmented_copies, read_synonyms, split_words
from hpsearch.errors import DataError, NoSplitError
from hpsearch.families.text_classifier.reading import named_classes, read_part
from hpsearch.families.text_classifier.settings import Augmentation, CheckpointTokens, DataSettings, Words
from hpsearch.training.task import Batch, Split, Splits

NO_LABEL = -100
"""The label of an example that takes no part in a task; it enters neither loss nor scores."""


@dataclass(frozen=True)
class TextData:
    """Encoded texts with a row of labels for each: a class of every task, or NO_LABEL."""

    texts: Sequence[str]
    """The texts themselves, for the baselines."""
    tokens: Sequence[Sequence[int]]
    labels: NDArray[np.int64]
    """(examples, tasks)"""
    classes: Mapping[str, tuple[str, ...]]
    """The names of the classes of each task, the main one first."""
    vocabulary: int
    """How many numbers there are for words or tokens."""
    words: Sequence[str] = ()
    """The words of the vocabulary's numbers, from FIRST_WORD on."""
    fingerprint: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    """A number that tells vocabularies and classes apart, and behind it the training texts' (`text_hashes`)."""
    held_out: Callable[[], Mapping[Split, NDArray[np.int64]]] | None = None
    """Reads which texts are for validation and which for the test, as hashes; for the training part alone."""
    originals: int | None = None
    """How many texts are labelled for the main task and no changed copies of others; None: all of them."""

    def __len__(self) -> int:
        return len(self.tokens)

    def of_main_task(self) -> "TextData":
        """Return the examples that have a label for the main task."""
        chosen: list[int] = np.flatnonzero(self.labels[:, 0] != NO_LABEL).tolist()
        return replace(
            self,
            texts=[self.texts[index] for index in chosen],
            tokens=[self.tokens[index] for index in chosen],
            labels=self.labels[chosen],
        )

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return tokens (B, longest), the length of each row (B,), labels (B, tasks) and the examples' numbers (B,)."""
        index = torch.as_tensor(indices, dtype=torch.long)
        rows = [torch.tensor(self.tokens[number], dtype=torch.long) for number in index.tolist()]
        rows = [row if len(row) else torch.tensor([PAD]) for row in rows]
        return {
            "tokens": torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD),
            "length": torch.tensor([len(self.tokens[number]) for number in index.tolist()]),
            "labels": torch.from_numpy(self.labels[list(indices)]),
            "number": index,
        }


def text_data(splits: Splits, split: Split) -> TextData:
    """Return a split that this family has loaded."""
    data = splits[split]
    if not isinstance(data, TextData):
        raise TypeError(f"the split '{split}' holds no labelled texts: {type(data).__name__}")
    return data


_SETTING = "data.tokenizer.pretrained.path"


@dataclass(frozen=True)
class Encoded:
    """Rows of numbers, and the meaning of the numbers."""

    rows: list[list[int]]
    size: int
    """How many numbers there are."""
    names: tuple[str, ...]
    """The tokens by number; words begin at number 2."""


def encode(settings: DataSettings, texts: Sequence[str], *, train: Sequence[str]) -> Encoded:
    """Return the texts as numbers, each cut to `max_length`; words are those of the texts in `train`.

    Raises:
        DataError: The tokenizer cannot be read or used.
    """
    chosen = settings.tokenizer
    if isinstance(chosen, CheckpointTokens):
        return _by_checkpoint(chosen.path, texts, max_length=settings.max_length)
    return _by_words(chosen, texts, train, max_length=settings.max_length)


def _by_words(words: Words, texts: Sequence[str], train: Sequence[str], *, max_length: int) -> Encoded:
    vocabulary = WordVocabulary.of(
        (split_words(text, lowercase=words.lowercase) for text in train),
        size=words.size,
        minimum_count=words.minimum_count,
    )
    rows = [vocabulary.encode(split_words(text, lowercase=words.lowercase)[:max_length]) for text in texts]
    return Encoded(rows, vocabulary.size, vocabulary.words)


def encode_known(settings: DataSettings, texts: Sequence[str], words: Sequence[str]) -> list[list[int]]:
    """Return texts as numbers for a trained network; `words` are those of its vocabulary, from number 2 on.

    Raises:
        DataError: The tokenizer cannot be read or used.
    """
    chosen = settings.tokenizer
    if isinstance(chosen, CheckpointTokens):
        return _by_checkpoint(chosen.path, texts, max_length=settings.max_length).rows
    vocabulary = WordVocabulary(tuple(words))
    split = (split_words(text, lowercase=chosen.lowercase) for text in texts)
    return [vocabulary.encode(each[: settings.max_length]) for each in split]


def _by_checkpoint(path: str, texts: Sequence[str], *, max_length: int) -> Encoded:
    from hpsearch.families.text_classifier.pretrained import read_tokenizer

    tokenizer = read_tokenizer(path, setting=_SETTING)
    if max_length > tokenizer.model_max_length:
        raise DataError(f"data.max_length is {max_length}, but {path} is for {tokenizer.model_max_length} tokens")
    rows = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    numbers = tokenizer.get_vocab()
    return Encoded(rows, max(numbers.values()) + 1, tuple(sorted(numbers, key=numbers.__getitem__)))


def load_split(settings: DataSettings, split: Split, seed: int) -> TextData:
    """Return one part, encoded as `data.tokenizer` says.

    Raises:
        DataError: The data are missing or malformed.
    """
    own = read_part(settings, "train", seed)
    train = _augmented(own, settings, seed)
    part = train if split == "train" else read_part(settings, split, seed)
    if split != "train":
        learned = {*train.texts, *(read_part(settings, "val", seed).texts if split == "test" else ())}
        part = without_leakage(part, learned, name=split, drop=settings.leaked == "drop")
    encoded = encode(settings, part.texts, train=train.texts)
    classes = {"label": classes_in(train.labels, named_classes(settings))}
    columns = [encode_labels(part.labels, classes["label"], split)]
    if train.auxiliary is not None and part.auxiliary is not None:
        classes["auxiliary"] = classes_in(train.auxiliary)
        columns.append(encode_labels(part.auxiliary, classes["auxiliary"], split))
    return TextData(
        texts=part.texts,
        tokens=encoded.rows,
        labels=np.stack(columns, axis=1),
        classes=classes,
        vocabulary=encoded.size,
        words=encoded.names,
        fingerprint=np.concatenate(([_fingerprint(encoded.names, *classes.values())], text_hashes(own.texts))),
        held_out=partial(held_out_hashes, settings, seed) if split == "train" else None,
        originals=sum(label is not None for label in (own if split == "train" else part).labels),
    )


def held_out_hashes(settings: DataSettings, seed: int) -> dict[Split, NDArray[np.int64]]:
    """Return the hashes of the validation and test texts. They tell who has seen them; nothing is scored by it."""
    found: dict[Split, NDArray[np.int64]] = {"val": text_hashes(read_part(settings, "val", seed).texts)}
    with contextlib.suppress(NoSplitError):
        found["test"] = text_hashes(read_part(settings, "test", seed).texts)
    return found


def _augmented(train: LabelledTexts, settings: DataSettings, seed: int) -> LabelledTexts:
    """Return the training texts and behind them their changed copies."""
    chosen = settings.augmentation
    if chosen is None:
        return train
    synonyms = read_synonyms(chosen.wordnet) if chosen.needs_synonyms else {}
    translated = _back_translated(train.texts, chosen)
    copies = [
        copy
        for number, text in enumerate(train.texts)
        for copy in augmented_copies(
            text,
            techniques=chosen.techniques,
            probability=chosen.probability,
            copies=chosen.factor,
            synonyms=synonyms,
            seed=(seed, number),
            back_translated=translated[number],
        )
    ]
    sources = train.part(np.repeat(np.arange(len(train)), chosen.factor))
    return LabelledTexts(
        train.texts + tuple(copies),
        train.labels + sources.labels,
        None if train.auxiliary is None else train.auxiliary + (sources.auxiliary or ()),
    )


def _back_translated(texts: Sequence[str], chosen: Augmentation) -> Sequence[str]:
    """Return the texts after a journey through another language; as they are without one."""
    if chosen.back_translation is None:
        return texts
    from hpsearch.families.text_classifier.pretrained import local_back_translator

    return local_back_translator(chosen.back_translation.there, chosen.back_translation.back)(texts)


def encode_labels(labels: Sequence[str | None], classes: Sequence[str], split: Split) -> NDArray[np.int64]:
    """Return the number of each label's class, or NO_LABEL.

    Raises:
        DataError: The training part lacks a class.
    """
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(classes)}
    numbers[None] = NO_LABEL
    unknown = sorted({label for label in labels if label is not None} - set(classes))
    if unknown:
        raise DataError(f"the {split} part has the class '{unknown[0]}', of which training has no example")
    return np.array([numbers[label] for label in labels], dtype=np.int64)


def _fingerprint(*names: Sequence[str]) -> int:
    """Return a number that tells vocabularies and classes apart."""
    return int.from_bytes(sha256(repr(names).encode()).digest()[:7], "big")
