"""One training of a text classifier: its network, loss and scores."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.families.text_classifier.dataset import NO_LABEL, TextData
from hpsearch.families.text_classifier.model_settings import Transformer
from hpsearch.families.text_classifier.network import TextClassifier
from hpsearch.families.text_classifier.scores import classification_scores
from hpsearch.families.text_classifier.settings import TextConfig
from hpsearch.training.task import Batch, Forward, Task


class TextTask(Task):
    """Cross-entropy of the class of a text."""

    def __init__(self, config: TextConfig, train: TextData) -> None:
        self._config = config
        self._train = train
        self._classes = [len(names) for names in train.classes.values()]
        self._weights = [
            _class_weights(train.labels[:, number], size, balanced=config.loss.class_weights == "balanced")
            for number, size in enumerate(self._classes)
        ]
        self.scalars: Mapping[str, float] = {"label_smoothing": config.loss.label_smoothing}

    def build_model(self) -> nn.Module:
        """Return a new network for the training part's vocabulary and classes."""
        return TextClassifier(
            self._config.model,
            vocabulary=self._train.vocabulary,
            max_length=self._config.data.max_length,
            classes=self._classes,
        )

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the mean over the examples of the smoothed, class-weighted cross-entropy in nats."""
        logits = self._logits(forward, batch)
        labels = batch["labels"][:, 0]
        return {"loss": cross_entropy(logits[0], labels, self._weights[0], scalars["label_smoothing"])}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the plain cross-entropy, the accuracy and the macro F1."""
        outputs, labels = [], []
        for batch in batches:
            outputs.append(self._logits(forward, batch)[0].double().log_softmax(dim=-1).cpu())
            labels.append(batch["labels"][:, 0].cpu())
        return classification_scores(torch.cat(outputs).numpy(), torch.cat(labels).numpy().astype(np.int64))

    def rate_scale(self, parameter: str) -> float:
        """Return the factor on a parameter's rate: `layer_decay` once for each layer between it and the classifier."""
        chosen = self._config.model.architecture
        if not isinstance(chosen, Transformer) or not parameter.startswith("encoder."):
            return 1.0
        _, part, *rest = parameter.split(".")
        if part in ("norm", "pooler"):
            return 1.0
        below = int(rest[0]) if part == "blocks" else -1
        return float(chosen.layer_decay ** (chosen.layers - below))

    def _logits(self, forward: Forward, batch: Batch) -> tuple[Tensor, ...]:
        """Return the logits of each task."""
        return torch.split(forward(batch["tokens"], batch["length"]).float(), self._classes, dim=-1)


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float | Tensor) -> Tensor:
    """Return the cross-entropy of (B, C) logits in nats, smoothed, weighted by class, as a mean over all B examples.

    An example without a label adds nothing. Smoothing moves the fraction `smoothing` of the target to all classes
    equally. Divided by B and not by the sum of weights, the loss of two batches together is the mean of their losses.
    """
    known = labels != NO_LABEL
    targets = labels.clamp(min=0)
    logarithms = logits.log_softmax(dim=-1)
    smoothed = (1 - smoothing) * functional.nll_loss(logarithms, targets, reduction="none") - (
        smoothing * logarithms.mean(dim=-1)
    )
    return (smoothed * weights.to(logits.device)[targets] * known).mean()


def _class_weights(labels: NDArray[np.int64], size: int, *, balanced: bool) -> Tensor:
    """Return the weight of each class, 1 on average over the labelled examples."""
    counts = np.bincount(labels[labels != NO_LABEL], minlength=size)
    weights = counts.sum() / (size * counts) if balanced else np.ones(size)
    return torch.from_numpy(weights.astype(np.float32))
