"""A part of the labelled texts as a Dataset: rows of word numbers, padded to the longest text of the batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hpsearch.data.words import PAD
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
    """What the numbers of a vocabulary of words stand for, from FIRST_WORD on."""
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
