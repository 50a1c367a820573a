"""Floors for a text classifier: the most frequent class, and tf-idf with logistic regression."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from hpsearch.families.text_classifier.loading import NO_LABEL, TextData
from hpsearch.families.text_classifier.task import classification_scores
from hpsearch.training.by_example import ByExample, MethodScores, classification_by_example

Floats = NDArray[np.float64]

STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse strengths of the penalty among which the validation part chooses."""


def baseline_scores(train: TextData, val: TextData, scored: TextData) -> dict[str, Mapping[str, float]]:
    """Return each method's scores on the part `scored`; the methods learn from `train` and choose on `val`."""
    known = _labels(scored) != NO_LABEL
    train, val, scored = (part.of_main_task() for part in (train, val, scored))
    found = {"majority": _frequencies(train, len(scored)), "tfidf_logistic": _tfidf_logistic(train, val, scored)}
    labels = _labels(scored)
    return {
        name: MethodScores(classification_scores(own, labels), partial(_by_text, own, labels, known))
        for name, own in found.items()
    }


def _by_text(logarithms: Floats, labels: NDArray[np.int64], known: NDArray[np.bool_]) -> ByExample:
    """Return the scores by text of the whole part, of which only the `known` ones have a label and count."""
    of_known = classification_by_example(logarithms, labels)
    return ByExample(len(known), lambda weights: of_known.scores(weights[known]), of_known.proportions)


def _frequencies(train: TextData, examples: int) -> Floats:
    """Return for each example the logarithm of the classes' frequencies in training."""
    labels = _labels(train)
    return np.tile(np.log(np.bincount(labels) / len(labels)), (examples, 1))


def _tfidf_logistic(train: TextData, val: TextData, scored: TextData) -> Floats:
    """Return log probabilities by words and pairs of words that occur in two training texts at least.

    The penalty is the one with the best accuracy on `val`; the first of equals.
    """
    features = TfidfVectorizer(ngram_range=(1, 2), min_df=2)
    seen = features.fit_transform(train.texts)
    models = [LogisticRegression(C=strength, max_iter=1000).fit(seen, _labels(train)) for strength in STRENGTHS]
    checked = features.transform(val.texts)
    best = max(models, key=lambda model: float(model.score(checked, _labels(val))))
    logarithms: Floats = best.predict_log_proba(features.transform(scored.texts))
    return logarithms


def _labels(data: TextData) -> NDArray[np.int64]:
    return data.labels[:, 0]
