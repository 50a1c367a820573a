"""The prediction of a classifier: for each input the probability of each class. Free of torch."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hpsearch.cleaning import csv_cell
from hpsearch.families.prediction import Prediction

_SHOWN = 20
"""Inputs that a terminal shows."""
_WIDTH = 60
"""Characters of an input that a terminal shows."""


@dataclass(frozen=True)
class ClassPrediction(Prediction):
    """The classes of N inputs.

    Attributes:
        inputs: The N texts, or names of files.
        classes: The names of the C classes.
        probabilities: (N, C), of each class; each row adds up to 1.
    """

    endings: ClassVar = {
        ".csv": "a row for each input: the input, its class, the class's probability, and that of each class",
        ".jsonl": "the same as an object on each line",
        ".npz": "arrays: inputs (N,), classes (C,), probabilities (N, C)",
    }
    inputs: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def answers(self) -> tuple[str, ...]:
        """The most probable class of each input; of equals the first."""
        return tuple(self.classes[number] for number in self.probabilities.argmax(axis=1))

    def summary(self) -> str:
        """Return a line for each of the first inputs: its class, the probability, the input."""
        highest, width = self.probabilities.max(axis=1), max(map(len, self.classes))
        lines = [
            f"{answer:<{width}}  {probability:.3f}  {' '.join(each.split())[:_WIDTH]}"
            for each, answer, probability in zip(self.inputs[:_SHOWN], self.answers, highest, strict=False)
        ]
        more = len(self) - len(lines)
        return "\n".join([*lines, *([f"and {more:,} more; --out FILE writes all"] if more > 0 else [])])

    def save(self, path: Path, ending: str) -> None:
        """Write all inputs with their classes."""
        if ending == ".npz":
            arrays: dict[str, Any] = {"inputs": np.array(self.inputs), "classes": np.array(self.classes)}
            np.savez(path, probabilities=self.probabilities, **arrays)
            return
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = zip(self.inputs, self.answers, self.probabilities.tolist(), strict=True)
            if ending == ".csv":
                writer = csv.writer(file)
                titles = ["input", "class", "probability", *(f"p({name})" for name in self.classes)]
                writer.writerow(map(csv_cell, titles))
                writer.writerows([csv_cell(each), csv_cell(answer), max(row), *row] for each, answer, row in rows)
                return
            for each, answer, row in rows:
                chances = dict(zip(self.classes, row, strict=True))
                content = {"input": each, "class": answer, "probability": max(row), "probabilities": chances}
                file.write(json.dumps(content, ensure_ascii=False) + "\n")
