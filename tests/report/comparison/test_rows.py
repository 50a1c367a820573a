"""What a table of pairs shows after rounding says what the verdict says."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hpsearch.comparing.comparison import Comparison, Verdict
from hpsearch.comparing.conclusion import pair_sentence
from hpsearch.report.comparison.rows import fixed, headline, pair_rows, score_rows, shared_notes
from tests.comparing.arms import compare, seeds

SHAPE = (-1.2, -0.3, 0.1, 0.4, 1.0)
"""Five differences with a mean of 0."""


def near(p: float, *, unit: float = 1.0) -> Comparison:
    """Compare two arms whose paired t gives this p."""
    error = float(stats.sem(SHAPE))
    shift = float(stats.t.ppf(1 - p / 2, 4)) * error
    return compare(seeds("a", [unit * (shift + each) for each in SHAPE]) + seeds("b", [0.0] * 5))


def ends(text: str) -> Sequence[float]:
    low, high = (float(end.replace("−", "-")) for end in text.split(" to "))
    return low, high


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from([-1, 1]), st.integers(2, 6), st.sampled_from([1e-3, 1.0, 100.0]))
def test_an_interval_and_a_p_beside_their_limits_are_not_rounded_onto_them(side: int, digits: int, unit: float) -> None:
    compared = near(0.05 + side * 10.0**-digits / 4, unit=unit)
    (pair,), (row,) = compared.pairs, pair_rows(compared)
    decided = side < 0
    assert pair.verdict is (Verdict.BETTER if decided else Verdict.NOT_ENOUGH_EVIDENCE)
    low, high = ends(row.cells[4])
    assert (low > 0) == decided
    assert high > 0
    assert low != 0
    assert all((float(cell) <= 0.05) == decided for cell in row.cells[5:7])
    assert (float(pair_sentence(pair, compared).split("p = ")[1].split(";")[0].rstrip(".")) <= 0.05) == decided


def test_numbers_beyond_all_digits_stand_with_their_power_of_ten() -> None:
    (row,) = pair_rows(near(0.2, unit=1e40))
    assert row.cells[3].endswith("e+39")
    assert max(map(len, row.cells)) < 60
    assert math.isclose(float(row.cells[3]), 1.533 * 1e40 * float(stats.sem(SHAPE)), rel_tol=0.001)


@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_intervals_far_from_0_have_two_digits_of_their_width(unit: float) -> None:
    low, high = pair_rows(near(0.2, unit=unit))[0].cells[4].split(" to ")
    assert len(low.lstrip("−").replace("0", "").replace(".", "")) <= 2
    assert len(high.replace("0", "").replace(".", "")) <= 3


def test_the_rows_of_a_column_have_equally_many_decimals() -> None:
    compared = compare(seeds("a", SHAPE) + seeds("b", [each / 70 for each in SHAPE]) + seeds("c", [0.2] * 5))
    for cells in ([row.cells[4] for row in score_rows(compared)], [row.cells[3] for row in pair_rows(compared)]):
        assert len({len(cell.partition(".")[2]) for cell in cells}) == 1


def test_a_number_that_would_be_shown_as_0_keeps_its_sign() -> None:
    assert [fixed(value, 3) for value in (-0.00000168, 0.0, 0.25)] == ["−1.68e−06", "0.000", "0.250"]


def test_a_note_of_many_pairs_stands_once() -> None:
    compared = compare(seeds("a", [1.0]) + seeds("b", [2.0]) + seeds("c", [3.0]))
    notes = shared_notes(compared)
    assert len(notes) == len({note for pair in compared.pairs for note in pair.notes})
    assert all(note.startswith("all pairs: ") for note in notes)
    assert notes


def test_a_headline_says_what_is_compared() -> None:
    assert headline(compare(seeds("a", [1.0]) + seeds("b", [2.0]))).startswith("a and b by ")
    many = [run for place in range(9) for run in seeds(f"arm-{place}", [1.0])]
    assert headline(compare(many)).startswith("9 experiments by ")
