"""Files as other tools leave them: texts, metrics by line, and the configuration next to them.

They may have a byte order mark, or be cut off where the process that wrote them ended.
"""

import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from hpsearch.errors import DataError
from hpsearch.readers.naming import flatten

_UNFINISHED = re.compile(r"[+-]?([0-9]+[.,]|[0-9]*[.,]?[0-9]+[eE][+-]?|[.,])|[+-]", re.ASCII)
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PARAMETER_FILES = ("config", "params", "hparams", "args", "hyperparameters", "settings")
_ENDINGS = (".json", ".yaml", ".yml")
_TEXTS: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Written in C, it is ten times as fast, where PyYAML was built with it."""


def read_text(file: Path) -> str:
    """Return a file's text: in the encoding that its byte order mark names, else in UTF-8.

    A last letter of which only some bytes were written is left out.

    Raises:
        DataError: it is not text in that encoding.
    """
    content = file.read_bytes()
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        return decoder.decode(content)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not text in {encoding.upper()}: byte {error.start} cannot be read") from error


def json_lines(file: Path) -> tuple[list[tuple[int, Any]], tuple[str, ...]]:
    """Return the values of a file with one on each line, with the lines' numbers, and what had to be left out.

    A process that is killed leaves a torn line, the last one or, if another went on, one in the middle: it costs that
    line.

    Raises:
        DataError: the file has several lines and none can be read.
    """
    found: list[tuple[int, Any]] = []
    wrong: list[tuple[int, ValueError]] = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not (text := line.strip(" \t\r\0")):
            continue
        try:
            found.append((number, json.loads(text)))
        except ValueError as error:
            wrong.append((number, error))
    if len(wrong) > 1 and not found:
        raise DataError(f"{file}:{wrong[0][0]} is not valid JSON: {wrong[0][1]}") from wrong[0][1]
    return found, _left_out(file, [number for number, _ in wrong], len(found) and found[-1][0])


def is_cut_off(cell: str) -> bool:
    """Check whether the last cell of a text without an end of line is a number that lacks its end: `0.`, `1.2e-`."""
    return _UNFINISHED.fullmatch(cell.strip()) is not None


def _left_out(file: Path, wrong: list[int], last: int) -> tuple[str, ...]:
    if len(wrong) > 1:
        return (f"{file}: {len(wrong)} lines are not valid JSON and are left out, the first of them line {wrong[0]}",)
    return tuple(
        f"{file}: line {number} {'was cut off' if number > last else 'is not valid JSON'} and is left out"
        for number in wrong
    )


class _PlainLoader(yaml.SafeLoader):
    """Reads what is tagged as an object of Python's (Lightning tags tuples) as the plain value that is written."""


def _plain(loader: _PlainLoader, _kind: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else node.value


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", _plain)


def read_parameters(folder: Path) -> dict[str, Any]:
    """Return the settings in a folder's configuration file, nested names dotted; empty when there is no such file.

    Raises:
        DataError: the file cannot be read.
    """
    for name in _PARAMETER_FILES:
        for ending in _ENDINGS:
            file = folder / f"{name}{ending}"
            if file.is_file():
                content = parse_json(file) if ending == ".json" else _parse(file, _load_yaml)
                return flatten(content) if isinstance(content, dict) else {}
    return {}


def _load_yaml(text: str, loader: Any = _PlainLoader) -> Any:
    """Read the one document of a text by a loader that makes plain values only, never objects of Python's."""
    opened = loader(text)
    try:
        return opened.get_single_data()
    finally:
        opened.dispose()


def parse_json(file: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is not JSON.
    """
    return _parse(file, json.loads)


def parse_texts(file: Path) -> Any:
    """Read a YAML file with every value as the text in the file.

    Raises:
        DataError: it is not YAML.
    """
    return _parse(file, lambda text: _load_yaml(text, _TEXTS))


def _parse(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(read_text(file))
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
