"""Training and scoring a character language model: windows of the text, and the next character's cross-entropy."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.text import UNKNOWN
from hpsearch.families.char_lm.network import CharTransformer
from hpsearch.families.char_lm.settings import CharLMConfig
from hpsearch.training.by_example import ByExample
from hpsearch.training.task import Batch, Dataset, Forward, Split, Splits, Task

IGNORED = -100
"""The target behind the end of the text; it enters no loss and no score."""

_READ_AHEAD = 2
"""Windows of text that are read for one with deletions; where even that is too little, the end of it is IGNORED."""


_PIECE = 50
"""Characters that two texts hardly have in common by chance."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def _hashes(tokens: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a hash of the piece that begins at each token; none of a text that is shorter than a piece."""
    starts = max(len(tokens) - _PIECE + 1, 0)
    found = np.zeros(starts, dtype=np.uint64)
    for place in range(_PIECE):
        found = found * _FACTOR + tokens[place : place + starts].astype(np.uint64)
    return found


class TextWindows:
    """Windows that start at multiples of `context` and do not overlap; every token but the first is a target once.

    The last window may reach beyond the end; its targets there are IGNORED, and its inputs there mean nothing.
    """

    def __init__(self, tokens: NDArray[np.int64], vocabulary: int, *, context: int, characters: str = "") -> None:
        """Take tokens below `vocabulary`; `characters` are those of the tokens from 1 on, if known."""
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

    def shared_with(self, train: Dataset) -> str | None:
        """Return how many pieces of 50 characters are somewhere in the text of `train`; None if none is.

        Both texts must be coded alike. Pieces are told by 64-bit hashes.
        """
        if not isinstance(train, TextWindows):
            return None
        pieces = _hashes(self.tokens.numpy())[::_PIECE]
        count = int(np.isin(pieces, _hashes(train.tokens.numpy())).sum())
        if not count:
            return None
        return (
            f"{count:,} of the text's {len(pieces):,} pieces of {_PIECE} characters are in the text that the model was "
            "trained on, so that its scores are too good where they are more than common phrases; leave them out"
        )

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
        raise TypeError(f"the split '{split}' is not a part of a text: {type(windows).__name__}")
    return windows


class CharLMTask(Task):
    """Next-character prediction; every mean is over characters, whatever batch they are in.

    A character that the training part does not have is charged as the one symbol `unknown`, which never occurs in
    training: `unknown_fraction` says how many there are, and bits per character do not pay for which one it was.
    """

    def __init__(self, config: CharLMConfig, train: TextWindows) -> None:
        self._model = config.model
        self._train = train
        self._random_offset = config.data.offset == "random"
        self._augmentation = config.augmentation

    def build_model(self) -> nn.Module:
        """Return the network for the training part's vocabulary."""
        return CharTransformer(self._model, vocabulary=self._train.vocabulary, context=self._train.context)

    def augment(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the batch, its windows moved forward and their text varied if the settings ask for it."""
        settings = self._augmentation
        if self._random_offset:
            batch = self._train.moved(batch, generator)
        if settings.deletion or settings.insertion:
            batch = self._train.varied(batch, generator, deletion=settings.deletion, insertion=settings.insertion)
        return batch

    def begin_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """Set the dropout of an epoch, where it is scheduled."""
        first, last = self._model.dropout_start, self._model.dropout
        if first is not None and isinstance(model, CharTransformer):
            model.set_dropout(first + (last - first) * epoch / max(1, epochs - 1))

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the mean cross-entropy of the next character in nats."""
        del scalars  # no number of the configuration enters this loss
        logits = forward(batch["input"])
        return {"loss": functional.cross_entropy(logits.flatten(0, 1), batch["target"].flatten(), ignore_index=IGNORED)}

    def count(self, batch: Batch) -> int:
        """Return the number of characters that are predicted."""
        return int((batch["target"] != IGNORED).sum())

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the loss in nats, bits per character, perplexity, accuracy and the fraction of unknown characters."""
        nats, right, unknown, characters = 0.0, 0, 0, 0
        for batch in batches:
            logits, target = forward(batch["input"]).flatten(0, 1).float(), batch["target"].flatten()
            losses = functional.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none")  # 0 where ignored
            nats += losses.sum(dtype=torch.float64).item()
            right += int((logits.argmax(dim=-1) == target).sum())
            unknown += int((target == UNKNOWN).sum())
            characters += int((target != IGNORED).sum())
        return {
            **loss_scores(nats / characters),
            "accuracy": right / characters,
            "unknown_fraction": unknown / characters,
        }

    def by_example(self, forward: Forward, batches: Iterable[Batch]) -> ByExample:
        """Return the scores by window; every mean is over characters."""
        counts = []
        for batch in batches:
            logits, target = forward(batch["input"]).float(), batch["target"]
            losses = functional.cross_entropy(logits.transpose(1, 2), target, ignore_index=IGNORED, reduction="none")
            right, unknown, known = logits.argmax(dim=-1) == target, target == UNKNOWN, target != IGNORED
            counts.append(torch.stack([each.double().sum(dim=1).cpu() for each in (losses, right, unknown, known)]))
        nats, right, unknown, characters = torch.cat(counts, dim=1).numpy()

        def scores(weights: NDArray[np.float64]) -> dict[str, float]:
            total = float(weights @ characters)
            if not total:
                return {}
            fractions = {
                "accuracy": float(weights @ right) / total,
                "unknown_fraction": float(weights @ unknown) / total,
            }
            return {**loss_scores(float(weights @ nats) / total), **fractions}

        return ByExample(len(characters), scores)

    def rate_scale(self, parameter: str) -> float:
        """Return the factor on a parameter's rate: `embedding_rate`, or `layer_decay` once for each block above."""
        part, *rest = parameter.split(".")
        if part in ("embedding", "positions"):
            return self._model.embedding_rate
        if part == "blocks":
            return float(self._model.layer_decay ** (self._model.layers - 1 - int(rest[0])))
        return 1.0


def loss_scores(nats: float) -> dict[str, float]:
    """Return a mean loss in nats a character as loss, bits per character and perplexity (infinite above e^709)."""
    try:
        perplexity = math.exp(nats)
    except OverflowError:
        perplexity = math.inf
    return {"loss": nats, "bits_per_char": nats / math.log(2), "perplexity": perplexity}
