"""What a goal says of two values."""

import math

import pytest

from hpsearch.records import Goal


def test_values_times_the_sign_are_maximized() -> None:
    assert [max((2.0, 3.0), key=lambda value: goal.sign * value) for goal in Goal] == [2.0, 3.0]


@pytest.mark.parametrize(("goal", "better", "worse"), [(Goal.MINIMIZE, 1.0, 2.0), (Goal.MAXIMIZE, 2.0, 1.0)])
def test_a_value_is_better_than_a_worse_one_alone(goal: Goal, better: float, worse: float) -> None:
    assert goal.better(better, than=worse)
    assert not goal.better(worse, than=better)
    assert not goal.better(better, than=better)
    assert not goal.better(math.nan, than=worse)
