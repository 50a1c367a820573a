"""Labelled texts: from files, or the docstrings of the standard library, a corpus that every Python brings.

Texts that occur in two parts of the data, or twice in one, make a test score too good. Files are JSON, JSON lines, CSV
and TSV. Lines end at line feeds alone: `str.splitlines` would also cut at characters such as U+0085, which occur in old
texts. Needs no torch.
"""

import ast
import csv
import hashlib
import io
import json
import sysconfig
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.text import read_text
from hpsearch.errors import DataError, UnknownNameError

_MODULES = {
    "archives": "tarfile zipfile gzip bz2 lzma shutil",
    "asyncio": "asyncio",
    "collections": "collections _collections_abc heapq bisect weakref _weakrefset queue operator functools",
    "dates": "datetime _pydatetime calendar zoneinfo _strptime",
    "debugging": "pdb bdb cmd trace profile pstats cProfile timeit",
    "email": "email mailbox",
    "files": "pathlib os tempfile posixpath ntpath genericpath fnmatch glob _pyio fileinput",
    "importing": "importlib pkgutil zipimport modulefinder runpy",
    "inspection": "inspect ast dis tokenize symtable pydoc pyclbr traceback",
    "logging": "logging",
    "numbers": "_pydecimal fractions statistics numbers random",
    "processes": "multiprocessing concurrent threading subprocess",
    "testing": "unittest doctest",
    "typing": "typing enum dataclasses abc _py_abc types",
    "web": "http urllib xmlrpc wsgiref socketserver",
    "xml": "xml",
}
TOPICS: Mapping[str, tuple[str, ...]] = {topic: tuple(modules.split()) for topic, modules in _MODULES.items()}
"""The classes of the corpus `docstrings`, and the modules and packages of each; one that a Python lacks is left out."""
SHORTEST = 4
"""A docstring of fewer words says too little about what it belongs to."""
_SHOWN = 3


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with their labels, and labels for an optional second task; None for an example without one."""

    texts: tuple[str, ...]
    labels: tuple[str | None, ...]
    auxiliary: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, indices: Iterable[int]) -> "LabelledTexts":
        """Return the examples at these indices."""
        chosen = [int(index) for index in indices]
        auxiliary = None if self.auxiliary is None else tuple(self.auxiliary[index] for index in chosen)
        return LabelledTexts(
            tuple(self.texts[index] for index in chosen), tuple(self.labels[index] for index in chosen), auxiliary
        )


@cache
def docstrings(topics: tuple[str, ...] = tuple(TOPICS)) -> LabelledTexts:
    """Return the docstrings of the running Python's standard library; the label is the topic of their module.

    They are those of modules, classes and functions, in the order of the files, without the packages' tests; with
    `topics` only of those. A text that occurs in several places is kept once, and not at all where its topics differ.
    The corpus belongs to the Python release: 4,383 texts of 16 topics in CPython 3.11, half of them of 15 words or
    fewer.

    Raises:
        DataError: the standard library is not there as source.
        UnknownNameError: there is no such topic.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found: dict[str, tuple[str, set[str]]] = {}
    for topic in topics:
        if topic not in TOPICS:
            raise UnknownNameError("topic of the corpus docstrings", topic, TOPICS)
        for module in TOPICS[topic]:
            for text in _module_docstrings(library, module):
                if len(text.split()) >= SHORTEST:
                    found.setdefault(normalised(text), (text, set()))[1].add(topic)
    kept = [(text, next(iter(topics))) for text, topics in found.values() if len(topics) == 1]
    missing = set(topics) - {topic for _, topic in kept}
    if missing:
        names = ", ".join(sorted(missing))
        raise DataError(
            f"the corpus 'docstrings' needs the standard library's sources; {library} lacks those of {names}"
        )
    texts, labels = zip(*kept, strict=True)
    return LabelledTexts(texts, labels)


def normalised(text: str) -> str:
    """Return a text without what tells copies apart: case, and how white space is laid out."""
    return " ".join(text.casefold().split())


def _module_docstrings(library: Path, module: str) -> Iterator[str]:
    package, file = library / module, library / f"{module}.py"
    files = sorted(package.rglob("*.py")) if package.is_dir() else [file] if file.is_file() else []
    for path in files:
        if not {"test", "tests"} & set(path.relative_to(library).parts):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield ast.get_docstring(node) or ""


CORPORA: Mapping[str, Callable[..., LabelledTexts]] = {"docstrings": docstrings}
"""The labelled texts that need no file, by name; each takes the classes that are wanted, or nothing for all."""


@dataclass(frozen=True)
class Leakage:
    """Indices into the checked part, in order."""

    exact: tuple[int, ...]
    """Texts that are also in the other part, letter by letter."""
    nearly: tuple[int, ...]
    """Texts that are there except for case and white space."""
    repeated: tuple[int, ...]
    """Texts that occur earlier in the checked part itself, whatever their case and white space."""


def find_leakage(checked: Sequence[str], learned: Collection[str]) -> Leakage:
    """Return which of the `checked` texts are also among those that were learned from, and which occur twice."""
    exact_texts, texts = set(learned), {normalised(text) for text in learned}
    exact, nearly, repeated = [], [], []
    seen: set[str] = set()
    for index, text in enumerate(checked):
        plain = normalised(text)
        if text in exact_texts:
            exact.append(index)
        elif plain in texts:
            nearly.append(index)
        if plain in seen:
            repeated.append(index)
        seen.add(plain)
    return Leakage(tuple(exact), tuple(nearly), tuple(repeated))


def text_hashes(texts: Iterable[str]) -> NDArray[np.int64]:
    """Return a number for each different text, in ascending order; case and white space do not matter.

    They are 64 bits of BLAKE2b: among a million texts two share a number with a probability of 3e-8.
    """
    numbers = {_number(normalised(text)) for text in texts}
    return np.sort(np.fromiter(numbers, dtype=np.int64, count=len(numbers)))


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def without_leakage(part: LabelledTexts, learned: Collection[str], *, name: str, drop: bool) -> LabelledTexts:
    """Return a part, without the texts that were learned from if they are to be dropped; warn if there are any."""
    found = find_leakage(part.texts, learned)
    leaked = sorted((*found.exact, *found.nearly))
    if not leaked:
        return part
    shown = "; ".join(repr(part.texts[index][:60]) for index in leaked[:_SHOWN])
    warnings.warn(
        f"{len(leaked)} of {len(part)} {name} texts are also in the data before them: "
        f"{len(found.exact)} letter by letter, "
        f"{len(found.nearly)} but for case and white space, for example {shown}"
        + ("; they are left out" if drop else "; data.leaked: drop leaves them out"),
        stacklevel=2,
    )
    return part.part(index for index in range(len(part)) if index not in set(leaked)) if drop else part


def without_repeats(texts: LabelledTexts) -> LabelledTexts:
    """Return the first of each group of texts that differ in case and white space only."""
    repeated = set(find_leakage(texts.texts, ()).repeated)
    return texts.part(index for index in range(len(texts)) if index not in repeated)


_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
TEXT_FILES = frozenset({".txt", ".json", *_LINES, *_SEPARATORS})
"""The endings of files of texts, see `read_texts`."""


Quoting = Literal["auto", "csv", "none"]
"""Whether a table's fields may be quoted as in CSV, or quotation marks are characters like others; `auto` finds out."""


def read_labelled(
    path: str, *, text_column: str, label_column: str, auxiliary_column: str | None = None, quoting: Quoting = "auto"
) -> LabelledTexts:
    """Return the texts of a file with their labels, which are text or whole numbers.

    A `.json` file holds a list of objects, `.jsonl` (`.ndjson`) an object on each line, `.csv` and `.tsv` a table whose
    first row names the columns. With `auxiliary_column` an example may lack one of its labels.

    Raises:
        DataError: the file cannot be read as labelled texts; it says where.
    """
    texts, labels, auxiliary = [], [], []
    for place, row in _rows(Path(path), quoting):
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


def read_texts(path: str | Path, *, text_column: str, quoting: Quoting = "auto") -> Iterator[str]:
    """Yield the texts of a file without their labels, if it has any: the formats of `read_labelled`, or .txt.

    A `.txt` file has a text on each line; empty lines are none.

    Raises:
        DataError: the file cannot be read as texts; it says where.
    """
    place, empty = Path(path), True
    if place.suffix.lower() == ".txt":
        rows: Iterable[tuple[str, Mapping[str, Any]]] = (
            ("", {text_column: line.removesuffix("\r")}) for line in read_text(place).split("\n") if line.strip()
        )
    else:
        rows = _rows(place, quoting)
    for where, row in rows:
        text, empty = _field(row, text_column, where), False
        if not isinstance(text, str):
            raise DataError(f"{where}: '{text_column}' must be text, not {json.dumps(text)[:40]}")
        yield text
    if empty:
        raise DataError(f"{path} holds no texts")


def _rows(path: Path, quoting: Quoting) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each example with a description of its place."""
    content = read_text(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        yield from _json_items(content, path)
    elif suffix in _LINES:
        for number, line in enumerate(content.split("\n"), start=1):
            if line.strip():
                yield f"{path}:{number}", _object(_parsed(line, path, first_line=number), f"{path}:{number}")
    elif suffix in _SEPARATORS:
        yield from _table_rows(content, path, _SEPARATORS[suffix], quoting)
    else:
        known = ", ".join((".json", *_LINES, *_SEPARATORS))
        raise DataError(f"{path}: the ending '{path.suffix}' says nothing about the format; known: {known}")


def _json_items(content: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    items = _parsed(content, path, first_line=1)
    if not isinstance(items, list):
        raise DataError(f'{path} must hold a list of objects: [{{"text": ..., "label": ...}}, ...]')
    for number, item in enumerate(items, start=1):
        yield f"{path}, item {number}", _object(item, f"{path}, item {number}")


def _table_rows(content: str, path: Path, separator: str, quoting: Quoting) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of a table. Commas need quotes around texts; tab-separated files are mostly written without."""
    if quoting == "auto":
        quoting = "csv" if separator == "," else _quoting_of(content, path, separator)
    yield from (_quoted_rows if quoting == "csv" else _plain_rows)(content, path, separator)


def _quoting_of(content: str, path: Path, separator: str) -> Quoting:
    """Guess the dialect of a tab-separated file: without quoting, if every line is a row then.

    What speaks for quoting all the same are fields that a CSV writer has quoted.

    Raises:
        DataError: both readings are possible, and give other rows.
    """
    if '"' not in content:
        return "none"
    try:
        plain = [row for _, row in _plain_rows(content, path, separator)]
    except DataError as uneven:
        _refuse_swallowed(content, path, separator, uneven)
        return "csv"
    try:
        quoted = [row for _, row in _quoted_rows(content, path, separator)]
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


def _refuse_swallowed(content: str, path: Path, separator: str, uneven: DataError) -> None:
    """Refuse a file with an uneven row that is only even if a pair of quotation marks holds whole rows."""
    for place, row in _quoted_rows(content, path, separator):
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


def _plain_rows(content: str, path: Path, separator: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each line as a row."""
    names: list[str] | None = None
    for number, line in enumerate(content.split("\n"), start=1):
        fields = line.removesuffix("\r").split(separator)
        if fields == [""]:
            continue
        if names is None:
            names = fields
            _refuse_twice(names, path)
        elif len(fields) != len(names):
            raise DataError(f"{path}:{number}: the row does not have as many fields as the first row names")
        else:
            yield f"{path}:{number}", dict(zip(names, fields, strict=True))


def _quoted_rows(content: str, path: Path, separator: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    try:
        _refuse_twice(reader.fieldnames or (), path)
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{place}: the row does not have as many fields as the first row names")
            yield place, row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}") from None


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
