"""Which of the runs that stand in the folders of a study's arms are compared: the planned replicates, and no other."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hpsearch.errors import ExperimentError
from hpsearch.readers import Wanted, hpsearch_experiment
from hpsearch.readers.hpsearch_experiment import fold_keys
from hpsearch.records import FinishedRun
from hpsearch.running.confirmation import folds_of, seeds_of
from hpsearch.space import Confirm
from hpsearch.studies.file.study import BaselineArm, SpaceArm, Study


def planned_runs(study: Study, arm: SpaceArm | BaselineArm, folder: Path, wanted: Confirm) -> Iterator[FinishedRun]:
    """Yield an arm's runs: trials of its search and replicates of its winner, or the scores of a baseline.

    A folder may hold more, from an earlier plan: other seeds, other folds. How long runs took is left out: no two
    machines agree on it, and equal studies give equal reports. Errors: ExperimentError for a baseline without scores.
    """
    home = folder / (arm.name if isinstance(arm, SpaceArm) else arm.beside)
    names = {home.name, f"{home.name} ({wanted.folds} folds)"}
    found = hpsearch_experiment.read(home, Wanted(study.metric)).runs
    if isinstance(arm, SpaceArm):
        planned = {seeds.initialisation for seeds in seeds_of(wanted, study.settings.seed)}
        kept = [run for run in found if run.search or (run.experiment in names and run.seed in planned)]
    else:
        own = {f"{arm.method} ({name})" for name in names}
        places = [fold_keys(fold, study.settings.seed) for fold in folds_of(wanted)] or [fold_keys(None, 0)]
        kept = [run for run in found if run.experiment in own and {"fold": run.fold, "repeat": run.repeat} in places]
        if len(kept) < len(places):
            raise ExperimentError(f"arm {arm.name}: {home} has no scores of {arm.method}")
    return (replace(run, experiment=arm.name, seconds=None, source="") for run in kept)
