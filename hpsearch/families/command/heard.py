"""What a program has reported so far, in order: which step a line belongs to, and which test score a step has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hpsearch.families.command.printed import Measured
from hpsearch.records import Monitor

_LARGEST = 2.0**53
"""From here on floats do not hold every whole number."""
_MOST_WAITING = 1000


@dataclass(frozen=True)
class Told:
    """One evaluation: the objective with the other metrics of its step; `final` if it is that of the last epoch.

    `again` says that the same attempt told this step before: then the last value counts.
    """

    step: int
    value: float
    metrics: Mapping[str, float]
    final: bool
    again: bool


class _Untold(NamedTuple):
    """Test scores whose step has not been reported yet."""

    number: float | None
    epoch: float | None
    tests: Mapping[str, float]


class Heard:
    """Takes the measured lines of a run in their order, over all its attempts.

    Steps. A line belongs to the step that it names, else it is the next one. Where steps are named by numbers that are
    not whole, as in epoch 0.5, evaluations are counted: 1, 2, 3. Negative ones are refused. A step that an earlier
    attempt told keeps its value.

    Test scores. A line with the objective and test scores tells those of its step; so does one that names its step.
    Others belong to the step told before them, or to the one told next if the first test scores came before any step.
    Where steps have a number and an epoch, either names them.
    """

    def __init__(self, monitor: Monitor, *, epochs: float | None, at_best: bool) -> None:
        """`epochs` is where the training ends, if that is known; with `at_best` the best step counts, else the last."""
        self._monitor = monitor
        self._epochs = epochs
        self._at_best = at_best
        self._values: dict[int, float] = {}
        self._steps: dict[float, int] = {}
        self._counted = False
        self._attempt: dict[int, Mapping[str, float]] = {}
        self._own: set[int] = set()
        self._step = 0
        self._waiting: dict[float | None, dict[str, float]] = {}
        self._tests: dict[int, dict[str, float]] = {}
        self._untold: list[_Untold] = []
        self._tests_first: bool | None = None
        self._by_epoch: dict[float, int] = {}
        self._late: dict[str, dict[float | None, float]] = {}
        self._early: set[str] = set()
        self.refused: dict[float, int] = {}
        """How many lines named a step that is none, by that number."""
        self.finished = False
        """Whether the last epoch was reported."""

    def begin(self, *, resuming: bool, step: int | None = None) -> None:
        """Take note of an attempt; one that does not go on from a checkpoint starts counting again.

        `step` is that of its checkpoint, where it is known; else it is the last one that was told.
        """
        self._attempt, self._own = {}, set()
        self._waiting, self._untold = {}, []
        self._step = (max(self._values, default=0) if step is None else step) if resuming else 0

    def begin_anew(self) -> None:
        """Take note that all the lines of an attempt come once more."""
        self._step = 0

    @property
    def misses_the_end(self) -> bool:
        """Whether the last epoch is known and was never told, and the newest attempt told nothing of a further step."""
        went_on = any(number is not None and number > max(self._steps, default=0) for number in self._waiting)
        return self._epochs is not None and not self.finished and not self._attempt and not went_on

    @property
    def latest(self) -> int:
        """The step that was told last, 0 before the first."""
        return self._step

    @property
    def values(self) -> Mapping[int, float]:
        """The objective by step."""
        return self._values

    def value_at(self, number: float) -> float | None:
        """Return the objective of the step that a number names, or None if it was not told."""
        step = self._steps.get(number)
        return None if step is None else self._values.get(step)

    def add(self, measured: Measured) -> Told | None:
        """Take note of a line; return the evaluation that it completes, if it has the objective."""
        tests = {name: value for name, value in measured.metrics.items() if name.startswith("test/")}
        own = {name: value for name, value in measured.metrics.items() if name not in tests}
        number = measured.step
        if number is not None and not 0 <= number < _LARGEST:
            self.refused[number] = self.refused.get(number, 0) + 1
            return None
        if self._monitor.metric not in own:
            if own:
                self._wait_with(number, own)
            if tests:
                self._take_tests(number, own.get("epoch"), tests)
            return None
        return self._evaluated(number, own, tests)

    def _evaluated(self, number: float | None, own: Mapping[str, float], tests: Mapping[str, float]) -> Told | None:
        step = self._step_of(number)
        metrics: dict[str, float] = {}
        for other, told in self._waiting.items():
            if number is None or other is None or other == number:
                metrics |= told
        metrics |= own
        self._waiting = {}
        value, again = own[self._monitor.metric], step in self._own
        if step not in self._values:
            self._own.add(step)
        if step in self._own:
            self._values[step] = value
        before = self._attempt.get(step)
        metrics = {**(before or {}), **metrics}
        self._attempt[step], self._step = metrics, step
        if "epoch" in own:
            self._by_epoch[own["epoch"]] = step
        self._settle_tests(step, tests)
        final = self._is_final(number, step, metrics)
        self.finished = self.finished or final
        return None if before == metrics else Told(step, value, metrics, final, again)

    def _wait_with(self, number: float | None, metrics: Mapping[str, float]) -> None:
        """Keep metrics for the next evaluation; of very many steps the newest."""
        self._waiting[number] = {**self._waiting.pop(number, {}), **metrics}
        if len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _step_of(self, number: float | None) -> int:
        if number is None:
            return self._step + 1
        if number not in self._steps:
            self._counted = self._counted or not float(number).is_integer()
            self._steps[number] = max(self._values, default=0) + 1 if self._counted else int(number)
        return self._steps[number]

    def _is_final(self, number: float | None, step: int, metrics: Mapping[str, float]) -> bool:
        """Check whether the last epoch is over. Steps count epochs where nothing else does, and never pass the end."""
        if self._epochs is None:
            return False
        if "epoch" in metrics:
            return metrics["epoch"] >= self._epochs
        return (step if number is None else number) == self._epochs

    # Test scores

    def _take_tests(self, number: float | None, epoch: float | None, tests: Mapping[str, float]) -> None:
        """Take note of test scores without the objective."""
        if self._tests_first is None:
            self._tests_first = not self._values
        for name, value in tests.items():
            self._late.setdefault(name, {})[number] = value
        step = self._step_named(number, epoch)
        if step is not None:
            self._add_tests(step, tests)
        elif number is not None or self._tests_first or not self._values:
            self._untold = [*self._untold[-_MOST_WAITING:], _Untold(number, epoch, tests)]
        else:
            self._add_tests(self._step or max(self._values), tests)

    def _step_named(self, number: float | None, epoch: float | None) -> int | None:
        """Return the step that a number or an epoch names. A line with an epoch alone has it as its number."""
        if epoch is not None and number == epoch and self._by_epoch:
            return self._by_epoch.get(epoch)
        step = None if number is None else self._steps.get(number)
        if step is None and epoch is not None:
            step = self._by_epoch.get(epoch)
        return step if step in self._values else None

    def _settle_tests(self, step: int, tests: Mapping[str, float]) -> None:
        """Give a step the test scores that were reported before it and with it."""
        self._early |= {*self._late, *tests}
        self._late = {}
        waiting, self._untold = self._untold, []
        for line in waiting:
            if line.number is None or self._step_named(line.number, line.epoch) == step:
                self._add_tests(step, line.tests)
            else:
                self._untold.append(line)
        if tests:
            self._tests_first = False if self._tests_first is None else self._tests_first
            self._add_tests(step, tests)

    def _add_tests(self, step: int, tests: Mapping[str, float]) -> None:
        known = self._tests.setdefault(step, {})
        self._tests[step] = {**known, **tests} if step in self._own else {**tests, **known}

    @property
    def step(self) -> int | None:
        """The step that counts: the best, the first of equals, or the last; None if there is none."""
        best: int | None = None
        for step, value in self._values.items():
            if best is None or not self._at_best or self._monitor.goal.better(value, self._values[best]):
                best = step
        return best

    @property
    def scores(self) -> dict[str, float]:
        """The test scores of the step that counts.

        A score that was told once, after the last step, is that of the model which the program chose, whichever step.
        One that was told after it of several steps is theirs.
        """
        chosen = self._tests.get(self.step, {}) if self.step is not None else {}
        late = {name: told for name, told in self._late.items() if name not in self._early}
        once = {name: told for name, told in late.items() if None in told or len(told) == 1}
        return {**chosen, **{name: told.get(None, next(iter(told.values()))) for name, told in once.items()}}

    @property
    def untold(self) -> list[str]:
        """The test scores that were reported, but not of the step that counts."""
        told = {name for tests in self._tests.values() for name in tests} | self._late.keys()
        return sorted(told - self.scores.keys())
