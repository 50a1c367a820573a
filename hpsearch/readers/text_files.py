"""Files as other tools leave them: texts, metrics by line, and the configuration next to them.

They may have a byte order mark, or be cut off where the process that wrote them ended.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from hpsearch.errors import DataError
from hpsearch.plain_files import read_plain
from hpsearch.readers.naming import flatten

_UNFINISHED = re.compile(r"[+-]?([0-9]+[.,]|[0-9]*[.,]?[0-9]+[eE][+-]?|[.,])|[+-]", re.ASCII)
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PARAMETER_FILES = ("config", "params", "hparams", "args", "hyperparameters", "settings")
_ENDINGS = (".json", ".yaml", ".yml")
_MOST_BYTES = 512 << 20
"""Of a file with rows or lines; MOST_JSON and _MOST_YAML of one that is a single value, which takes more memory."""
MOST_JSON, _MOST_YAML = 64 << 20, 1 << 20
MOST_COLUMNS, MOST_CELLS = 20_000, 20_000_000
_MOST_VALUES = 100_000
"""Of a YAML document, aliases written out."""
_DEEPEST = 100
"""Levels of a YAML document: its parser in C has no bound of its own."""
_TEXTS: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Written in C, it is ten times as fast, where PyYAML was built with it."""


class TooLargeError(DataError):
    """A table of text has more cells or columns than are read."""


def read_text(file: Path, *, most: int = _MOST_BYTES) -> str:
    """Return the text of a file of at most `most` bytes: in the encoding of its byte order mark, else in UTF-8.

    A last letter of which only some bytes were written is left out.

    Raises:
        DataError: it cannot be read, is too large, or is not text in that encoding.
    """
    content = read_bytes(file, most=most)
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        return decoder.decode(content)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not text in {encoding.upper()}: byte {error.start} cannot be read") from error


def read_bytes(file: Path, *, most: int = _MOST_BYTES) -> bytes:
    """Return the content of a file of at most `most` bytes.

    Raises:
        DataError: it cannot be read, is no file, or is too large.
    """
    try:
        return read_plain(file, most=most)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error


def json_lines(file: Path) -> tuple[list[tuple[int, Any]], tuple[str, ...]]:
    """Return the values of a file with one on each line, with the lines' numbers, and what had to be left out.

    A process that is killed leaves a torn line, the last one or, if another went on, one in the middle: it costs that
    line.

    Raises:
        DataError: the file has several lines and none can be read.
    """
    found: list[tuple[int, Any]] = []
    wrong: list[tuple[int, Exception]] = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not (text := line.strip(" \t\r\0")):
            continue
        try:
            found.append((number, json.loads(text)))
        except (ValueError, RecursionError) as error:
            wrong.append((number, error))
    if len(wrong) > 1 and not found:
        raise DataError(f"{file}:{wrong[0][0]} is not valid JSON: {wrong[0][1]}") from wrong[0][1]
    return found, _left_out(file, [number for number, _ in wrong], len(found) and found[-1][0])


def bounded_rows(rows: Iterable[list[str]], file: Path) -> Iterator[list[str]]:
    """Yield the rows of a table of text as long as it is not too large.

    Raises:
        TooLargeError: it has too many columns or cells.
    """
    cells = 0
    for row in rows:
        cells += len(row)
        if len(row) > MOST_COLUMNS or cells > MOST_CELLS:
            found = f"a row of {len(row):,} cells" if len(row) > MOST_COLUMNS else f"more than {MOST_CELLS:,} cells"
            raise TooLargeError(
                f"{file} has {found}; tables of at most {MOST_CELLS:,} cells in {MOST_COLUMNS:,} columns are read"
            )
        yield row


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
    _check_depth(text)
    opened = loader(text)
    try:
        node = opened.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return opened.construct_document(node)
    finally:
        opened.dispose()


def _check_depth(text: str) -> None:
    """Refuse a text that nests too deeply, whichever way: by brackets, by dashes in a line, or by indentation."""
    depth = 0
    for found in _NESTING.finditer(text):
        mark = found[0]
        depth += 1 if mark in "[{" else -1 if mark in "]}" else 0
        if depth > _DEEPEST or len(mark) > 2 * _DEEPEST:
            raise ValueError("it is nested too deeply")


_NESTING = re.compile(rf"[\[\]{{}}]|^[ \t]{{{4 * _DEEPEST},}}|(?:[-?:][ \t]+){{{_DEEPEST + 1},}}", re.MULTILINE)


def _check_size(root: yaml.Node) -> None:
    """Refuse a document with too many values, where each alias counts as what it stands for."""
    count, waiting = 0, [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise ValueError("too many values, nested too deeply, or an endless alias")
        if isinstance(node, yaml.MappingNode):
            waiting += [(each, depth + 1) for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(each, depth + 1) for each in node.value]


def parse_json(file: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is not JSON.
    """
    return _parse(file, json.loads, most=MOST_JSON)


def parse_texts(file: Path) -> Any:
    """Read a YAML file with every value as the text in the file.

    Raises:
        DataError: it is not YAML.
    """
    return _parse(file, lambda text: _load_yaml(text, _TEXTS))


def _parse(file: Path, parse: Callable[[str], Any], *, most: int = _MOST_YAML) -> Any:
    text = read_text(file, most=most)
    try:
        return parse(text)
    except RecursionError as error:
        raise DataError(f"{file} cannot be read: it is nested too deeply") from error
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
