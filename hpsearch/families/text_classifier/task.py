"""One training of a text classifier: its network, loss, curriculum and scores."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.families.text_classifier import pretrained
from hpsearch.families.text_classifier.loading import NO_LABEL, TextData
from hpsearch.families.text_classifier.network import TextClassifier, layer_of
from hpsearch.families.text_classifier.settings import CNN, Curriculum, Pretrained, TextConfig, Transformer
from hpsearch.families.text_classifier.teacher import ask_teacher, distillation_loss
from hpsearch.training.by_example import ByExample, classification_by_example
from hpsearch.training.task import Batch, Forward, Task

Indices = NDArray[np.int64]


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
        self.scalars: dict[str, float] = {"label_smoothing": config.loss.label_smoothing}
        if len(self._classes) > 1:
            self.scalars |= {"label": config.loss.task_weight, "auxiliary": config.loss.auxiliary_weight}
        self._layers = _layer_count(config.model.architecture)
        self._teacher: Tensor | None = None
        self._fingerprint = train.fingerprint
        if config.distillation is not None:
            lesson = ask_teacher(config.distillation.teacher, train, max_length=config.data.max_length)
            self._teacher = lesson.logits
            # whoever learns from the teacher has learned from its texts: the student may be a teacher itself
            texts = np.union1d(train.fingerprint[1:], lesson.texts)
            self._fingerprint = np.concatenate((train.fingerprint[:1], texts))
            self.scalars |= {"temperature": config.distillation.temperature, "alpha": config.distillation.alpha}

    def build_model(self) -> nn.Module:
        """Return a new network for the training part's vocabulary and classes."""
        return TextClassifier(
            self._config.model,
            vocabulary=self._train.vocabulary,
            max_length=self._config.data.max_length,
            classes=self._classes,
            words=self._train.words,
            fingerprint=self._fingerprint,
        )

    def loss(self, forward: Forward, batch: Batch, scalars: Mapping[str, float | Tensor]) -> Mapping[str, Tensor]:
        """Return the smoothed, class-weighted cross-entropy of a training batch in nats, a mean over its examples.

        With two tasks it is the weighted sum of theirs; with a teacher, alpha times the distillation's loss and
        (1 - alpha) times that. The parts are returned with it.
        """
        logits = self._logits(forward, batch)
        parts = {
            name: cross_entropy(logits[task], batch["labels"][:, task], self._weights[task], scalars["label_smoothing"])
            for task, name in enumerate(self._train.classes)
        }
        if len(parts) == 1:
            loss = parts.pop("label")
        else:
            loss = scalars["label"] * parts["label"] + scalars["auxiliary"] * parts["auxiliary"]
        if self._teacher is not None:
            teacher = self._teacher[batch["number"].cpu()].to(loss.device)[:, : self._classes[0]]
            parts["distillation"] = distillation_loss(logits[0], teacher, temperature=scalars["temperature"])
            loss = scalars["alpha"] * parts["distillation"] + (1 - scalars["alpha"]) * loss
        return {"loss": loss, **parts}

    def evaluate(self, forward: Forward, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Return the plain cross-entropy, accuracy and macro F1, and those of a second task as `auxiliary_...`."""
        outputs, truth = self._outputs(forward, batches)
        scores: dict[str, float] = {}
        for task, prefix in enumerate(("", "auxiliary_")[: len(outputs)]):
            known = truth[:, task] != NO_LABEL
            if known.any():
                found = classification_scores(outputs[task][known], truth[known, task])
                scores |= {prefix + name: value for name, value in found.items()}
        return scores

    def by_example(self, forward: Forward, batches: Iterable[Batch]) -> ByExample:
        """Return the scores of both tasks, of the texts that have a label for them."""
        outputs, truth = self._outputs(forward, batches)
        found: list[tuple[str, NDArray[np.bool_], ByExample]] = []
        for task, prefix in enumerate(("", "auxiliary_")[: len(outputs)]):
            known = truth[:, task] != NO_LABEL
            if known.any():
                found.append((prefix, known, classification_by_example(outputs[task][known], truth[known, task])))

        def scores(weights: NDArray[np.float64]) -> dict[str, float]:
            return {
                prefix + name: value
                for prefix, known, task in found
                for name, value in task.scores(weights[known]).items()
            }

        proportions = {prefix + name: count for prefix, _, task in found for name, count in task.proportions.items()}
        return ByExample(len(truth), scores, proportions)

    def _outputs(
        self, forward: Forward, batches: Iterable[Batch]
    ) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
        """Return the log probabilities of each task, (examples, classes), and the labels, (examples, tasks)."""
        outputs: list[list[Tensor]] = [[] for _ in self._classes]
        labels = []
        for batch in batches:
            for rows, logits in zip(outputs, self._logits(forward, batch), strict=True):
                rows.append(logits.double().log_softmax(dim=-1).cpu())
            labels.append(batch["labels"].cpu())
        return [torch.cat(rows).numpy() for rows in outputs], torch.cat(labels).numpy().astype(np.int64)

    def examples(self, epoch: int, epochs: int) -> Sequence[int] | None:
        """Return the examples of an epoch: the curriculum's, and both tasks equally often; None for all."""
        curriculum, data = self._config.curriculum, self._config.data
        separate = data.auxiliary is not None and data.auxiliary.path is not None
        if curriculum is None and not separate:
            return None
        chosen = np.arange(len(self._train))
        if curriculum is not None:
            chosen = easiest(self._difficulty(), curriculum_fraction(curriculum, epoch, epochs))
        found: list[int] = (interleaved(chosen, self._train.labels) if separate else chosen).tolist()
        return found

    def _difficulty(self) -> NDArray[np.float64]:
        """Return the difficulty of each training example."""
        by_length = self._config.curriculum is not None and self._config.curriculum.difficulty == "length"
        if by_length or self._teacher is None:  # the settings see to it that there is a teacher where one is asked for
            return np.array([len(row) for row in self._train.tokens], dtype=np.float64)
        labels = torch.from_numpy(self._train.labels[:, 0])
        logits = self._teacher[:, : self._classes[0]]
        losses = functional.cross_entropy(logits, labels, ignore_index=NO_LABEL, reduction="none")
        return losses.double().numpy()

    def rate_scale(self, parameter: str) -> float:
        """Return the factor on a parameter's rate: `layer_decay` once for each layer between it and the classifier."""
        chosen = self._config.model.architecture
        module, _, rest = parameter.partition(".")
        if isinstance(chosen, CNN) or module != "encoder":
            return 1.0
        layer = layer_of(rest) if isinstance(chosen, Transformer) else pretrained.layer_of(rest)
        return 1.0 if layer is None else float(chosen.layer_decay ** (self._layers - layer))

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


def _layer_count(chosen: CNN | Transformer | Pretrained) -> int:
    """Return the number of layers through which the rate decays."""
    if isinstance(chosen, Pretrained):
        return pretrained.layer_count(chosen)
    return chosen.layers if isinstance(chosen, Transformer) else 0


def _class_weights(labels: NDArray[np.int64], size: int, *, balanced: bool) -> Tensor:
    """Return the weight of each class, 1 on average over the labelled examples."""
    counts = np.bincount(labels[labels != NO_LABEL], minlength=size)
    weights = counts.sum() / (size * counts) if balanced else np.ones(size)
    return torch.from_numpy(weights.astype(np.float32))


def curriculum_fraction(settings: Curriculum, epoch: int, epochs: int) -> float:
    """Return the fraction of an epoch (counted from 0): `initial` at the first, `final` at the last, in a line."""
    progress = epoch / (epochs - 1) if epochs > 1 else 1.0
    return settings.initial + (settings.final - settings.initial) * progress


def easiest(difficulty: NDArray[np.float64], fraction: float) -> Indices:
    """Return the indices of the easiest examples, one at least; of equals those that come first."""
    count = max(1, round(fraction * len(difficulty)))
    return np.sort(np.argsort(difficulty, kind="stable")[:count])


def interleaved(chosen: Indices, labels: NDArray[np.int64]) -> Indices:
    """Return the chosen examples, those of the smaller task repeated until both tasks have equally many.

    `labels` are (examples, 2). Nothing is repeated if an example has labels for both, or one task has no example.
    """
    first, second = (chosen[labels[chosen, task] != NO_LABEL] for task in (0, 1))
    if np.intersect1d(first, second).size or not len(first) or not len(second):
        return chosen
    size = max(len(first), len(second))
    return np.concatenate([np.resize(first, size), np.resize(second, size)])


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
