"""Intervals that belong to a test, at any level: the differences that it does not reject."""

from dataclasses import dataclass

from hpsearch.comparing.statistics.arrays import Tested, as_array
from hpsearch.comparing.statistics.folds import five_by_two_interval
from hpsearch.comparing.statistics.intervals import t_interval
from hpsearch.comparing.statistics.paired import signed_rank_interval

Interval = tuple[float, float]


@dataclass(frozen=True)
class ByStudent:
    """That of a t test: of an estimate with its standard error and degrees of freedom."""

    estimate: float
    error: float
    df: float

    def at(self, level: float) -> Interval:
        """Return the interval that holds with a probability of `level`."""
        return t_interval(self.estimate, self.error, self.df, level=level)


@dataclass(frozen=True)
class BySignedRanks:
    """That of Wilcoxon's test, of differences of values whose size is `scale`."""

    differences: tuple[float, ...]
    scale: float

    def at(self, level: float) -> Interval | None:
        """Return the interval, or None where the test rejects no difference or all."""
        return signed_rank_interval(as_array(self.differences), scale=self.scale, level=level)


@dataclass(frozen=True)
class ByFiveByTwo:
    """That of Alpaydin's F, of the ten differences in the order of repeats and folds."""

    differences: tuple[float, ...]

    def at(self, level: float) -> Interval | None:
        """Return the interval, or None where the test rejects all differences."""
        return five_by_two_interval(as_array(self.differences).reshape(5, 2), level=level)


Inversion = ByStudent | BySignedRanks | ByFiveByTwo


def by_student(tested: Tested, estimate: float) -> ByStudent:
    """Return the intervals of a t test."""
    if tested.error is None or not isinstance(tested.df, float):
        raise ValueError("only a t test with one number of degrees of freedom has an interval")
    return ByStudent(estimate, tested.error, tested.df)
