import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import HpsearchError
from hpsearch.records import Goal
from hpsearch.space import MeanOfLast, Objective, objective_value

HISTORY = [(1, 3.0), (2, 1.0), (3, math.nan), (4, 1.0), (5, 2.0)]


def objective(at, goal=Goal.MINIMIZE):
    return Objective(metric="val/loss", goal=goal, at=at)


def test_the_best_value_is_the_earliest_of_equals_and_nan_is_passed_over():
    assert objective_value(HISTORY, objective("best")) == (1.0, 2)
    assert objective_value(HISTORY, objective("best", Goal.MAXIMIZE)) == (3.0, 1)


def test_the_last_value():
    assert objective_value(HISTORY, objective("last")) == (2.0, 5)


def test_the_mean_of_the_last_values():
    assert objective_value(HISTORY, objective(MeanOfLast(mean_of_last=2))) == (1.5, 5)
    assert objective_value(HISTORY[:2], objective(MeanOfLast(mean_of_last=9))) == (2.0, 2)
    assert math.isnan(objective_value(HISTORY, objective(MeanOfLast(mean_of_last=3)))[0])


def test_nothing_finite_and_nothing_at_all():
    value, step = objective_value([(1, math.nan), (2, math.inf)], objective("best", Goal.MAXIMIZE))
    assert math.isnan(value)
    assert step == 2
    with pytest.raises(HpsearchError, match="reported no val/loss"):
        objective_value([], objective("best"))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_the_best_value_is_the_extreme_one(values):
    history = list(enumerate(values))
    assert objective_value(history, objective("best")) == (min(values), values.index(min(values)))
    assert objective_value(history, objective("best", Goal.MAXIMIZE))[0] == max(values)
