"""Training and scoring a character language model: the next character's cross-entropy, in nats and in bits."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.data.text import UNKNOWN
from hpsearch.families.char_lm.network import CharTransformer
from hpsearch.families.char_lm.scores import loss_scores
from hpsearch.families.char_lm.settings import CharLMConfig
from hpsearch.families.char_lm.windows import IGNORED, TextWindows
from hpsearch.training.task import Batch, Forward, Task


class CharLMTask(Task):
    """Next-character prediction; every mean is over characters, whatever batch they stand in.

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

    def rate_scale(self, parameter: str) -> float:
        """Return the factor on a parameter's rate: `embedding_rate`, or `layer_decay` once for each block above."""
        part, *rest = parameter.split(".")
        if part in ("embedding", "positions"):
            return self._model.embedding_rate
        if part == "blocks":
            return float(self._model.layer_decay ** (self._model.layers - 1 - int(rest[0])))
        return 1.0
