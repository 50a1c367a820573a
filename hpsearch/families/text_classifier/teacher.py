"""The teacher of a distillation (Hinton, Vinyals and Dean 2015), and what it says of each example."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hpsearch.errors import DataError
from hpsearch.families.text_classifier.loading import TextData
from hpsearch.families.text_classifier.network import TextClassifier
from hpsearch.families.text_classifier.settings import TextConfig
from hpsearch.training.checkpoint import BEST, load_weights

_BATCH = 256


@dataclass(frozen=True)
class Lesson:
    """What a teacher says, logits (examples, classes of all tasks), and the hashes of the texts it learned from."""

    logits: Tensor
    texts: NDArray[np.int64]


def build_teacher(folder: str, data: TextData) -> tuple[TextClassifier, TextConfig]:
    """Return the classifier of a trial's or replicate's folder with the weights of its best step, in eval mode.

    `data` are the student's training texts.

    Raises:
        DataError: The folder holds none, its vocabulary or classes are not those of `data`, or it has
            learned from texts on which the student is validated or tested.
    """
    place = Path(folder).expanduser()
    try:
        content = json.loads((place / "config.json").read_text(encoding="utf-8"))
        config = TextConfig.model_validate(content["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the teacher {place} is not a folder of a text_classifier's trial: {error}") from None
    teacher = TextClassifier(
        config.model,
        vocabulary=data.vocabulary,
        max_length=config.data.max_length,
        classes=[len(names) for names in data.classes.values()],
        pretrained_weights=False,
    )
    load_weights(teacher, place / BEST)
    own = teacher.fingerprint.numpy().reshape(-1)
    if own[0] != data.fingerprint[0]:
        raise DataError(
            f"the teacher {place} was trained with another vocabulary or other classes: it needs the same data "
            "settings and the same seed of the experiment"
        )
    _refuse_leakage(place, own, data)
    return teacher.eval(), config


def _refuse_leakage(place: Path, teacher: NDArray[np.int64], data: TextData) -> None:
    """Refuse a teacher that knows held-out texts; those that the student learns from itself give nothing away."""
    if len(teacher) == 1:
        warnings.warn(
            f"the teacher {place} was trained by an older hpsearch, which did not note its texts: that it has seen no "
            "validation or test text of the student is not known",
            stacklevel=3,
        )
        return
    foreign = np.setdiff1d(teacher[1:], data.fingerprint[1:])
    if not len(foreign) or data.held_out is None:
        return
    names = {"val": "validation", "test": "test"}
    told = [
        f"{known} of the {len(hashes)} {names[split]} texts"
        for split, hashes in data.held_out().items()
        if (known := len(np.intersect1d(foreign, hashes)))
    ]
    if told:
        raise DataError(
            f"the teacher {place} was trained on another division of the data, so that the student's scores would be "
            "too good (take one of the same search.seed, or of the same fold): it has learned from "
            f"{' and '.join(told)} of the student"
        )


def ask_teacher(folder: str, data: TextData, *, max_length: int) -> Lesson:
    """Return the teacher's predictions for each text, without dropout and without gradients.

    Raises:
        DataError: See `build_teacher`.
    """
    teacher, config = build_teacher(folder, data)
    if config.data.max_length < max_length:
        raise DataError(
            f"the teacher {folder} sees {config.data.max_length} words, not the {max_length} of this configuration"
        )
    outputs = []
    with torch.no_grad():
        for start in range(0, len(data), _BATCH):
            batch = data.batch(range(start, min(start + _BATCH, len(data))))
            outputs.append(teacher(batch["tokens"], batch["length"]))
    return Lesson(torch.cat(outputs), teacher.fingerprint.numpy().reshape(-1)[1:])


def distillation_loss(student: Tensor, teacher: Tensor, *, temperature: float | Tensor) -> Tensor:
    """Return T^2 KL(softmax(teacher / T) || softmax(student / T)) in nats, a mean over the (B, C) logits' examples.

    The factor T^2 keeps the size of the gradient when the temperature changes.
    """
    divergence = functional.kl_div(
        (student / temperature).log_softmax(dim=-1), (teacher / temperature).softmax(dim=-1), reduction="batchmean"
    )
    return temperature**2 * divergence
