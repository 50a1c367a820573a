"""The arms of a study as they stand, while it runs or afterwards."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hpsearch.report.experiment_view import finite
from hpsearch.report.fitted_table import Column, FittedTable
from hpsearch.report.wording import UNKNOWN, duration, number, one_line


@dataclass(frozen=True)
class ArmStanding:
    """How far an arm has come: trials that have ended of those begun, and replicates of the winner that have.

    `mean` is its test score in the study's result; None before there is one.
    """

    name: str
    state: str
    trials: int = 0
    begun: int = 0
    best: float | None = None
    replicates: int = 0
    mean: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class StudyStanding:
    """A study as its folder has it; `answer` is None before there is one. `metric` is the result's, if there is one."""

    name: str
    question: str
    metric: str
    answer: str | None
    arms: Sequence[ArmStanding]

    def to_json(self) -> dict[str, Any]:
        """Return what `hpsearch show STUDY --json` prints; numbers that are not finite become None."""
        shown: dict[str, Any] = finite(asdict(self))
        return shown


def show_study(study: StudyStanding) -> RenderableType:
    """Return the question, the answer if there is one, and the arms, with their test scores if there is one."""
    arms, metric, question = study.arms, one_line(study.metric), Text(one_line(study.question))
    columns = [
        Column("arm", [one_line(arm.name) for arm in arms], justify="left"),
        Column("state", [arm.state for arm in arms], justify="left"),
        Column("trials", [f"{arm.trials}/{arm.begun}" if arm.begun else "" for arm in arms], rank=2),
        Column("best objective", [UNKNOWN if arm.best is None else number(arm.best) for arm in arms], rank=3),
        Column("replicates", [str(arm.replicates or "") for arm in arms], rank=1),
        Column("time", [duration(arm.seconds) for arm in arms], rank=4),
    ]
    if study.answer is None:
        told = [question, Text(f"The arms' {metric} is shown with the result.", "dim")]
    else:
        told = [question, Text(one_line(study.answer))]
        columns.insert(-1, Column(f"mean {metric}", [number(arm.mean) for arm in arms], rank=1))
    return Group(Text(one_line(study.name), "bold"), *told, Text(), FittedTable(columns))
