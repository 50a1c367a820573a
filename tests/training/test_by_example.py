"""Scores by example: with weights of one they are those of `evaluate`, and a weight is a number of copies."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, top_k_accuracy_score

from hpsearch.training.by_example import ByExample, classification_by_example, means_of


def test_weights_are_numbers_of_copies() -> None:
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(40, 7))
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = draws.integers(0, 6, 40)  # class 6 is only answered
    found = classification_by_example(log_probabilities, labels, top=3)
    for counts in (np.ones(40, dtype=int), draws.multinomial(40, np.full(40, 1 / 40)), np.eye(40, dtype=int)[3] * 5):
        copies = np.repeat(np.arange(40), counts)
        truth, answers = labels[copies], log_probabilities[copies].argmax(axis=1)
        scores = found.scores(counts.astype(float))
        classes = list(range(7))
        assert scores == pytest.approx(
            {
                "loss": log_loss(truth, np.exp(log_probabilities[copies]), labels=classes),
                "accuracy": accuracy_score(truth, answers),
                "top3_accuracy": top_k_accuracy_score(truth, log_probabilities[copies], k=3, labels=classes),
                "macro_f1": f1_score(truth, answers, average="macro"),
            }
        )
    assert found.proportions == {"accuracy": 40, "top3_accuracy": 40}
    assert [each["accuracy"] for each in found.each()] == (log_probabilities.argmax(axis=1) == labels).tolist()


def test_means_without_a_weight_are_no_numbers() -> None:
    scores = means_of({"error": np.array([1.0, 3.0])})
    assert scores(np.array([1.0, 3.0])) == {"error": 2.5}
    assert np.isnan(scores(np.zeros(2))["error"])


def test_pseudo_values_of_a_mean_are_the_examples_own_and_of_a_ratio_their_part() -> None:
    draws = np.random.default_rng(1)
    errors, lengths = draws.normal(size=30), draws.integers(1, 9, 30).astype(float)
    own = {"error": errors}
    assert ByExample(30, means_of(own)).pseudo_values()["error"] == pytest.approx(errors)

    def ratio(weights: np.ndarray) -> dict[str, float]:
        return {"per_character": float(weights @ errors / (weights @ lengths)), "first": float(weights[0] / weights[0])}

    with np.errstate(invalid="ignore"):
        found = ByExample(30, ratio).pseudo_values()
    assert found.keys() == {"per_character"}  # a score that one example decides alone has none
    values = found["per_character"]
    assert values.mean() == pytest.approx(errors.sum() / lengths.sum(), abs=0.01)
    linear = (errors - errors.sum() / lengths.sum() * lengths) / lengths.mean()  # the ratio's influence function
    assert np.corrcoef(values, linear)[0, 1] > 0.99
