"""Reading labelled texts from JSON, JSON lines, CSV and TSV. Needs no torch.

Lines end at line feeds alone: `str.splitlines` would also cut at characters such as U+0085, which stand in old texts.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.data.labelled_text import LabelledTexts
from hpsearch.data.text import read_text
from hpsearch.errors import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")


def read_labelled(
    path: str, *, text_column: str, label_column: str, auxiliary_column: str | None = None
) -> LabelledTexts:
    """Return the texts of a file with their labels, which are text or whole numbers.

    A `.json` file holds a list of objects, `.jsonl` (`.ndjson`) an object on each line, `.csv` and `.tsv` a table whose
    first row names the columns. With `auxiliary_column` an example may lack one of its labels. Errors: DataError, which
    says where.
    """
    texts, labels, auxiliary = [], [], []
    for place, row in _rows(Path(path)):
        text = _field(row, text_column, place)
        if not isinstance(text, str):
            raise DataError(f"{place}: '{text_column}' must be text, not {json.dumps(text)[:40]}")
        texts.append(text)
        labels.append(_label(row, label_column, place, optional=auxiliary_column is not None))
        if auxiliary_column is not None:
            auxiliary.append(_label(row, auxiliary_column, place, optional=True))
    if not texts:
        raise DataError(f"{path} holds no examples")
    return LabelledTexts(tuple(texts), tuple(labels), tuple(auxiliary) if auxiliary_column is not None else None)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each example with the words that say where it stands."""
    content = read_text(path)
    if path.suffix == ".json":
        yield from _json_items(content, path)
    elif path.suffix in _LINES:
        for number, line in enumerate(content.split("\n"), start=1):
            if line.strip():
                yield f"{path}:{number}", _object(_parsed(line, path, first_line=number), f"{path}:{number}")
    elif path.suffix in _SEPARATORS:
        yield from _table_rows(content, path, _SEPARATORS[path.suffix])
    else:
        known = ", ".join((".json", *_LINES, *_SEPARATORS))
        raise DataError(f"{path}: the ending '{path.suffix}' says nothing about the format; known: {known}")


def _json_items(content: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    items = _parsed(content, path, first_line=1)
    if not isinstance(items, list):
        raise DataError(f'{path} must hold a list of objects: [{{"text": ..., "label": ...}}, ...]')
    for number, item in enumerate(items, start=1):
        yield f"{path}, item {number}", _object(item, f"{path}, item {number}")


def _table_rows(content: str, path: Path, separator: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{place}: the row does not have as many fields as the first row names")
            yield place, row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}") from None


def _parsed(content: str, path: Path, *, first_line: int) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}:{line}:{error.colno} is not JSON: {error.msg}") from None


def _object(item: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise DataError(f"{place}: an object with a text and a label was expected, not {json.dumps(item)[:40]}")
    return item


def _field(row: Mapping[str, Any], column: str, place: str) -> Any:
    if column not in row:
        raise DataError(f"{place} has no '{column}'; it has: {', '.join(row) or 'nothing'}")
    return row[column]


def _label(row: Mapping[str, Any], column: str, place: str, *, optional: bool) -> str | None:
    value = row.get(column) if optional else _field(row, column, place)
    if optional and value in (None, ""):
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise DataError(f"{place}: the label '{column}' must be text or a whole number, not {json.dumps(value)[:40]}")
    return str(value)
