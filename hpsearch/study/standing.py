"""How the arms of a study stand, read from their folders."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from hpsearch.confirmation import seeds_of
from hpsearch.experiment.layout import is_experiment
from hpsearch.experiment.lock import in_use
from hpsearch.experiment.reading import read_experiment
from hpsearch.experiment.studies import last_session, read_result, read_study_file
from hpsearch.records import BaselineRecord, RunRecord
from hpsearch.report.arms import ArmStanding, StudyStanding
from hpsearch.space import Confirm

TIME_IS_UP = "finished: time is up"


def standing_of(folder: Path) -> StudyStanding:
    """Return a study as it stands. Errors: ExperimentError."""
    plan, result = read_study_file(folder)["latest"], read_result(folder)
    folds = plan.get("replicates", {}).get("folds")
    metric = plan["metric"]["name"]
    return StudyStanding(
        name=folder.name,
        question=plan["question"],
        metric=metric,
        answer=result["answer"] if result else None,
        arms=[_arm(folder, name, arm, metric, folds) for name, arm in plan["arms"].items()],
    )


def _arm(folder: Path, name: str, arm: Mapping[str, Any], metric: str, folds: int | None) -> ArmStanding:
    home = folder / arm.get("beside", name)
    if not is_experiment(home):
        return ArmStanding(name, "not begun")
    record = read_experiment(home)
    if "baseline" in arm:
        own = [each for each in record.baselines if each.name == arm["baseline"] and _folds(each) == folds]
        scores = [each.scores[metric] for each in own if metric in each.scores]
        return ArmStanding(name, "scored" if scores else "not scored", mean=fmean(scores) if scores else None)
    replicates = [run for run in record.replicates if run.outcome is not None and _folds(run) == folds]
    tested = [run.scores[metric] for run in replicates if metric in run.scores]
    return ArmStanding(
        name=name,
        state=state_of(home),
        trials=sum(trial.outcome is not None for trial in record.trials),
        begun=len(record.trials),
        best=record.best.value if record.best else None,
        replicates=len(replicates),
        mean=fmean(tested) if tested else None,
        seconds=record.elapsed,
    )


def _folds(run: RunRecord | BaselineRecord) -> int | None:
    return None if run.fold is None else run.fold.folds


def state_of(folder: Path) -> str:
    """Return how an arm's experiment stands: `running`, or how its last session ended; `killed` if it could not say."""
    if in_use(folder):
        return "running"
    last = last_session(folder)
    if last is None:
        return "not begun"
    return "killed" if last["event"] == "session" else str(last["why"]).replace("time", TIME_IS_UP)


def is_done(folder: Path, wanted: Confirm, *, experiment_seed: int) -> bool:
    """Say whether an arm's search is finished and its winner has the wanted replicates."""
    if not is_experiment(folder) or state_of(folder) not in ("finished", TIME_IS_UP):
        return False
    record = read_experiment(folder)
    winner = record.best.number if record.best else None
    ended = {run.seed for run in record.replicates if run.number == winner and run.outcome is not None}
    return {seeds.initialisation for seeds in seeds_of(wanted, experiment_seed)} <= ended
