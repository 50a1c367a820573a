"""Numbers as texts write them: what is one, and whether a table's decimal mark is the point or the comma."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hpsearch.errors import DataError

POINT, COMMA = MARKS = ".", ","
_SPACES = "'\u2019\u00a0\u202f"
"""Marks between groups of three digits that are never decimal marks."""
_PLAIN = {
    mark: re.compile(rf"[+-]?([0-9]+({re.escape(mark)}[0-9]*)?|{re.escape(mark)}[0-9]+)([eE][+-]?[0-9]+)?")
    for mark in MARKS
}
_GROUPED = {
    POINT: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}([,{_SPACES}][0-9]{{3}})+(\.[0-9]*)?"),
    COMMA: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}([.{_SPACES}][0-9]{{3}})+(,[0-9]*)?"),
}
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]+")


def parse_number(text: str, decimal: str = POINT, *, grouped: bool = False) -> int | float | None:
    """Return the number that a text is, or None. Only what is written in ASCII digits counts: `1_0` is none.

    `grouped` takes thousands apart too: `1,234.5` with a decimal point, `1.234,5` with a decimal comma.
    """
    text = text.strip().replace("\u2212", "-")
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 300 else float(text)  # a float of more digits is infinite
    if _NOT_FINITE.fullmatch(text):
        return float(text)
    if _PLAIN[decimal].fullmatch(text):
        return float(text.replace(decimal, POINT))
    if grouped and _GROUPED[decimal].fullmatch(text):
        return float(re.sub(rf"[^0-9{re.escape(decimal)}+-]", "", text).replace(decimal, POINT))
    return None


@dataclass(frozen=True)
class _Sight:
    """A number that tells something of the decimal mark, and its place."""

    text: str
    column: str
    row: int

    def __str__(self) -> str:
        return f"'{self.text}' in column '{self.column}', row {self.row}"


def decimal_mark(columns: Mapping[str, Sequence[str | None]], *, separator: str, place: str) -> str:
    """Return the decimal mark of a table's numbers: one mark holds for the whole table.

    `0,85` shows a comma, `0.85` a point, `1,234` alone leaves it open. In a table that is separated by commas a quoted
    `64,32` in a column with `0.85` is a text.

    Raises:
        DataError: the numbers contradict each other or leave it open.
    """
    shown: dict[str, _Sight] = {}
    in_column: dict[str, dict[str, _Sight]] = {}
    open_: _Sight | None = None
    for sight in _sights(columns):
        mark = _shows(sight.text)
        if mark is None:
            open_ = open_ or sight
        else:
            shown.setdefault(mark, sight)
            in_column.setdefault(sight.column, {}).setdefault(mark, sight)
    for marks in in_column.values():
        if len(marks) > 1:
            raise _contradiction(place, marks)
    if len(shown) > 1 and separator != COMMA:
        raise _contradiction(place, shown)
    if not shown and open_ is not None:
        raise DataError(
            f'{place}: {open_} may be a number with decimals or with thousands: say --decimal="," or --decimal="."'
        )
    return COMMA if shown.keys() == {COMMA} else POINT


def _contradiction(place: str, shown: Mapping[str, _Sight]) -> DataError:
    return DataError(
        f"{place}: the decimal mark is a comma by {shown[COMMA]}, and a point by {shown[POINT]}: "
        'say --decimal="," or --decimal="."'
    )


def _sights(columns: Mapping[str, Sequence[str | None]]) -> Iterator[_Sight]:
    """Yield the numbers with a mark, of columns that hold mostly numbers."""
    for name, cells in columns.items():
        filled = [(row, text.strip()) for row, text in enumerate(cells, start=1) if text and text.strip()]
        numbers = [(row, text) for row, text in filled if _is_any_number(text)]
        if 2 * len(numbers) > len(filled):
            yield from (_Sight(text, name, row) for row, text in numbers if POINT in text or COMMA in text)


def _is_any_number(text: str) -> bool:
    return any(parse_number(text, mark, grouped=True) is not None for mark in MARKS)


def _shows(text: str) -> str | None:
    """Return the only decimal mark with which a text is a number, or None if both are possible.

    `1.234` counts as written with a decimal point, as programs write it; `1,234` may be either.
    """
    with_point = parse_number(text, POINT, grouped=True) is not None
    with_comma = parse_number(text, COMMA, grouped=True) is not None
    if with_point and with_comma:
        return POINT if COMMA not in text else None
    return POINT if with_point else COMMA
