"""A table as its file holds it: named columns of cells, whatever separates them and however they are typed.

csv, tsv    texts; the separator is recognised, or asked for where several fit
parquet     typed cells; a named index is a column like the others
jsonl       typed cells; nested objects become dotted names
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError, UnknownNameError
from hpsearch.extras import Extra, require
from hpsearch.plain_files import open_plain
from hpsearch.readers import Wanted
from hpsearch.readers.naming import flatten
from hpsearch.readers.numerals import MARKS
from hpsearch.readers.text_files import (
    MOST_CELLS,
    MOST_COLUMNS,
    TooLargeError,
    bounded_rows,
    is_cut_off,
    json_lines,
    read_text,
)

TEXT_ENDINGS = (".csv", ".tsv")
ENDINGS = (*TEXT_ENDINGS, ".parquet", ".jsonl")
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "space": " "}
"""By the names that `--separator` takes; it takes the marks themselves too."""
_MOST_UNPACKED = 1 << 30
"""Bytes of a parquet file when it is unpacked."""
_SAMPLE = 200
"""Rows by which the separator is recognised."""
_RULE = re.compile(r":?-{2,}:?")
"""The line below the header of a table in Markdown."""
_NOTHING = "\x1f"
"""Separates nothing: of a table with one column."""
_UNNAMED = re.compile(
    r"|unnamed: \d+(\.\d+)?|unnamed: \d+_level_\d+|__index_level_\d+__|level_\d+|\.\.\.\d+", re.IGNORECASE
)
"""What pandas, Arrow and R call the column of row labels."""


@dataclass(frozen=True)
class Table:
    """Columns by their stripped names, in the file's order; an empty cell is None. Rows count from 1, below the header.

    Of a text file (`separator` is not empty) all cells are texts.
    """

    path: Path
    columns: dict[str, list[Any]]
    separator: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of rows below the header."""
        return max((len(cells) for cells in self.columns.values()), default=0)


def is_unnamed(name: str) -> bool:
    """Check whether a column's name only says that it has none, as an index that was written with the rows."""
    return _UNNAMED.fullmatch(name) is not None


def load_table(path: Path, wanted: Wanted) -> Table:
    """Read a table; the separator of a text file is recognised unless it is said.

    Raises:
        DataError: the file is not a table; it names the row.
        UnknownNameError: there is no such separator or decimal mark.
    """
    if wanted.separator is not None and wanted.separator not in {*SEPARATORS, *SEPARATORS.values()}:
        raise UnknownNameError("separator", wanted.separator, SEPARATORS)
    if wanted.decimal not in (None, *MARKS):
        raise UnknownNameError("decimal mark", str(wanted.decimal), MARKS)
    separator = wanted.separator
    if path.suffix.lower() == ".parquet":
        table = _parquet(path)
    elif path.suffix.lower() == ".jsonl":
        table = _json_lines(path)
    else:
        table = _texts(path, separator and SEPARATORS.get(separator, separator))
    if not table.rows:
        raise DataError(f"{path} has no rows" if table.columns else f"{path} is empty")
    return table


def _parquet(path: Path) -> Table:
    require(f"reading {path}", Extra.PARQUET, kind=DataError)
    import pandas as pd

    _check_parquet(path)
    try:
        frame = pd.read_parquet(path, dtype_backend="pyarrow")  # integers stay exact next to empty cells
    except (ValueError, OSError) as error:  # Arrow's errors are of these kinds
        raise DataError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from error
    columns: dict[str, list[Any]] = {}
    for level in range(frame.index.nlevels):
        values = frame.index.get_level_values(level)
        if values.name is not None or not isinstance(frame.index, pd.RangeIndex):
            name = f"level_{level}" if values.name is None else str(values.name).strip()
            columns[name] = [_plain(value) for value in values.tolist()]
    for position, label in enumerate(frame.columns):
        name = str(label).strip()
        cells = [_plain(value) for value in frame.iloc[:, position].tolist()]
        if columns.get(name, cells) != cells:
            raise DataError(f"{path}: '{name}' is the name of two columns or of an index and a column")
        columns[name] = cells
    return Table(path, columns)


def _check_parquet(path: Path) -> None:
    """Refuse a table that would take too much memory, by what it says of itself, before any of it is unpacked."""
    from pyarrow.parquet import ParquetFile

    try:
        with open_plain(path) as file, ParquetFile(file) as parquet:
            about = parquet.metadata
            groups = [about.row_group(index) for index in range(about.num_row_groups)]
            rows, columns, unpacked = about.num_rows, about.num_columns, sum(each.total_byte_size for each in groups)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as a table: {' '.join(str(error).split())}") from error
    if columns > MOST_COLUMNS or rows * columns > MOST_CELLS or unpacked > _MOST_UNPACKED:
        raise DataError(
            f"{path} has {rows:,} rows of {columns:,} columns, {unpacked:,} bytes; tables of at most {MOST_CELLS:,} "
            f"cells in {MOST_COLUMNS:,} columns and {_MOST_UNPACKED:,} bytes are read"
        )


def _plain(value: Any) -> Any:
    """Return a cell as a value of Python's own; missing ones of all kinds are None."""
    import pandas as pd

    if isinstance(value, str | bool | int | list | dict):
        return value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if hasattr(value, "total_seconds"):
        return float(value.total_seconds())
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real | Decimal) else str(value)


def _json_lines(path: Path) -> Table:
    lines, warnings = json_lines(path)
    rows = []
    for number, row in lines:
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number} is not a JSON object, so that it has no named cells")
        rows.append({name.strip(): value for name, value in flatten(row).items()})
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(path, {name: [row.get(name) for row in rows] for name in names}, warnings=list(warnings))


def _texts(path: Path, separator: str | None) -> Table:
    text = read_text(path)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line}: NUL characters are no text: save the file as UTF-8")
    announced = re.match(r'"?sep=(.)"?\r?\n', text)  # Excel's way to say it
    if announced:
        separator, text = separator or announced[1], text[announced.end() :]
    if not text.strip():
        raise DataError(f"{path} is empty")
    whole = _without_open_quotes(text)
    separator = separator or _recognised(path, whole)
    header, *rows = _records(path, whole, separator)
    warnings = []
    if whole != text or _torn(text, header, rows):
        rows = rows if whole != text else rows[:-1]
        warnings.append(f"{path}: the last row is torn and is left out")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(_ragged(path, number, row, header, separator))
    names = _names(path, header)
    columns = {name: [row[place] if row[place].strip() else None for row in rows] for place, name in enumerate(names)}
    return Table(path, columns, separator, warnings)


def _ragged(path: Path, number: int, row: Sequence[str], header: Sequence[str], separator: str) -> str:
    by = "".join(f", separated by {name}" for name, mark in SEPARATORS.items() if mark == separator)
    return (
        f"{path}: row {number} has {len(row)} cells{by}, but the header names {len(header)} columns: a cell that holds "
        "the separator needs quotes, as a decimal comma does; --separator says another one"
    )


def _names(path: Path, header: Sequence[str]) -> list[str]:
    """Return the columns' names; one without a name is called by its place.

    Raises:
        DataError: a name occurs twice.
    """
    names = [name.strip() for name in header]
    names = [name or ("" if place == 0 else f"Unnamed: {place}") for place, name in enumerate(names)]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called '{twice}'")
    return names


def _without_open_quotes(text: str) -> str:
    """Return a text without its last line if that was cut short between quotes."""
    above, end, last = text.rpartition("\n")
    return above + end if above.count("\n") and last.count('"') % 2 and text.count('"') % 2 else text


def _torn(text: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Check whether the writing of the last row was cut short."""
    if len(rows) < 2 or text.endswith(("\n", "\r")):
        return False
    return len(rows[-1]) < len(header) or is_cut_off(rows[-1][-1])


def _records(path: Path, text: str, separator: str, most: int | None = None) -> list[list[str]]:
    """Split a text into rows of cells, the first `most`; blank lines, and separators that end all lines, are left out.

    Raises:
        DataError: quotes do not fit.
    """
    lines = io.StringIO(text, newline="")
    if separator == " ":
        rows = csv.reader((line.strip() + "\n" for line in lines), delimiter=" ", skipinitialspace=True, strict=True)
    else:
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t", strict=True)
    try:
        filled = (row for row in bounded_rows(rows, path) if any(cell.strip() for cell in row))
        records = list(islice(filled, most))
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num} cannot be read as a row of a table: {error}") from error
    if len(records) > 1 and all(not cell.strip() or _RULE.fullmatch(cell.strip()) for cell in records[1]):
        del records[1]
    header, below = records[0], records[1:]
    if len(below) > 0 and all(len(row) > 1 and not row[-1].strip() for row in below):
        if len(header) > 1 and not header[-1].strip() and all(len(row) == len(header) for row in below):
            return [row[:-1] for row in records]
        if all(len(row) == len(header) + 1 for row in below):
            return [header, *(row[:-1] for row in below)]
    return records


def _recognised(path: Path, text: str) -> str:
    """Return the separator: the one by which all rows have as many cells as the header.

    A header without any separator makes a table of one column.

    Raises:
        DataError: several separators fit.
    """
    fitting, in_header = [], []
    too_large: TooLargeError | None = None
    for mark in SEPARATORS.values():
        try:
            header, *rows = _records(path, text, mark, _SAMPLE)
        except TooLargeError as error:
            too_large = too_large or error
            continue
        except DataError:
            continue
        if len(header) > 1:
            in_header.append(mark)
            whole = rows[:-1] if _torn(text, header, rows) else rows
            if all(len(row) == len(header) for row in whole):
                fitting.append(mark)
    likely = [mark for mark in fitting if mark != " "] or fitting or [mark for mark in in_header if mark != " "]
    if len(likely) > 1:
        known = " or by ".join(name for name, mark in SEPARATORS.items() if mark in likely)
        raise DataError(f"{path}: the columns may be separated by {known}: say which with --separator")
    if too_large and not likely:
        raise too_large
    return likely[0] if likely else _NOTHING
