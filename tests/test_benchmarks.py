"""The benchmarks that others rely on run, at a size that says nothing."""

import pytest

from tests.benchmarks import ten_thousand_trials


@pytest.mark.slow
def test_the_costs_of_a_growing_experiment_are_found() -> None:
    kinds = [("none", "random"), ("median", "random")]
    found = ten_thousand_trials.table([5, 10], kinds)
    names = ("resume, s", "ask, ms", "report, ms", "memory, MB")
    assert found.keys() == {
        *("show, s", "hpsearch.open, s"),
        *(f"{pruner}, {sampler}: {name}" for pruner, sampler in kinds for name in names),
    }
    assert all(len(values) == 2 and min(values) > 0 for values in found.values())
