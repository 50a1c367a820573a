import pytest

from hpsearch.records import Goal
from hpsearch.training.progress import Patience
from hpsearch.training.settings import EarlyStopping


def stops_at(values, settings, goal=Goal.MINIMIZE):
    """Return the position (from 1) of the value at which patience runs out."""
    patience = Patience(settings, goal)
    return next((place for place, value in enumerate(values, start=1) if patience.exhausted_by(value)), None)


def test_equal_values_are_no_gain():
    assert stops_at([1.0, 1.0, 1.0, 1.0], EarlyStopping(patience=2)) == 3


def test_any_gain_resets_the_count():
    assert stops_at([1.0, 1.1, 0.9, 1.0, 0.8, 0.9], EarlyStopping(patience=2)) is None


def test_the_goal_says_what_a_gain_is():
    rising = [0.1, 0.2, 0.3, 0.4]
    assert stops_at(rising, EarlyStopping(patience=2), Goal.MAXIMIZE) is None
    assert stops_at(rising, EarlyStopping(patience=2), Goal.MINIMIZE) == 3


def test_absolute_gain_adds_up_over_slow_progress():
    slow = [1.0, 0.96, 0.92, 0.88, 0.84, 0.80]
    assert stops_at(slow, EarlyStopping(patience=3, minimum_gain=0.1)) is None
    assert stops_at(slow, EarlyStopping(patience=2, minimum_gain=0.1)) == 3


def test_relative_gain_is_a_fraction_of_the_best_so_far():
    small = [0.010, 0.008, 0.006]
    assert stops_at(small, EarlyStopping(patience=1, minimum_gain=0.1, relative=True)) is None
    assert stops_at(small, EarlyStopping(patience=1, minimum_gain=0.1)) == 2


def test_relative_gain_of_a_negative_metric():
    assert stops_at([-10.0, -10.5, -12.0], EarlyStopping(patience=1, minimum_gain=0.1, relative=True)) == 2
    assert stops_at([-10.0, -11.5], EarlyStopping(patience=1, minimum_gain=0.1, relative=True)) is None


@pytest.mark.parametrize("cut", range(5))
def test_state_goes_on_where_it_was(cut):
    values = [1.0, 0.9, 0.95, 0.93, 0.94]
    settings = EarlyStopping(patience=3)
    first = Patience(settings, Goal.MINIMIZE)
    answers = [first.exhausted_by(value) for value in values[:cut]]
    second = Patience(settings, Goal.MINIMIZE)
    second.load_state_dict(first.state_dict())
    answers += [second.exhausted_by(value) for value in values[cut:]]
    assert answers == [False, False, False, False, True]
