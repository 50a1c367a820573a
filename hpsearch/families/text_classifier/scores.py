"""Scores of a classification, from the logarithms of the classes' probabilities."""

import numpy as np
from numpy.typing import NDArray


def classification_scores(log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    """Return loss (mean cross-entropy in nats), accuracy and macro F1 of (examples, classes) and (examples,).

    Macro F1 is the mean over the classes that are among the labels or the answers, as in scikit-learn; a class without
    a right answer counts 0.
    """
    answers = log_probabilities.argmax(axis=1)
    return {
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "accuracy": float((answers == labels).mean()),
        "macro_f1": macro_f1(answers, labels),
    }


def macro_f1(answers: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the mean over classes of 2 TP / (2 TP + FP + FN)."""
    size = int(max(answers.max(), labels.max())) + 1
    right = np.bincount(labels[answers == labels], minlength=size)
    both = np.bincount(answers, minlength=size) + np.bincount(labels, minlength=size)
    present = both > 0
    return float((2 * right[present] / both[present]).mean())
