"""Classical methods on the pixels, as floors for the network."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hpsearch.families.relative_vit.task import TOP, ClassificationTally, ImageData
from hpsearch.training.by_example import MethodScores, classification_by_example

_LARGEST_SIDE = 32
"""Larger images are scaled down by means to sides of this length, or a logistic regression would not end."""
_NEIGHBOURS = 3


def score_baselines(train: ImageData, data: ImageData) -> dict[str, dict[str, float]]:
    """Return each method's scores on a split; neighbours vote, and have no chances of which a loss could be taken."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    inputs, labels = _pixels(train), train.labels.numpy()
    regression = LogisticRegression(max_iter=1000).fit(inputs, labels)
    neighbours = KNeighborsClassifier(_NEIGHBOURS).fit(inputs, labels)
    asked, classes = _pixels(data), len(train.classes)
    frequency = np.bincount(labels, minlength=classes) / len(labels)
    chances = {
        "majority": np.tile(frequency, (len(data), 1)),
        "logistic_regression": regression.predict_proba(asked),
        "nearest_neighbours": neighbours.predict_proba(asked),
    }
    scores = {name: _scores(given, data.labels) for name, given in chances.items()}
    del scores["nearest_neighbours"]["loss"]
    return scores


def _scores(chances: NDArray[np.float64], labels: Tensor) -> dict[str, float]:
    tally, logarithms = ClassificationTally(chances.shape[1]), torch.from_numpy(chances).clamp(min=1e-12).log()
    tally.add(logarithms, labels)
    by_image = partial(classification_by_example, logarithms.numpy(), labels.numpy().astype(np.int64), top=TOP)
    return MethodScores(tally.scores(), by_image)


def _pixels(data: ImageData) -> NDArray[np.float32]:
    """Return the images of a split as rows of numbers between 0 and 1."""
    rows = []
    for batch in data.in_batches():
        images = batch["image"]
        height, width = (min(side, _LARGEST_SIDE) for side in images.shape[-2:])
        rows.append(functional.adaptive_avg_pool2d(images, (height, width)).flatten(1))
    pixels: NDArray[np.float32] = torch.cat(rows).numpy()
    return pixels
