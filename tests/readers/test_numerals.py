"""What is a number, and which mark its decimals have."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import DataError
from hpsearch.readers.measurements import as_number
from hpsearch.readers.numerals import decimal_mark, parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        (" +3.50 ", 3.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("\u22120.25", -0.25),  # the sign that typesetters use
        ("-inf", -math.inf),
        ("9007199254740993", 9007199254740993),
        ("1_0", None),
        ("1_0.5", None),
        ("\u0663", None),  # an Arabic three
        ("0x1f", None),
        ("1,5", None),
        ("1,234", None),
        ("", None),
        ("0.5*", None),
        ("five", None),
    ],
)
def test_only_what_is_written_as_a_number_is_one(text: str, number: float | None) -> None:
    assert parse_number(text) == number
    assert as_number(text) == (None if number is None else float(number))


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("1,234.5", ".", 1234.5),
        ("1.234,5", ",", 1234.5),
        ("-12,345,678", ".", -12345678),
        ("1'234.5", ".", 1234.5),
        ("1\u00a0234,5", ",", 1234.5),
        ("0,800", ",", 0.8),
        ("0,800", ".", None),
        ("0.800", ",", None),
        ("12,34", ".", None),
        ("1,2345", ".", None),
    ],
)
def test_thousands_are_taken_apart_where_the_decimal_mark_is_known(text: str, mark: str, number: float | None) -> None:
    assert parse_number(text, mark, grouped=True) == number


@given(st.floats(allow_nan=False))
def test_what_python_writes_is_read_back(value: float) -> None:
    assert parse_number(repr(value)) == value
    assert parse_number(repr(value).replace(".", ","), ",") == value


@given(st.integers())
def test_integers_are_exact(value: int) -> None:
    assert parse_number(str(value)) == value


def test_a_number_of_a_thousand_digits_is_infinite() -> None:
    assert as_number("9" * 1000) == math.inf


@pytest.mark.parametrize(
    ("cells", "separator", "mark"),
    [
        (["1", "2"], ";", "."),
        (["0,5", "12"], ";", ","),
        (["0.5", "1,234"], ";", "."),
        (["0,800", "1,234"], ";", ","),
        (["1,234", "1,234,567"], ";", "."),
        (["1.234", "1.250"], ";", "."),
        (["1.234,5"], ";", ","),
        (["1e-3", None, "", "nan"], ";", "."),
    ],
)
def test_the_mark_is_what_the_numbers_show(cells: list[str | None], separator: str, mark: str) -> None:
    assert decimal_mark({"loss": cells}, separator=separator, place="t.csv") == mark


def test_one_mark_holds_for_the_whole_table() -> None:
    assert decimal_mark({"loss": ["1,234"], "accuracy": ["0.5"]}, separator=";", place="t.csv") == "."
    assert decimal_mark({"loss": ["1,234"], "accuracy": ["0,5"]}, separator=";", place="t.csv") == ","
    assert decimal_mark({"note": ["0.5", "so", "la"], "accuracy": ["0,5"]}, separator=";", place="t.csv") == ","
    assert decimal_mark({"layers": ["64,32"], "accuracy": ["0.5"]}, separator=",", place="t.csv") == "."


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"loss": ["7", "1,234"]}, "'1,234' in column 'loss', row 2 may be a number with decimals or with thousands"),
        ({"loss": ["0,5", "0.25"]}, "a comma by '0,5' in column 'loss', row 1, and a point by '0.25' in column"),
        ({"a": ["0,5"], "b": ["0.25"]}, "a comma by '0,5' in column 'a', row 1, and a point by '0.25' in column 'b'"),
        ({"a": ["1.234,5", "1,234.5"]}, 'say --decimal="," or --decimal="."'),
    ],
)
def test_what_the_numbers_leave_open_is_asked(columns: dict[str, list[str | None]], says: str) -> None:
    with pytest.raises(DataError, match=says.replace(".", r"\.")):
        decimal_mark(columns, separator=";", place="t.csv")
