"""The classes of new texts."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.data.text_files import TEXT_FILES, Writing, read_texts
from hpsearch.errors import DataError
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.families.prediction import Computing, Input, Predictor, files_of
from hpsearch.families.text_classifier.loading import TextData, encode_known
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
        "text), folders of them, or - for a text on each line of the standard input"
    )
    Options = TextOptions
    Result = ClassPrediction

    def read(self, inputs: Sequence[Input], options: TextOptions) -> Iterator[str]:
        """Return the texts: those of files that are given as a Path; a str is a text itself.

        Raises:
            DataError: A file cannot be read.
        """
        wrong = next((each for each in inputs if not isinstance(each, str | Path)), None)
        if wrong is not None:
            raise DataError(f"a text is a str, and a file of texts a Path; not {type(wrong).__name__}")
        files = {each: files_of([each], TEXT_FILES, what="file of texts") for each in inputs if isinstance(each, Path)}
        return self._texts(inputs, files, options)

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
                yield from read_texts(file, writing)

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
