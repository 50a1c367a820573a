import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.space.located_yaml import Place, node_from_plain, parse
from hpsearch.space.ranges import Choice, Float, Int, RangeSyntaxError, canonical, read_range, same
from tests.space.toy import random_numbers

MIXED = "a range and settings are mixed: 'width' is not part of a range (known: float, log, int, choice, step, mutable)"
PLACE = Place("x", 1, 1)
bound = st.floats(-1e6, 1e6)
positive = st.floats(1e-6, 1e6)
pairs = st.tuples(bound, bound).filter(lambda pair: pair[0] < pair[1])
positive_pairs = st.tuples(positive, positive).filter(lambda pair: pair[0] < pair[1])
whole_pairs = st.tuples(st.integers(1, 1000), st.integers(1, 1000)).filter(lambda pair: pair[0] < pair[1])
ranges = st.one_of(
    st.builds(lambda pair: Float(*pair), pairs),
    st.builds(lambda pair: Float(*pair, log=True), positive_pairs),
    st.builds(lambda low, step, count: Float(low / 10, (low + step * count) / 10, step=step / 10),
              st.integers(-50, 50), st.integers(1, 9), st.integers(1, 30)),
    st.builds(lambda pair, log: Int(*pair, log=log), whole_pairs, st.booleans()),
    st.builds(lambda low, step, count: Int(low, low + step * count, step),
              st.integers(-50, 50), st.integers(1, 9), st.integers(1, 30)),
    st.builds(lambda options: Choice(tuple(options)), st.lists(st.text() | st.none(), min_size=1, unique=True)),
)  # fmt: skip


@given(ranges, st.integers())
def test_samples_lie_in_their_range(values, seed):
    assert values.contains(values.sample(random_numbers(seed)))


@given(ranges)
def test_the_grid_is_the_range(values):
    grid = values.grid()
    assert (grid is None) == (values.count is None)
    if grid is not None:
        assert len(grid) == values.count
        assert all(values.contains(value) for value in grid)


@given(ranges)
def test_what_is_written_reads_back_as_the_same_range(values):
    assert read_range(node_from_plain(values.written(), PLACE)) == values


def test_steps_are_decimal():
    assert Float(0.1, 0.5, step=0.1).grid() == (0.1, 0.2, 0.3, 0.4, 0.5)


def test_a_stepped_range_holds_its_steps_only():
    assert Float(0.0, 1.0, step=0.25).contains(0.75)
    assert not Float(0.0, 1.0, step=0.25).contains(0.7)
    assert not Int(2, 8, 3).contains(4)


def test_a_log_range_is_uniform_in_the_logarithm():
    rng = random_numbers()
    drawn = [Float(1e-4, 1.0, log=True).sample(rng) for _ in range(2000)]
    assert 0.45 < sum(value < 1e-2 for value in drawn) / 2000 < 0.55
    whole = [Int(1, 1000, log=True).sample(rng) for _ in range(2000)]
    assert 0.4 < sum(value < 32 for value in whole) / 2000 < 0.6


def test_ranges_refuse_what_only_looks_like_a_number():
    for value in (True, "1", None, math.nan, math.inf):
        assert not Float(0, 2).contains(value)
        assert not Int(0, 2).contains(value)
    assert not Int(0, 2).contains(1.0)


def test_one_is_not_true():
    assert same(1, 1.0)
    assert not same(1, True)
    assert not same("1", 1)
    assert Choice(([1, 2], [2, 1])).contains([2, 1])
    assert not Choice((True, False)).contains(1)


def test_whole_bounds_may_be_written_with_an_exponent():
    assert read_range(parse("{int: [1, 1e3]}", PLACE)) == Int(1, 1000)


def test_a_float_may_say_that_it_is_log():
    assert read_range(parse("{float: [1, 2], log: true}", PLACE)) == Float(1.0, 2.0, log=True)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("{float: [2, 1]}", 9, "the lower bound 2 is not below the upper bound 1"),
        ("{float: [1, 1]}", 9, "the lower bound 1 is not below the upper bound 1"),
        ("{float: [1, 2, 3]}", 9, "'float' needs two bounds: {float: [low, high]}"),
        ("{float: 1}", 9, "'float' needs two bounds: {float: [low, high]}"),
        ("{float: [1, abc]}", 13, "the bound 'abc' is not a number"),
        ("{float: [true, 2]}", 10, "the bound true is not a number"),
        ("{float: [1, .inf]}", 13, "the bound inf is not a number"),
        ("{log: [0, 1]}", 8, "a log scale needs bounds above 0, not 0"),
        ("{log: [1, 2], step: 1}", 15, "'step' does not go together with 'log'"),
        ("{int: [1, 9], log: true, step: 2}", 32, "a range on a log scale cannot have a step"),
        ("{int: [1.5, 9]}", 8, "1.5 is not a whole number"),
        ("{int: [1, 9], step: 3}", 21, "steps of 3 from 1 do not reach 9"),
        ("{int: [1, 9], step: 0}", 21, "the step 0 is not a number above 0"),
        ("{int: [1, 9], log: 3}", 20, "'log' with 'int' or 'float' is true or false"),
        ("{float: [0, 1], step: 0.3}", 23, "steps of 0.3 from 0.0 do not reach 1.0"),
        ("{float: [0, 1e300], step: 1e-300}", 27, "the step 1e-300 makes more than a million values; leave it out"),
        ("{choice: []}", 10, "'choice' needs a list of at least one option"),
        ("{choice: abc}", 10, "'choice' needs a list of at least one option"),
        ("{choice: [1, 2, 1.0]}", 17, "the option 1.0 is given twice"),
        ("{choice: [1, {log: [1, 2]}]}", 14, "a range is not possible inside a list of options"),
        ("{choice: [1], step: 1}", 15, "'step' does not go together with 'choice'"),
        ("{choice: {a: {}}}", 10, "named options are for a branch; here write a list: {choice: [a, b]}"),
        ("{int: [1, 2], width: 3}", 15, MIXED),
        ("{int: [1, 2], float: [1, 2]}", 15, "'float' does not go together with 'int'"),
    ],
)  # fmt: skip
def test_wrong_ranges_are_located(text, column, message):
    with pytest.raises(RangeSyntaxError) as caught:
        read_range(parse(text, PLACE))
    assert str(caught.value) == message
    assert caught.value.place.column == column


@pytest.mark.parametrize(
    ("text", "column", "shown"),
    [
        ("{choice: [.inf, 1.0]}", 11, "inf"),
        ("{choice: [1.0, -.inf]}", 16, "-inf"),
        ("{choice: [1, [2, .nan]]}", 18, "nan"),
        ("{choice: [1, {a: {b: 1e999}}]}", 22, "inf"),
    ],
)
def test_an_infinite_option_is_refused_where_it_stands(text, column, shown):
    with pytest.raises(RangeSyntaxError) as caught:
        read_range(parse(text, PLACE))
    assert str(caught.value) == f"{shown} is not a finite number; for a program that reads it as text put it in quotes"
    assert caught.value.place.column == column


steps = st.tuples(st.integers(-2000, 2000), st.integers(1, 300), st.integers(1, 200), st.integers(0, 6))


def stepped(numbers):
    low, step, count, places = numbers
    return Float(*(float(f"{each}e-{places}") for each in (low, low + step * count)), step=float(f"{step}e-{places}"))


@given(steps, st.data())
def test_what_floats_make_of_a_step_is_put_on_it(numbers, data):
    values, index = stepped(numbers), data.draw(st.integers(0, numbers[2]))
    exact = values.nth(index)
    computed = values.low + index * values.step
    assert exact == float(f"{numbers[0] + index * numbers[1]}e-{numbers[3]}")
    assert values.contains(exact)
    assert values.contains(computed)
    assert canonical(values, computed) == canonical(values, exact) == exact
    assert values.nearest(exact + 0.3 * values.step) == exact or index == numbers[2]
    assert not values.contains(exact + 0.01 * values.step)


@given(steps)
def test_beyond_the_bounds_is_outside(numbers):
    values = stepped(numbers)
    assert not values.contains(values.low - values.step)
    assert not values.contains(values.high + values.step)
    assert values.nearest(values.low - 5 * values.step) == values.low
    assert values.nearest(values.high + 5 * values.step) == values.high


@pytest.mark.parametrize("value", [math.inf, math.nan, 10**400, True, "3", None])
def test_what_is_no_number_lies_in_no_range_of_numbers(value):
    for values in (Float(0.0, 10.0), Float(0.0, 10.0, step=1.0), Float(1.0, 10.0, log=True), Int(0, 10)):
        assert not values.contains(value)
