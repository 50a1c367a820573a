"""The benchmark of the loop runs; its figures are printed, never asserted."""

import math

from tests.benchmarks.loop_overhead import interval, measure, mlp


def test_both_sides_train(capsys):
    ratios = measure(mlp(epochs=1), pairs=1)
    assert all(math.isfinite(value) and value > 0 for values in ratios.values() for value in values)
    assert capsys.readouterr().out.count("times the bare loop") == 2


def test_the_interval_of_a_median_is_that_of_the_sign_test():
    assert interval(range(1, 12)) == (2, 10)  # n = 11: Conover 1999, table A3
    assert interval(range(1, 6)) == (1, 5)
