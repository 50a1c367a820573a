"""The shelf of readers: finished runs of any origin, as `compare` takes them.

A reader is a module of this folder with two functions, and a row in shelf.py:

    recognises(path) -> bool                     by what the file or folder holds, never by what it is called
    read(path, wanted) -> Reading                its runs; `wanted` names the metrics whose histories are asked for

A reader never runs code from what it reads (no pickle, safe YAML), changes nothing and makes no file. It gives the
values that the tool itself states, and each run's `place`, which tells experiments of one name apart. What it cannot
use becomes a warning or a run that is `dropped` with the reason, never a silent gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpsearch.records import ExperimentRecord, FinishedRun, Goal


@dataclass(frozen=True)
class Reading:
    """What was found: the runs, the `goals` that the origin itself tells, and warnings.

    `main` is the metric that the origin says it is about, such as the objective of a search. `records` are
    hpsearch's own experiments as wholes: one, or the arms of a study.
    """

    runs: tuple[FinishedRun, ...] = ()
    goals: Mapping[str, Goal] = field(default_factory=dict)
    main: str | None = None
    warnings: tuple[str, ...] = ()
    records: tuple[ExperimentRecord, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """Whose histories are to be read: metrics whose last word is that of `metric`; all of them when it is None.

    `by` is the parameter that the runs are to be grouped by. `separator` and `decimal` are said of tables of text
    that do not show them.
    """

    metric: str | None = None
    by: str | None = None
    separator: str | None = None
    decimal: str | None = None

    def __contains__(self, name: str) -> bool:
        return self.metric is None or last_word(name) == last_word(self.metric)


def last_word(metric: str) -> str:
    """Return the name of a metric without its split: `accuracy` for `val/accuracy`, `val_accuracy` and `accuracy`."""
    name = metric.rpartition("/")[2]
    for split in ("train", "val", "valid", "validation", "eval", "test"):
        for mark in "_.-":
            name = name.removeprefix(f"{split}{mark}")
    return name
