"""A part of the text as a Dataset: windows of `context` characters and, for each, the characters that follow."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpsearch.training.task import Batch, Split, Splits

IGNORED = -100
"""The target behind the end of the text; it enters no loss and no score."""

_READ_AHEAD = 2
"""Windows of text that are read for one with deletions; where even that is too little, the end of it is IGNORED."""


class TextWindows:
    """Windows that start at multiples of `context` and do not overlap; every token but the first is a target once.

    The last window may reach beyond the end; its targets there are IGNORED, and its inputs there mean nothing.
    """

    def __init__(self, tokens: NDArray[np.int64], vocabulary: int, *, context: int, characters: str = "") -> None:
        """Take tokens below `vocabulary`; `characters` are those that the tokens from 1 on stand for, where known."""
        self.characters = characters
        self.tokens = torch.from_numpy(np.ascontiguousarray(tokens))
        self.vocabulary = vocabulary
        self.context = context

    def __len__(self) -> int:
        return math.ceil((len(self.tokens) - 1) / self.context)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return the windows of these numbers; for the names and shapes see `at`."""
        return self.at(torch.as_tensor(indices, dtype=torch.long) * self.context)

    def at(self, starts: Tensor) -> Batch:
        """Return the windows that start at these tokens.

        `input` and `target` are (windows, context) tokens, `start` is (windows,), the position of the first input.
        """
        places = starts[:, None] + torch.arange(self.context + 1)
        tokens = self.tokens[places.clamp(max=len(self.tokens) - 1)]
        target = torch.where(places < len(self.tokens), tokens, IGNORED)[:, 1:]
        return {"input": tokens[:, :-1].contiguous(), "target": target.contiguous(), "start": starts}

    def moved(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the windows of a batch, each 0 to context - 1 tokens further on, but none beyond the end."""
        shift = torch.randint(0, self.context, (len(batch["start"]),), generator=generator)
        return self.at((batch["start"] + shift).clamp(max=len(self.tokens) - 1 - self.context))

    def varied(self, batch: Batch, generator: torch.Generator, *, deletion: float, insertion: float) -> Batch:
        """Return the windows of a batch with characters left out and random ones put in.

        A window of the varied text is as long as before: what deletions make room for are the characters that follow.
        """
        length = self.context + 1
        places = batch["start"][:, None] + torch.arange(_READ_AHEAD * length)
        own = self.tokens[places.clamp(max=len(self.tokens) - 1)]
        strange = torch.randint(1, self.vocabulary, own.shape, generator=generator)
        inside = places < len(self.tokens)
        kept = inside & (torch.rand(own.shape, generator=generator) >= deletion)
        added = inside & (torch.rand(own.shape, generator=generator) < insertion)
        # (windows, characters, own and strange) in the order of the text; what is to stay is sorted to the front
        tokens = torch.stack((own, strange), dim=2).flatten(1)
        stays = torch.stack((kept, added), dim=2).flatten(1)
        front = stays.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :length]
        tokens, stays = tokens.gather(1, front), stays.gather(1, front)
        target = torch.where(stays, tokens, IGNORED)[:, 1:]
        return {"input": tokens[:, :-1].contiguous(), "target": target.contiguous(), "start": batch["start"]}


def windows_of(splits: Splits, split: Split) -> TextWindows:
    """Return a split that this family has loaded."""
    windows = splits[split]
    if not isinstance(windows, TextWindows):
        raise TypeError(f"the split '{split}' is no part of a text: {type(windows).__name__}")
    return windows
