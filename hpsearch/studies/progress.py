"""The progress of a study's arms, read from their folders and shown while it runs or afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hpsearch.cleaning import one_line
from hpsearch.experiment.activity import activity
from hpsearch.experiment.layout import is_experiment
from hpsearch.experiment.reading import read_experiment
from hpsearch.experiment.state import TIME_IS_UP
from hpsearch.experiment.studies import read_result, read_study_file, search_folder, searches_of
from hpsearch.records import BaselineRecord, RunRecord
from hpsearch.report.experiment_view import finite
from hpsearch.report.fitted_table import Column, FittedTable
from hpsearch.report.wording import UNKNOWN, duration, number
from hpsearch.running.confirmation import seeds_of
from hpsearch.space import Confirm


@dataclass(frozen=True)
class ArmProgress:
    """How far an arm, or one of its searches, has come: trials that have ended of those begun, and replicates.

    Those are of the winner. `mean` is its test score in the study's result; None before there is one.
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
class StudyProgress:
    """A study as its folder has it; `answer` is None before there is one. `metric` is the result's, if there is one."""

    name: str
    question: str
    metric: str
    answer: str | None
    arms: Sequence[ArmProgress]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of `hpsearch show STUDY --json`; non-finite numbers become None."""
        shown: dict[str, Any] = finite(asdict(self))
        return shown


def progress_of(folder: Path) -> StudyProgress:
    """Return the progress of a study; its test scores are those of its result.

    Without a result there are none: to see them is to look at the result, and that is noted before it is shown.

    Raises:
        ExperimentError: The folder is not a study, or a file in it is damaged.

    """
    plan, result = read_study_file(folder)["latest"], read_result(folder)
    folds = plan.get("replicates", {}).get("folds")
    comparison = result["comparison"] if result else {"metric": plan["metric"]["name"], "experiments": []}
    means = {each["name"]: each["mean"] for each in comparison["experiments"]}
    arms = [
        _arm(folder, search_folder(name, number), arm, folds)
        for name, arm in plan["arms"].items()
        for number in range(1, (1 if "baseline" in arm else searches_of(plan)) + 1)
    ]
    return StudyProgress(
        name=folder.name,
        question=plan["question"],
        metric=comparison["metric"],
        answer=result["answer"] if result else None,
        arms=[replace(arm, mean=means.get(arm.name)) for arm in arms],
    )


def _arm(folder: Path, name: str, arm: Mapping[str, Any], folds: int | None) -> ArmProgress:
    home = folder / arm.get("beside", name)
    if not is_experiment(home):
        return ArmProgress(name, "not begun")
    record = read_experiment(home)
    if "baseline" in arm:
        scored = any(each.name == arm["baseline"] and _folds(each) == folds for each in record.baselines)
        return ArmProgress(name, "scored" if scored else "not scored")
    winner = record.best.number if record.best else None
    replicates = [run for run in record.replicates if run.number == winner and _folds(run) == folds]
    return ArmProgress(
        name=name,
        state=activity(record),
        trials=sum(trial.outcome is not None for trial in record.trials) + record.reruns,
        begun=len(record.trials) + record.reruns,
        best=record.best.value if record.best else None,
        replicates=sum(run.outcome is not None for run in replicates),
        seconds=record.elapsed,
    )


def _folds(run: RunRecord | BaselineRecord) -> int | None:
    return None if run.fold is None else run.fold.folds


def is_done(folder: Path, wanted: Confirm, *, experiment_seed: int) -> bool:
    """Check whether an arm's search is finished and its winner has the wanted replicates."""
    if not is_experiment(folder):
        return False
    record = read_experiment(folder)
    if activity(record) not in ("finished", TIME_IS_UP):
        return False
    winner = record.best.number if record.best else None
    ended = {run.seed for run in record.replicates if run.number == winner and run.outcome is not None}
    return {seeds.initialisation for seeds in seeds_of(wanted, experiment_seed)} <= ended


def show_study(study: StudyProgress) -> RenderableType:
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
