"""The teacher of a distillation (Hinton, Vinyals and Dean 2015), and what it says of each example."""

import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from hpsearch.errors import DataError
from hpsearch.families.text_classifier.dataset import TextData
from hpsearch.families.text_classifier.network import TextClassifier
from hpsearch.families.text_classifier.settings import TextConfig
from hpsearch.training.checkpoint import BEST, load_weights

_BATCH = 256


def build_teacher(folder: str, data: TextData) -> tuple[TextClassifier, TextConfig]:
    """Return the classifier of a trial's or replicate's folder with the weights of its best step, in eval mode.

    Errors: DataError when the folder holds none, or its vocabulary or classes are not those of `data`.
    """
    place = Path(folder).expanduser()
    try:
        content = json.loads((place / "config.json").read_text(encoding="utf-8"))
        config = TextConfig.model_validate(content["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the teacher {place} is no folder of a text_classifier's trial: {error}") from None
    teacher = TextClassifier(
        config.model,
        vocabulary=data.vocabulary,
        max_length=config.data.max_length,
        classes=[len(names) for names in data.classes.values()],
        pretrained_weights=False,
    )
    load_weights(teacher, place / BEST)
    if int(teacher.fingerprint) != data.fingerprint:
        raise DataError(
            f"the teacher {place} was trained with another vocabulary or other classes: it needs the same data "
            "settings and the same seed of the experiment"
        )
    return teacher.eval(), config


def teacher_logits(folder: str, data: TextData, *, max_length: int) -> Tensor:
    """Return the teacher's logits (examples, classes of all tasks), without dropout and without gradients."""
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
    return torch.cat(outputs)


def distillation_loss(student: Tensor, teacher: Tensor, *, temperature: float | Tensor) -> Tensor:
    """Return T^2 KL(softmax(teacher / T) || softmax(student / T)) in nats, a mean over the (B, C) logits' examples.

    The factor T^2 keeps the size of the gradient when the temperature changes.
    """
    divergence = functional.kl_div(
        (student / temperature).log_softmax(dim=-1), (teacher / temperature).softmax(dim=-1), reduction="batchmean"
    )
    return temperature**2 * divergence
