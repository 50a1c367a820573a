"""Files of labelled texts: JSON, JSON lines, CSV, TSV, fastText's lines, and lines that begin with their label.

Lines end at line feeds alone: `str.splitlines` would also cut at characters such as U+0085, which occur in old texts.
Needs no torch.
"""

import csv
import io
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hpsearch.data.labelled_text import LabelledTexts
from hpsearch.data.text import GuessedEncoding, read_text
from hpsearch.errors import DataError

Column = str | int
"""A column by its name, or by its number from 1 on."""
Quoting = Literal["auto", "csv", "none"]
"""Whether a table's fields may be quoted as in CSV, or quotation marks are characters like others; `auto` finds out."""
Format = Literal["auto", "json", "jsonl", "csv", "tsv", "fasttext", "label_first"]
"""`fasttext`: `__label__x text` on each line; `label_first`: a label, blanks, and the text."""

Rows = Iterator[tuple[str, Mapping[Any, Any]]]
"""Each example by its columns, with a description of its place."""

_ENDINGS: Mapping[str, Format] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
}
TEXT_FILES = frozenset({".txt", *_ENDINGS})
"""The endings of files of texts, see `read_texts`."""
_SEPARATORS = {"csv": ",", "tsv": "\t"}
_FASTTEXT = "__label__"
_QUESTION = re.compile(r"[A-Z]+:[A-Za-z]+ ")
"""How each line of the TREC questions begins: `DESC:manner How did ...`."""


@dataclass(frozen=True)
class Writing:
    """How labelled texts are written.

    `header`: whether the first row of a table names its columns; without one they have numbers. `class_names` are those
    of the labels `first_label`, `first_label` + 1 and so on. With `coarse` only what stands before the first colon of a
    label counts. With an `auxiliary_column` an example may lack one of its labels.
    """

    text_column: Column = "text"
    label_column: Column = "label"
    auxiliary_column: Column | None = None
    format: Format = "auto"
    quoting: Quoting = "auto"
    header: bool = True
    encoding: str = "auto"
    class_names: tuple[str, ...] = ()
    first_label: int = 0
    coarse: bool = False


def read_labelled(path: str | Path, writing: Writing) -> LabelledTexts:
    """Return the texts of a file with their labels, which are text or whole numbers.

    A `.json` file holds a list of objects, `.jsonl` (`.ndjson`) an object on each line, `.csv` and `.tsv` a table.

    Raises:
        DataError: the file cannot be read as labelled texts; it says where.
    """
    return labelled_from(_rows(Path(path), writing), writing, str(path))


def labelled_from(rows: Rows, writing: Writing, origin: str) -> LabelledTexts:
    """Return the texts of rows, each with a description of its place.

    Raises:
        DataError: a row has no text or no label, or there is none.
    """
    texts, labels, auxiliary = [], [], []
    second = writing.auxiliary_column
    for place, row in rows:
        text = _field(row, writing.text_column, place)
        if not isinstance(text, str):
            raise DataError(f"{place}: '{writing.text_column}' must be text, not {json.dumps(text, default=str)[:40]}")
        texts.append(text)
        if second is None and isinstance(writing.label_column, str) and writing.label_column not in row:
            raise DataError(
                f"{_lacking(row, writing.label_column, place)}. Texts without labels, as in GLUE's test.tsv, "
                "can be neither learned from nor scored on"
            )
        labels.append(_named(_label(row, writing.label_column, place, optional=second is not None), writing, place))
        if second is not None:
            auxiliary.append(_label(row, second, place, optional=True))
    if not texts:
        raise DataError(f"{origin} holds no examples")
    return LabelledTexts(tuple(texts), tuple(labels), tuple(auxiliary) if second is not None else None)


def read_texts(path: str | Path, writing: Writing) -> Iterator[str]:
    """Yield the texts of a file without their labels, if it has any: the formats of `read_labelled`, or .txt.

    A `.txt` file has a text on each line; empty lines are none. Labels before the texts are left out where all lines
    have them as in fastText's or TREC's files.

    Raises:
        DataError: the file cannot be read as texts; it says where.
    """
    place, empty = Path(path), True
    rows = _rows(place, writing)
    if place.suffix.lower() == ".txt" and _format_of(content := read_text(place, encoding=writing.encoding)) is None:
        lines = content.split("\n")
        rows = (("", {writing.text_column: line.removesuffix("\r")}) for line in lines if line.strip())
    elif place.suffix.lower() == ".txt":
        rows = _rows(place, replace(writing, format="auto"))
    for where, row in rows:
        text, empty = _field(row, writing.text_column, where), False
        if not isinstance(text, str):
            raise DataError(f"{where}: '{writing.text_column}' must be text, not {json.dumps(text)[:40]}")
        yield text
    if empty:
        raise DataError(f"{path} holds no texts")


def _named(label: str | None, writing: Writing, place: str) -> str | None:
    """Return the name of a label's class."""
    if label is None:
        return None
    if writing.coarse:
        coarse, colon, _ = label.partition(":")
        if not colon:
            raise DataError(f"{place}: the label '{label}' has no colon, which coarse_labels cuts at")
        label = coarse
    names, first = writing.class_names, writing.first_label
    if not names:
        return label
    number = int(label) - first if label.removeprefix("-").isdecimal() else -1
    if not 0 <= number < len(names):
        raise DataError(
            f"{place}: the label {label} has no name: there are {len(names)} class names, for the labels {first} to "
            f"{first + len(names) - 1}; first_label says where labels begin"
        )
    return names[number]


def _rows(path: Path, writing: Writing) -> Rows:
    """Yield each example with a description of its place."""
    content = read_text(path, encoding=writing.encoding)
    form = _ENDINGS.get(path.suffix.lower()) or _format_of(content) if writing.format == "auto" else writing.format
    if form in ("json", "jsonl") and isinstance(writing.text_column, int):
        raise DataError(f"{path}: objects have names, not numbers; give text_column and label_column by name")
    if form == "json":
        yield from _json_items(content, path)
    elif form == "jsonl":
        for number, line in _lines(content):
            yield f"{path}:{number}", _object(_parsed(line, path, first_line=number), f"{path}:{number}")
    elif form in ("fasttext", "label_first"):
        for number, line in _lines(content):
            label, text = _fasttext(line, f"{path}:{number}") if form == "fasttext" else _first_word(line)
            if not text:
                raise DataError(f"{path}:{number}: a label and a text were expected, not '{line.strip()[:40]}'")
            yield f"{path}:{number}", {writing.text_column: text, writing.label_column: label}
    elif form in _SEPARATORS:
        yield from _table_rows(content, path, _SEPARATORS[form], writing)
    else:
        known = ", ".join(_ENDINGS)
        raise DataError(
            f"{path}: neither the ending '{path.suffix}' nor the lines say what the format is; known are {known}, or "
            "data.format: json, jsonl, csv, tsv, fasttext (__label__x text) or label_first (label, blank, text)"
        )


def _lines(content: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(content.split("\n"), start=1) if line.strip())


def tells_labels(path: Path, encoding: str) -> bool:
    """Check whether all lines of a file begin with a label, as in fastText's and TREC's files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuessedEncoding)  # told where the texts are read
        try:
            return _format_of(read_text(path, encoding=encoding)) is not None
        except DataError:
            return False


def _format_of(content: str) -> Format | None:
    """Return the format of a file whose lines all tell it, or None."""
    lines = [line for _, line in _lines(content)]
    if not lines:
        return None
    if all(line.startswith(_FASTTEXT) for line in lines):
        return "fasttext"
    return "label_first" if all(_QUESTION.match(line) for line in lines) else None


def _fasttext(line: str, place: str) -> tuple[str, str]:
    label, text = _first_word(line)
    if not label.startswith(_FASTTEXT) or label == _FASTTEXT:
        raise DataError(f"{place}: the line does not begin with {_FASTTEXT} and a label: '{line.strip()[:40]}'")
    if text.startswith(_FASTTEXT):
        raise DataError(f"{place}: the line has several labels, and a text has one class here")
    return label.removeprefix(_FASTTEXT), text


def _first_word(line: str) -> tuple[str, str]:
    label, _, text = line.strip().replace("\t", " ", 1).partition(" ")
    return label, text.strip()


def _json_items(content: str, path: Path) -> Rows:
    items = _parsed(content, path, first_line=1)
    if not isinstance(items, list):
        raise DataError(
            f'{path} must hold a list of objects: [{{"text": ..., "label": ...}}, ...]; data.format: jsonl is for an '
            "object on each line"
        )
    for number, item in enumerate(items, start=1):
        yield f"{path}, item {number}", _object(item, f"{path}, item {number}")


def _table_rows(content: str, path: Path, separator: str, writing: Writing) -> Rows:
    """Yield the rows of a table. Commas need quotes around texts; tab-separated files are mostly written without."""
    quoting, header = writing.quoting, writing.header
    if quoting == "auto":
        quoting = "csv" if separator == "," else _quoting_of(content, path, separator, header=header)
    yield from (_quoted_rows if quoting == "csv" else _plain_rows)(content, path, separator, header=header)


def _quoting_of(content: str, path: Path, separator: str, *, header: bool) -> Quoting:
    """Guess the dialect of a tab-separated file: without quoting, if every line is a row then.

    What speaks for quoting all the same are fields that a CSV writer has quoted.

    Raises:
        DataError: both readings are possible, and give other rows.
    """
    if '"' not in content:
        return "none"
    try:
        plain = [row for _, row in _plain_rows(content, path, separator, header=header)]
    except DataError as uneven:
        _refuse_swallowed(_quoted_rows(content, path, separator, header=header), separator, uneven)
        return "csv"
    try:
        quoted = [row for _, row in _quoted_rows(content, path, separator, header=header)]
    except DataError:
        return "none"
    if not plain or not quoted or plain[0].keys() != quoted[0].keys():
        return "csv" if quoted else "none"  # the names of the columns are quoted
    if len(plain) == len(quoted):
        return "csv" if _is_quoted(plain, quoted) else "none"
    if any('"' in value and ("\n" in value or separator in value) for row in quoted for value in row.values()):
        raise DataError(
            f"{path} can be read in two ways: {len(plain)} rows where quotation marks are characters like others, or "
            f"{len(quoted)} where they enclose fields; say which with data.quoting: none, or csv"
        )
    return "none"


def _refuse_swallowed(rows: Rows, separator: str, uneven: DataError) -> None:
    """Refuse a file with an uneven row that is only even if a pair of quotation marks holds whole rows."""
    for place, row in rows:
        if any("\n" in value and separator in value for value in row.values()):
            raise DataError(
                f"{uneven}, unless quotation marks enclose fields, of which one that ends at {place} would hold "
                "several rows; say which with data.quoting: none, or csv"
            )


def _is_quoted(plain: Sequence[Mapping[str, str]], quoted: Sequence[Mapping[str, str]]) -> bool:
    """Check whether a CSV writer has doubled the quotation marks in a field, or quoted a column from end to end."""
    pairs = [(row[name], other[name]) for row, other in zip(plain, quoted, strict=True) for name in row]
    doubled = any('"' in meant for written, meant in pairs if written != meant)
    whole = any(all(len(row[name]) > 1 and row[name][0] == row[name][-1] == '"' for row in plain) for name in plain[0])
    return doubled or whole


def _plain_rows(content: str, path: Path, separator: str, *, header: bool) -> Rows:
    """Yield each line as a row."""
    lines = (line.removesuffix("\r") for line in content.split("\n"))
    fields = ((f"{path}:{number}", line.split(separator)) for number, line in enumerate(lines, start=1) if line)
    return _as_rows(fields, path, header=header)


def _quoted_rows(content: str, path: Path, separator: str, *, header: bool) -> Rows:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)

    def fields() -> Iterator[tuple[str, list[str]]]:
        try:
            for row in reader:
                if row:
                    yield f"{path}:{reader.line_num}", row
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: {error}") from None

    return _as_rows(fields(), path, header=header)


def _as_rows(fields: Iterator[tuple[str, list[str]]], path: Path, *, header: bool) -> Rows:
    """Yield the fields of each row by the names in the first one, or by their numbers."""
    names: list[str] | None = None
    for place, row in fields:
        if names is None:
            names = row if header else [str(number) for number in range(1, len(row) + 1)]
            _refuse_twice(names, path)
            if header:
                continue
        if len(row) != len(names):
            first = "as the first row names" if header else f"({len(names)}) as the first row"
            raise DataError(f"{place}: the row does not have as many fields {first}")
        yield place, dict(zip(names, row, strict=True))


def _refuse_twice(names: Sequence[str], path: Path) -> None:
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise DataError(f"{path}:1: the column '{twice[0]}' occurs twice; leave one of them, or give them other names")


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


def _field(row: Mapping[Any, Any], column: Column, place: str) -> Any:
    if column in row:
        return row[column]
    if isinstance(column, int) and 1 <= column <= len(row):
        return list(row.values())[column - 1]
    raise DataError(_lacking(row, column, place))


def _lacking(row: Mapping[Any, Any], column: Column, place: str) -> str:
    numbered = " (columns have numbers, from 1 on, where there is no header)" if "1" in row else ""
    hint = "; text_column says which one has the texts" if column == "text" else ""
    return f"{place} has no '{column}'; it has: {', '.join(map(str, row)) or 'nothing'}{numbered}{hint}"


def _label(row: Mapping[Any, Any], column: Column, place: str, *, optional: bool) -> str | None:
    value = row.get(column) if optional and isinstance(column, str) else _field(row, column, place)
    if optional and value in (None, ""):
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        told = json.dumps(value, default=str)[:40]
        raise DataError(f"{place}: the label '{column}' must be text or a whole number, not {told}")
    return str(value)
