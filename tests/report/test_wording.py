import pytest

from hpsearch.cleaning import one_line
from hpsearch.report.wording import assignments, duration, number, plain, rule, short_names, shorten


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.912345, "0.9123"),
        (3.1e-4, "3.1e-4"),
        (0.00999949, "0.009999"),
        (12345.678, "1.235e4"),
        (1e5, "1e5"),
        (-0.5, "-0.5"),
        (100.0, "100"),
        (0.0, "0"),
        (131072, "131072"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (None, "—"),
    ],
)
def test_numbers_have_four_significant_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "—"),
        (0, "0.0 s"),
        (14.21, "14.2 s"),
        (59.97, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
        (100 * 3600, "4 d 4 h"),
    ],
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_short_names_are_the_shortest_that_differ() -> None:
    paths = ["train.learning_rate", "model.encoder.width", "model.decoder.width", "width", "model.position.rope.base"]
    assert list(short_names(paths).values()) == ["learning_rate", "encoder.width", "decoder.width", "width", "base"]


def test_assignments() -> None:
    params = {"train.learning_rate": 3.1e-4, "model.norm": True, "model.kernels": [3, 3], "model.act": "ge\nlu"}
    assert assignments(params) == "learning_rate=3.1e-4 norm=true kernels=[3,3] act=ge lu"


def test_text_stays_on_one_line_and_bears_no_control_characters() -> None:
    assert one_line("a\n\tb\x1b[2Jc\u2028d") == "a b [2Jc d"
    assert plain({"a\n": 1}) == '{"a\\n":1}'


def test_shortening_marks_what_is_missing() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"


def test_the_objectives_rule_in_words() -> None:
    assert rule("best", "epoch") == "at the best epoch"
    assert rule({"mean_of_last": 3}, "step") == "mean of the last 3 steps"
