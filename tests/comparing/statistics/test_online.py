"""Levels of many tests one after another, against the output of the R package onlineFDR."""

import math

import numpy as np
import pytest

from hpsearch.comparing.statistics.online import (
    Budget,
    Finished,
    Method,
    even_share,
    next_level,
    power_share,
    recent_share,
)

# The sample of the manual of onlineFDR (Robertson, Liou, Ramdas and Karp 2022; GPL-3), in the order of its rows, and
# the levels that the manual prints for it: LORD 1.5.0, SAFFRON 1.3.4, Alpha_investing 1.5.0, all with `random=FALSE`.
SAMPLE = """
2.90e-08  0.0002675839  0.005468627  0.010818925
0.06743   0.0024664457  0.010937254  0.021406257
0.01514   0.0005732818  0.010937254  0.007164201
0.08174   0.0004872805  0.010937254  0.003757589
0.00171   0.0004059066  0.010937254  0.002374706
3.60e-05  0.0003447286  0.021874508  0.023680499
0.79149   0.0029745013  0.032811762  0.044095287
0.27201   0.0008450114  0.010823845  0.015842430
0.28295   0.0007305648  0.010823845  0.008711190
7.59e-08  0.0006243143  0.010823845  0.005700295
0.69274   0.0032185913  0.021761099  0.026865786
0.30443   0.0010617227  0.009265591  0.011205456
0.00136   0.0009256825  0.009265591  0.006863124
0.72342   0.0008019657  0.020202846  0.027979664
0.54757   0.0007059610  0.009064367  0.011945806
"""
P_VALUES, *LEVELS = np.loadtxt(SAMPLE.splitlines()).T.tolist()
PUBLISHED = dict(zip((Method.LORD, Method.SAFFRON, Method.INVESTING), LEVELS, strict=True))


@pytest.mark.parametrize("method", PUBLISHED)
def test_the_levels_are_those_that_onlinefdr_prints(method: Method) -> None:
    budget, history = Budget(method=method), list[Finished]()
    for p, published in zip(P_VALUES, PUBLISHED[method], strict=True):
        level = next_level(budget, history)
        assert level == pytest.approx(published, rel=2e-6)
        history.append(Finished(p <= level, p))


def test_shares_sum_to_one() -> None:
    assert math.fsum(even_share(place, 50) for place in range(1, 51)) == pytest.approx(0.5)
    assert math.fsum(even_share(place, 7) for place in range(1, 100_000)) == pytest.approx(1 - 7 / 100_006)
    places = np.arange(1, 200_001)
    assert sum(power_share(int(place)) for place in places) == pytest.approx(1, abs=1e-3)
    assert sum(recent_share(int(place)) for place in places) < 1


def test_only_titles_raise_the_levels_of_e_lond() -> None:
    budget = Budget(rate=0.1, expected=10)
    lost = [Finished(False, 0.01)] * 4
    assert next_level(budget, []) == pytest.approx(0.1 / 11)
    assert next_level(budget, lost) == pytest.approx(0.1 * 10 / (14 * 15))
    won = [Finished(True, 0.001), *lost[1:]]
    assert next_level(budget, won) == pytest.approx(2 * next_level(budget, lost))
    spending = Budget(rate=0.1, expected=10, method=Method.SPENDING)
    assert next_level(spending, won) == next_level(spending, lost) == next_level(budget, lost)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.0}, {"expected": 0}, {"wealth": 0.06}, {"candidate": 1.0}])
def test_budgets_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        Budget(**wrong)  # type: ignore[arg-type]
