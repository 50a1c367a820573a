"""How the arms of a study stand, read from their folders."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.experiment.activity import TIME_IS_UP, state_of
from hpsearch.experiment.layout import is_experiment
from hpsearch.experiment.reading import read_experiment
from hpsearch.experiment.studies import read_result, read_study_file
from hpsearch.records import BaselineRecord, RunRecord
from hpsearch.running.confirmation import seeds_of
from hpsearch.space import Confirm
from hpsearch.studies.arms import ArmStanding, StudyStanding


def standing_of(folder: Path) -> StudyStanding:
    """Return a study as it stands; test scores are those of its result, as they stand in it. Errors: ExperimentError.

    Without a result there are none: to see them is to look at the result, and that is noted before it is shown.
    """
    plan, result = read_study_file(folder)["latest"], read_result(folder)
    folds = plan.get("replicates", {}).get("folds")
    comparison = result["comparison"] if result else {"metric": plan["metric"]["name"], "experiments": []}
    means = {each["name"]: each["mean"] for each in comparison["experiments"]}
    arms = [_arm(folder, name, arm, folds) for name, arm in plan["arms"].items()]
    return StudyStanding(
        name=folder.name,
        question=plan["question"],
        metric=comparison["metric"],
        answer=result["answer"] if result else None,
        arms=[replace(arm, mean=means.get(arm.name)) for arm in arms],
    )


def _arm(folder: Path, name: str, arm: Mapping[str, Any], folds: int | None) -> ArmStanding:
    home = folder / arm.get("beside", name)
    if not is_experiment(home):
        return ArmStanding(name, "not begun")
    record = read_experiment(home)
    if "baseline" in arm:
        scored = any(each.name == arm["baseline"] and _folds(each) == folds for each in record.baselines)
        return ArmStanding(name, "scored" if scored else "not scored")
    winner = record.best.number if record.best else None
    replicates = [run for run in record.replicates if run.number == winner and _folds(run) == folds]
    return ArmStanding(
        name=name,
        state=state_of(home),
        trials=sum(trial.outcome is not None for trial in record.trials),
        begun=len(record.trials),
        best=record.best.value if record.best else None,
        replicates=sum(run.outcome is not None for run in replicates),
        seconds=record.elapsed,
    )


def _folds(run: RunRecord | BaselineRecord) -> int | None:
    return None if run.fold is None else run.fold.folds


def is_done(folder: Path, wanted: Confirm, *, experiment_seed: int) -> bool:
    """Say whether an arm's search is finished and its winner has the wanted replicates."""
    if not is_experiment(folder) or state_of(folder) not in ("finished", TIME_IS_UP):
        return False
    record = read_experiment(folder)
    winner = record.best.number if record.best else None
    ended = {run.seed for run in record.replicates if run.number == winner and run.outcome is not None}
    return {seeds.initialisation for seeds in seeds_of(wanted, experiment_seed)} <= ended
