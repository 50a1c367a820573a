"""The parameters of a run from the configuration file beside its metrics."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hpsearch.errors import DataError
from hpsearch.readers.naming import flatten
from hpsearch.readers.text_files import read_text

NAMES = ("config", "params", "hparams", "args", "hyperparameters", "settings")
ENDINGS = (".json", ".yaml", ".yml")
_TEXTS: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Written in C, it is ten times as fast, where PyYAML was built with it."""


class _PlainLoader(yaml.SafeLoader):
    """Reads what is tagged as an object of Python's, as Lightning tags tuples, as the plain value that stands there."""


def _plain(loader: _PlainLoader, _kind: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else node.value


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", _plain)


def read_parameters(folder: Path) -> dict[str, Any]:
    """Return the settings in a folder's configuration file, nested names dotted; empty when there is no such file.

    Errors: DataError for a file that cannot be read.
    """
    for name in NAMES:
        for ending in ENDINGS:
            file = folder / f"{name}{ending}"
            if file.is_file():
                content = parse_json(file) if ending == ".json" else _parse(file, _load_yaml)
                return flatten(content) if isinstance(content, dict) else {}
    return {}


def _load_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a safe loader, which makes no objects


def parse_json(file: Path) -> Any:
    """Return what a JSON file holds. Errors: DataError."""
    return _parse(file, json.loads)


def parse_texts(file: Path) -> Any:
    """Return what a YAML file holds, its values as the texts that stand there. Errors: DataError."""
    return _parse(file, lambda text: yaml.load(text, Loader=_TEXTS))  # noqa: S506 - it makes texts only


def _parse(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(read_text(file))
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
