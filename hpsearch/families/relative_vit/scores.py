"""Scores of a classification, added up batch by batch; every mean is over images."""

import torch
from torch import Tensor
from torch.nn import functional

TOP = 5


class ClassificationTally:
    """Cross-entropy in nats, accuracy, top-5 accuracy (where there are more than 5 classes) and macro F1."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._count = 0
        self._nats = 0.0
        self._within_top = 0
        self._right, self._told, self._true = (torch.zeros(classes, dtype=torch.long) for _ in range(3))

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take in logits (B, classes), such as log-probabilities, and the true classes (B,)."""
        logits, labels = logits.detach().double().cpu(), labels.cpu()
        told = logits.argmax(dim=1)
        self._count += len(labels)
        self._nats += functional.cross_entropy(logits, labels, reduction="sum").item()
        if self._classes > TOP:
            self._within_top += int((logits.topk(TOP, dim=1).indices == labels[:, None]).sum())
        self._right += labels[told == labels].bincount(minlength=self._classes)
        self._told += told.bincount(minlength=self._classes)
        self._true += labels.bincount(minlength=self._classes)

    def scores(self) -> dict[str, float]:
        """Return the scores of all that was added.

        Macro F1 is the mean of the F1 of each class that occurs, as a truth or as an answer.
        """
        occurring = (self._told + self._true) > 0
        f1 = 2 * self._right[occurring].double() / (self._told + self._true)[occurring]
        scores = {
            "loss": self._nats / self._count,
            "accuracy": int(self._right.sum()) / self._count,
            "macro_f1": f1.mean().item(),
        }
        return scores | ({"top5_accuracy": self._within_top / self._count} if self._classes > TOP else {})
