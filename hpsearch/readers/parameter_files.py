"""The parameters of a run from the configuration file beside its metrics."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hpsearch.errors import DataError
from hpsearch.readers.naming import flatten

NAMES = ("config", "params", "hparams", "args", "hyperparameters", "settings")
ENDINGS = (".json", ".yaml", ".yml")


def read_parameters(folder: Path) -> dict[str, Any]:
    """Return the settings in a folder's configuration file, nested names dotted; empty when there is no such file.

    Errors: DataError for a file that cannot be read.
    """
    for name in NAMES:
        for ending in ENDINGS:
            file = folder / f"{name}{ending}"
            if file.is_file():
                content = parse_json(file) if ending == ".json" else _parse(file, yaml.safe_load)
                return flatten(content) if isinstance(content, dict) else {}
    return {}


def parse_json(file: Path) -> Any:
    """Return what a JSON file holds. Errors: DataError."""
    return _parse(file, json.loads)


def _parse(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
