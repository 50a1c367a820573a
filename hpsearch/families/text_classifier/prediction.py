"""The classes of new texts, and new labelled texts to score a classifier on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.data.folds import part_called
from hpsearch.data.labelled_text import LabelledTexts, text_hashes
from hpsearch.data.local_datasets import is_dataset
from hpsearch.data.text_files import TEXT_FILES, Writing, read_labelled, read_texts, tells_labels
from hpsearch.data.text_splits import files_in, labelled_for_test, texts_of_dataset
from hpsearch.errors import DataError
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.families.prediction import Computing, Examination, Input, Predictor, files_of
from hpsearch.families.text_classifier.loading import TextData, encode_known, encode_labels
from hpsearch.families.text_classifier.reading import writing_of
from hpsearch.families.text_classifier.settings import LossSettings, TextConfig
from hpsearch.families.text_classifier.task import TextTask
from hpsearch.settings import Settings
from hpsearch.training.devices import move


class TextOptions(Settings):
    """How files of texts are read."""

    text_column: str | None = Field(default=None, min_length=1)
    """The column, or name in an object, that holds the text; that of the training data without it."""


class TextPredictor(Predictor[str, TextOptions, ClassPrediction]):
    """Tells the class of each text; words that training has not seen count as unknown ones, as they did there."""

    takes: ClassVar = (
        "texts: files of the kinds .txt (a text on each line), .csv, .tsv, .json and .jsonl (with a column for the "
        "text), lines as fastText and TREC have them, datasets of Hugging Face's, folders, or - for a text on each "
        "line of the standard input"
    )
    Options = TextOptions
    Result = ClassPrediction
    literal = True

    @property
    def example(self) -> str:
        """Two texts."""
        return '["a text", "and another one"]'

    def read(self, inputs: Sequence[Input], options: TextOptions) -> Iterator[str]:
        """Return the texts: those of files that are given as a Path; a str is a text itself.

        Raises:
            DataError: A file cannot be read.
        """
        wrong = next((each for each in inputs if not isinstance(each, str | Path)), None)
        if wrong is not None:
            raise DataError(f"a text is a str, and a file of texts a Path; not {type(wrong).__name__}")
        files = {each: self._files(each.expanduser()) for each in inputs if isinstance(each, Path)}
        return self._texts(inputs, files, options)

    def _files(self, place: Path) -> list[Path]:
        """Return the files that a path stands for; a dataset is itself."""
        if is_dataset(place) or (
            place.is_file()
            and place.suffix.lower() not in TEXT_FILES
            and tells_labels(place, self.config.data.encoding)
        ):
            return [place]
        return files_of([place], TEXT_FILES, what="file of texts")

    def _texts(
        self, inputs: Sequence[str | Path], files: dict[Path, list[Path]], options: TextOptions
    ) -> Iterator[str]:
        data = self.config.data
        column, header = options.text_column or data.text_column, data.header or options.text_column is not None
        writing = Writing(text_column=column, header=header, quoting=data.quoting, encoding=data.encoding)
        for each in inputs:
            if isinstance(each, str):
                yield each
                continue
            for file in files[each]:
                yield from texts_of_dataset(file, column) if is_dataset(file) else read_texts(file, writing)

    def predict(self, items: Iterable[str], options: TextOptions, computing: Computing) -> ClassPrediction:
        """Return the classes of the texts, of the main task where there are two."""
        del options
        classes = tuple(self.facts["classes"]["label"])
        texts: list[str] = []
        rows = [np.zeros((0, len(classes)))]

        def compute(batch: Sequence[str]) -> NDArray[np.float64]:
            found = self._probabilities(batch, computing.device)
            texts.extend(batch)
            return found

        rows += computing.over(items, compute, unit="texts")
        return ClassPrediction(tuple(texts), classes, np.concatenate(rows))

    def _probabilities(self, texts: Sequence[str], device: torch.device) -> NDArray[np.float64]:
        """Return (texts, classes of the main task)."""
        tokens = encode_known(self.config.data, texts, self.facts["words"])
        nothing = np.zeros((len(texts), 1), dtype=np.int64)
        data = TextData(texts, tokens, nothing, classes={}, vocabulary=self.facts["vocabulary"])
        batch = move(data.batch(range(len(texts))), device)
        classes = len(self.facts["classes"]["label"])
        logits = self.model(batch["tokens"], batch["length"])[:, :classes]
        found: NDArray[np.float64] = logits.float().double().softmax(dim=-1).cpu().numpy()
        return found


def examine(config: TextConfig, facts: Mapping[str, Any], paths: Sequence[Path], model: torch.nn.Module) -> Examination:
    """Return labelled texts for a trained classifier, and which of them it learned from.

    Raises:
        DataError: A file cannot be read, or has a class that the model does not know.
    """
    data, classes = config.data, facts["classes"]
    second = data.auxiliary.label_column if data.auxiliary and data.auxiliary.path is None else None
    writing = writing_of(data, auxiliary=second)
    parts = [part for path in paths for part in _parts(path.expanduser(), writing)]
    texts = [text for part in parts for text in part.texts]
    labels = [label for part in parts for label in part.labels]
    columns = [_numbers(labels, classes["label"])]
    if "auxiliary" in classes:
        others = [label for part in parts for label in part.auxiliary or (None,) * len(part)]
        columns.append(_numbers(others, classes["auxiliary"]))
    found = TextData(
        texts=texts,
        tokens=encode_known(data, texts, facts["words"]),
        labels=np.stack(columns, axis=1),
        classes={task: tuple(names) for task, names in classes.items()},
        vocabulary=facts["vocabulary"],
        words=facts["words"],
    )
    alone = config.model_copy(update={"distillation": None, "curriculum": None, "loss": LossSettings()})
    return Examination(TextTask(alone, found), found, tuple(_learned(texts, model)))


def _parts(place: Path, writing: Writing) -> Iterator[LabelledTexts]:
    """Yield the labelled texts of a file, of a folder of splits or a dataset (those for the test), or of any files."""
    if (
        place.is_dir()
        and not is_dataset(place)
        and not any(part_called(each.stem) == "train" for each in files_in(place))
    ):
        for file in files_of([place], TEXT_FILES - {".txt"}, what="file of labelled texts"):
            yield read_labelled(file, writing)
    else:
        yield labelled_for_test(place, writing)


def _numbers(labels: Sequence[str | None], classes: Sequence[str]) -> NDArray[np.int64]:
    unknown = sorted({label for label in labels if label is not None} - set(classes))
    if unknown:
        raise DataError(
            f"the data have the class '{unknown[0]}', which the model does not know; it knows: {', '.join(classes)}"
        )
    return encode_labels(labels, classes, "test")


def _learned(texts: Sequence[str], model: torch.nn.Module) -> Iterator[str]:
    """Say how many of the texts the model has learned from; the weights know their hashes."""
    seen = next(each for name, each in model.named_buffers() if name.endswith("fingerprint")).cpu().numpy()[1:]
    count = int(np.isin([text_hashes([text])[0] for text in texts], seen).sum())
    if count:
        yield (
            f"{count} of the {len(texts)} texts are among those that the model was trained on (case and white space "
            "apart), so that its scores are too good; leave them out"
        )
