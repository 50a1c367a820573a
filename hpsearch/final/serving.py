"""An exported model behind MLflow's server: `mlflow models serve -m models:/NAME/1 --env-manager local`.

The MLmodel file names this module, which MLflow imports; it loads weights and configuration from the model's folder.
Nothing is unpickled, and a request's text is never opened as a file.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.errors import HpsearchError
from hpsearch.families.prediction import Prediction
from hpsearch.final.opening import load_model
from hpsearch.final.trained_model import TrainedModel

_LINES = ".jsonl"


class ServedModel:
    """What MLflow calls: inputs are the column of a data frame, a list or an array; options are the request's `params`.

    Each answer is an object: that which the prediction's JSON lines hold.
    """

    def __init__(self, model: TrainedModel) -> None:
        self.model = model

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return an object for each input.

        Raises:
            HpsearchError: An input does not fit the model.
        """
        found = self.model.predict(self._contents(model_input), **(params or {}))
        return _objects(found)

    def _contents(self, given: Any) -> list[Any]:
        """Return the inputs as what they are: texts where the model takes texts, arrays of numbers else."""
        if hasattr(given, "columns"):  # a data frame
            if len(given.columns) != 1:
                raise HpsearchError(f"one column of inputs was expected, not {len(given.columns)}")
            given = given.iloc[:, 0].tolist()
        if isinstance(given, Mapping):
            if len(given) != 1:
                raise HpsearchError(f"one named list of inputs was expected, not {len(given)}")
            given = next(iter(given.values()))
        items = list(given.tolist() if isinstance(given, np.ndarray) and self.model.predictor.literal else given)
        if self.model.predictor.literal:
            if wrong := next((each for each in items if not isinstance(each, str)), None):
                raise HpsearchError(f"an input is a text here, not {type(wrong).__name__}")
            return items
        if any(isinstance(each, str | bytes) for each in items):
            raise HpsearchError("an input is an array of numbers here; a server opens no files")
        return [_array(each) for each in items]


def _array(given: Any) -> Any:
    """Return nested lists as an array; whole numbers in them are bytes."""
    array = np.asarray(given)
    whole = np.issubdtype(array.dtype, np.integer) and array.size and array.min() >= 0 and array.max() <= 255
    return array.astype(np.uint8) if whole else array


def _objects(found: Prediction) -> list[dict[str, Any]]:
    if _LINES not in found.endings:
        raise HpsearchError("the predictions of this family are no rows, so a server cannot answer with them")
    with tempfile.TemporaryDirectory() as folder:
        lines = found.write(Path(folder) / f"answers{_LINES}").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def _load_pyfunc(path: str) -> ServedModel:
    """Return what MLflow serves, from the folder of an exported model; MLflow asks for it by this name."""
    return ServedModel(load_model(path))
