"""Scores of a split as a function of how often each of its examples counts: what a bootstrap over examples needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
_SAME = 1e-9
"""Relative difference of a score and the mean of single examples' up to which it is their mean."""


@dataclass(frozen=True)
class ByExample:
    """The scores of N examples.

    Attributes:
        examples: N.
        scores: Returns the scores where example i counts weights[i] times, (N,); with ones they are those of
            `Task.evaluate`. A score for which nothing counts may be missing or not a number.
        proportions: Of a score that is the fraction of examples for which something holds: among how many.
        clusters: The number of each example's cluster, (N,), such as its subject or document, where examples of one are
            alike; None if each is its own.
    """

    examples: int
    scores: Callable[[Weights], Mapping[str, float]]
    proportions: Mapping[str, int] = field(default_factory=dict)
    clusters: NDArray[np.int64] | None = None

    def each(self) -> list[Mapping[str, float]]:
        """Return the scores of each example alone."""
        alone = np.zeros(self.examples)
        found = []
        for number in range(self.examples):
            alone[number] = 1
            found.append(self.scores(alone))
            alone[number] = 0
        return found

    def pseudo_values(self) -> dict[str, Weights]:
        """Return each score by example, (N,) each: the own score of each if it is a mean, else its pseudo-value.

        The pseudo-value of the jackknife is N s - (N - 1) s_i, where s is the score of all examples and s_i that of all
        but this one (Tukey 1958): of a ratio or macro F1 it is what the example adds, so that their mean is the score
        but for a term of order 1 / N. Scores that are not finite, or that one example decides alone, are left out.
        """
        weights = np.ones(self.examples)
        whole = {name: value for name, value in self.scores(weights).items() if np.isfinite(value)}
        alone, without = self.each(), []
        for number in range(self.examples):
            weights[number] = 0
            without.append(self.scores(weights))
            weights[number] = 1
        found = {}
        for name, value in whole.items():
            own = np.array([each.get(name, np.nan) for each in alone])
            rest = np.array([each.get(name, np.nan) for each in without])
            is_mean = np.isclose(own.mean(), value, rtol=_SAME, atol=0)
            found[name] = own if is_mean else value + (self.examples - 1) * (value - rest)
        return {name: values for name, values in found.items() if np.isfinite(values).all()}


class MethodScores(dict[str, float]):
    """The scores of a method that is no network, as `Family.baselines` returns them, with their way to the examples.

    `by_example` is called where scores by example are kept, which is for the test split alone.
    """

    def __init__(self, scores: Mapping[str, float], by_example: Callable[[], ByExample]) -> None:
        super().__init__(scores)
        self.by_example = by_example


def means_of(rows: Mapping[str, NDArray[np.float64]]) -> Callable[[Weights], dict[str, float]]:
    """Return the function of weights for scores that are means over examples; `rows` are theirs, (N,) each."""

    def scores(weights: Weights) -> dict[str, float]:
        total = weights.sum()
        return {name: float(weights @ values / total) if total else float("nan") for name, values in rows.items()}

    return scores


def classification_by_example(
    log_probabilities: NDArray[np.float64], labels: NDArray[np.int64], *, top: int | None = None
) -> ByExample:
    """Return loss (nats), accuracy and macro F1 of (N, classes) and (N,); with `top` also whether it is among so many.

    Macro F1 is the mean over the classes that occur, as a label or as an answer, with a weight above 0.
    """
    count, classes = log_probabilities.shape
    answers = log_probabilities.argmax(axis=1)
    rows = {
        "loss": -log_probabilities[np.arange(count), labels],
        "accuracy": (answers == labels).astype(np.float64),
    }
    if top is not None and classes > top:
        best = np.argpartition(-log_probabilities, top - 1, axis=1)[:, :top]
        rows[f"top{top}_accuracy"] = (best == labels[:, None]).any(axis=1).astype(np.float64)
    means, right = means_of(rows), answers == labels

    def scores(weights: Weights) -> dict[str, float]:
        both = np.bincount(labels, weights, classes) + np.bincount(answers, weights, classes)
        hits = np.bincount(labels[right], weights[right], classes)
        present = both > 0
        f1 = (2 * hits[present] / both[present]).mean() if present.any() else float("nan")
        return {**means(weights), "macro_f1": float(f1)}

    return ByExample(count, scores, {name: count for name in rows if name != "loss"})
