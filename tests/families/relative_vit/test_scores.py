"""Scores and baselines against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, top_k_accuracy_score

from hpsearch.families.relative_vit.baselines import score_baselines
from hpsearch.families.relative_vit.family import RelativeVit
from hpsearch.families.relative_vit.settings import RelativeVitConfig
from hpsearch.families.relative_vit.task import ClassificationTally


def test_scores_are_scikit_learns_however_the_images_are_batched():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(101, 12, generator=generator, dtype=torch.double)
    labels = torch.randint(0, 11, (101,), generator=generator)  # the last class never occurs as a truth
    tally = ClassificationTally(12)
    for start in range(0, 101, 25):
        tally.add(logits[start : start + 25], labels[start : start + 25])
    chances, told = logits.softmax(dim=1).numpy(), logits.argmax(dim=1).numpy()
    everything = np.arange(12)
    assert tally.scores() == pytest.approx(
        {
            "loss": log_loss(labels, chances, labels=everything),
            "accuracy": accuracy_score(labels, told),
            "macro_f1": f1_score(labels, told, average="macro"),
            "top5_accuracy": top_k_accuracy_score(labels, chances, k=5, labels=everything),
        }
    )


def test_a_class_that_never_occurs_does_not_count():
    tally = ClassificationTally(3)
    tally.add(torch.eye(3)[[0, 0, 1]], torch.tensor([0, 1, 1]))
    assert tally.scores()["macro_f1"] == pytest.approx(f1_score([0, 1, 1], [0, 0, 1], average="macro"))


def test_five_classes_or_fewer_have_no_top_five():
    tally = ClassificationTally(5)
    tally.add(torch.eye(5), torch.arange(5))
    assert set(tally.scores()) == {"loss", "accuracy", "macro_f1"}


def test_the_floors_on_the_digits_are_the_published_ones():
    """Logistic regression .947 and three neighbours .989 over five folds; one split may be two points off."""
    family, data = RelativeVit(), RelativeVitConfig().data
    train, test = family.load(data, "train", seed=0), family.load(data, "test", seed=0)
    scores = score_baselines(train, test)
    assert scores["logistic_regression"]["accuracy"] == pytest.approx(0.947, abs=0.03)
    assert scores["nearest_neighbours"]["accuracy"] == pytest.approx(0.989, abs=0.02)
    assert scores["majority"]["accuracy"] == pytest.approx(0.1, abs=0.01)
    assert scores["majority"]["loss"] == pytest.approx(np.log(10), abs=0.01)
