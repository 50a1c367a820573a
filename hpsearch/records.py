"""What the stages hand one another: outcomes, decisions, records of runs. Needs only the standard library."""

import json
import math
import warnings
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

_LONGEST = 200
"""Characters of a message about a value."""
Metrics = Mapping[str, float]
Params = Mapping[str, Any]
Matrix = tuple[tuple[float, ...], ...]
"""Rows of equal length."""


def is_number(value: Any) -> bool:
    """Check whether the value is a finite number, of a size that floats have; a boolean is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def metric_number(value: Any) -> float | None:
    """Return what a training gave as a metric as a number, or None if it is none: the rule for all of them.

    Numbers are Python's own, Decimal and Fraction, numpy's scalars, and arrays and tensors of one element. They become
    floats of 64 bits; what is too large for one is infinite. NaN and infinity are numbers. A boolean, text, None, a
    complex number and an array of several elements are none. What a program prints is all text, see
    `families/command/printed.py`: there a number may be in quotation marks, too.
    """
    shape = getattr(value, "shape", None)
    if shape is not None and callable(getattr(value, "item", None)):
        if math.prod(shape) != 1:
            return None
        value = value.item()
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):  # an object that only looks like a number, a signalling NaN
        return None


def metric_numbers(values: Mapping[Any, Any], *, needed: str = "") -> dict[str, float]:
    """Return the numbers among metrics, see `metric_number`; a warning says once of each name what is left out.

    Raises:
        TypeError: The `needed` one is there, and no number.
    """
    found: dict[str, float] = {}
    for name, value in values.items():
        number = metric_number(value)
        if number is not None:
            found[str(name)] = number
        elif name == needed:
            raise TypeError(f"the metric {name} is not a number but {_described(value)}")
        else:
            warnings.warn(f"{name} is left out of the metrics: it is no number but {_kind(value)}", stacklevel=2)
    return found


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + ("" if shape is None else f" of shape {tuple(shape)}")


def _described(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 -- the user's own class prints itself
        return _kind(value)
    return f"{_kind(value)}: {text}"[:_LONGEST]


def label(value: Any) -> str:
    """Return a stable text for a plain value: its JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


class Goal(StrEnum):
    """The direction in which a metric improves."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> float:
        """+1 if larger is better, -1 if smaller is: values times this are all to be maximized."""
        return 1.0 if self is Goal.MAXIMIZE else -1.0

    def better(self, value: float, than: float) -> bool:
        """Check whether `value` is strictly better than `than`."""
        return self.sign * value > self.sign * than


class Outcome(StrEnum):
    """How a run ended (design.md 6.1). A run without an outcome is still running, or was interrupted and will go on."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    LOST = "lost"
    STOPPED = "stopped"
    """By a person: its value is that of the last report."""

    @property
    def infeasible(self) -> bool:
        """Whether the sampler learns that this configuration cannot be trained."""
        return self in (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT)


class Decision(StrEnum):
    """The answer to a report: what the training does next."""

    CONTINUE = "continue"
    PRUNE = "prune"
    PAUSE = "pause"
    """Save a checkpoint and return; the run has no outcome yet and goes on from there later."""
    TIME_OUT = "time_out"


@dataclass(frozen=True)
class Moment:
    """How far a job is between two reports, for whoever watches; no record of an experiment.

    While its data are prepared, `preparing` says what of them, and `done` counts of a `total`, which is 0 where nobody
    counts. While it trains these are optimizer steps; `loss` is the mean since the last evaluation, `seconds_left` how
    long it takes at most at the pace so far. None is what is not known yet. `note` is to be said once.
    """

    done: int
    total: int
    preparing: str = ""
    epoch: float = 0.0
    loss: float | None = None
    learning_rate: float | None = None
    examples_per_second: float | None = None
    seconds_left: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Monitor:
    """The metric that decides which step of a training is the best one."""

    metric: str
    goal: Goal


@dataclass(frozen=True)
class Change:
    """From `step` on a training went on with other `params`, as a copy of the run `donor`, which then had `before`."""

    step: int
    donor: str
    before: Params
    params: Params


@dataclass(frozen=True, slots=True, order=True)
class Fold:
    """What a training was tested on: fold `fold` of `folds` in the `repeat`-th division of the data, all from 0."""

    folds: int
    repeat: int
    fold: int

    def __str__(self) -> str:
        return f"fold {self.fold}/{self.folds} of repeat {self.repeat}"


@dataclass(frozen=True, slots=True)
class Note:
    """What a person has written down of a run or an experiment, at a Unix time."""

    time: float
    text: str


@dataclass(frozen=True)
class RunRecord:
    """One training as the experiment's log tells it: a trial of the search or a replicate of a confirmation.

    `value` is the objective by the space's rule, of several seeds the mean of `by_seed`, and `step` where it was taken;
    `seconds` is training time over all attempts. `history` has (step, metric of the objective). `scores` has a
    replicate's test metrics, `fold` the fold it was tested on; `train_size` and `test_size` are its examples. A copy of
    another run has that one's history, seed and `changes` up to then: they are its weights'. Its `params` are the
    newest. `data` is the data's fingerprint, `ended_in` the run on a further seed whose ending a trial has.
    """

    run: str
    number: int
    params: Params
    seed: int
    outcome: Outcome | None = None
    reason: str | None = None
    value: float | None = None
    step: int | None = None
    seconds: float = 0.0
    attempts: int = 0
    history: tuple[tuple[int, float], ...] = ()
    scores: Metrics = field(default_factory=dict)
    replicate: int | None = None
    fold: Fold | None = None
    train_size: int | None = None
    test_size: int | None = None
    changes: tuple[Change, ...] = ()
    data: str | None = None
    notes: tuple[Note, ...] = ()
    by_seed: tuple[float, ...] = ()
    ended_in: str | None = None


@dataclass(frozen=True)
class Evidence:
    """What a run's folder holds for an examination: the rows of its metrics and the configuration it was trained with.

    `unread` names searched settings that the training never looked at. `gradients` has (step, parameter, norm
    of its gradient) from the looks at single parameters, where the training took any; the norm may be NaN or infinite.
    """

    run: RunRecord
    rows: tuple[Mapping[str, Any], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    gradients: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True)
class BaselineRecord:
    """A classical method's scores on the same data, `val/...` and `test/...`, or on a fold; its sizes are examples."""

    name: str
    scores: Metrics
    fold: Fold | None = None
    train_size: int | None = None
    test_size: int | None = None

    @property
    def title(self) -> str:
        """The name, with the fold if there is one."""
        return self.name if self.fold is None else f"{self.name}, {self.fold}"


@dataclass(frozen=True)
class ExperimentRecord:
    """An experiment, read back from its folder. `unit` is what its steps count: `epoch` or `step`.

    `elapsed` is how many seconds the search has run, over all sessions, without confirmations. `budget` is how many
    trainings it may have, with what people have `added`; `reruns` of them were on further seeds, of which a race gives
    a configuration `most_seeds`. A person may have `paused` it; `notes` are what people have written down. `dropped`
    trials did not fit a changed space. `started` and `last` are Unix times, `closing` how its last session ended.
    """

    name: str
    folder: str
    family: str
    objective: Monitor
    at: Any
    trials: tuple[RunRecord, ...]
    replicates: tuple[RunRecord, ...] = ()
    baselines: tuple[BaselineRecord, ...] = ()
    unit: str = "epoch"
    elapsed: float = 0.0
    warnings: tuple[str, ...] = ()
    budget: int | None = None
    dropped: int = 0
    started: float | None = None
    last: float | None = None
    closing: str | None = None
    added: int = 0
    reruns: int = 0
    rerun_seconds: float = 0.0
    rerun_steps: int = 0
    most_seeds: int = 0
    paused: bool = False
    notes: tuple[Note, ...] = ()

    @cached_property
    def ranked(self) -> tuple[RunRecord, ...]:
        """The complete trials by value, the earlier of equals first; those with all seeds of a race before others."""
        sign, most = self.objective.goal.sign, self.most_seeds
        ended = (each for each in self.trials if each.outcome is Outcome.COMPLETE and each.value is not None)
        rows = ((len(each.by_seed) < most, -sign * (each.value or 0.0), each.number, each) for each in ended)
        return tuple(row[3] for row in sorted(row for row in rows if math.isfinite(row[1])))

    @property
    def best(self) -> RunRecord | None:
        """The complete trial with the best value."""
        return next(iter(self.ranked), None)


@dataclass(frozen=True)
class HeatMap:
    """Matrices to look at, which a family makes of a trained model: a panel for each name, all of one shape.

    `x` and `y` say what columns and rows count; `columns` and `rows` may name each of them, which makes it a table.
    """

    title: str
    panels: Mapping[str, Matrix]
    x: str = ""
    y: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric's value that represents a run, and the step at which it was taken, or None if it is not known."""

    value: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A metric over a run. 100 steps take 1.6 kB: `array("q", steps)` and `array("d", values)`, of one length."""

    steps: "array[int]"
    values: "array[float]"


@dataclass(frozen=True, slots=True)
class SearchOrigin:
    """The search that proposed a trial: the metric it chose by, and how. One object serves all trials of a search.

    `ranges` are those of its parameters as resolved.json has them, where that is known.
    """

    metric: str
    sampler: str | None = None
    pruner: str | None = None
    ranges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, compare=False, repr=False)


Key = int | str
"""A seed, fold, repeat or data set. Runs are paired where these are equal, so `0` and `"0"` must not be mixed."""


@dataclass(frozen=True)
class ExampleScores:
    """A run's test scores by metric, in the order of the examples' `names`; examples of one of `clusters` are alike."""

    names: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]
    clusters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A training of any origin, as `compare` takes it. What the origin does not tell stays None or empty.

    `search` is set for the trials of a search only: they were chosen by a metric and are never tested
    (design.md 6.9). A replicate of a confirmed trial has no `search`, but keeps its `trial`. `deterministic` marks a
    method without a seed, such as a classical baseline: its one value is compared with every run of another. `steps` is
    how long the run was trained, in the `unit` of the measurements' steps (`epoch`, `step`). `train_size` and
    `test_size` are examples, for folds. `dropped` says why a reader found that the run does not count. `source` is its
    file. `place` tells experiments of one name apart: its location, from the innermost place outward, such as a folder,
    an MLflow experiment or a store. `search_number` tells which of several searches chose its configuration.
    """

    experiment: str
    run: str
    outcome: Outcome | None = Outcome.COMPLETE
    reason: str | None = None
    params: Params = field(default_factory=dict)
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    histories: Mapping[str, Series] = field(default_factory=dict)
    unit: str | None = None
    seed: Key | None = None
    fold: Key | None = None
    repeat: Key | None = None
    dataset: Key | None = None
    trial: Key | None = None
    search: SearchOrigin | None = None
    deterministic: bool = False
    steps: int | None = None
    seconds: float | None = None
    train_size: int | None = None
    test_size: int | None = None
    dropped: str | None = None
    source: str = ""
    place: tuple[str, ...] = ()
    data: str | None = None
    by_example: ExampleScores | None = None
    search_number: Key | None = None
