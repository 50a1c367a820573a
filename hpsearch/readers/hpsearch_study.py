"""hpsearch's own studies: the arms of the plan, as the study itself compares them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.experiment.layout import is_study
from hpsearch.experiment.studies import arm_folders, read_study_file
from hpsearch.readers import Reading, Wanted, hpsearch_experiment
from hpsearch.records import FinishedRun, Goal


def recognises(path: Path) -> bool:
    """Check whether a folder is a study."""
    return path.is_dir() and is_study(path)


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the runs of the arms that have begun, in the order of the plan.

    An arm that is a baseline is its method's score, of the arm that the plan names for it; other methods of the
    family, and the same of other arms, are not arms. Its scores on seeds and on folds are told apart as those of
    the arm are.

    Raises:
        ExperimentError: the folder is damaged, or written by a newer version.
    """
    plan = read_study_file(path)["latest"]
    readings = {arm.name: hpsearch_experiment.read(arm, wanted) for arm in arm_folders(path)}
    return Reading(
        runs=tuple(run for name, arm in plan["arms"].items() for run in _runs(name, arm, readings)),
        goals={plan["metric"]["name"]: Goal(plan["metric"]["goal"])},
        main=plan["metric"]["name"],
        warnings=tuple(warning for reading in readings.values() for warning in reading.warnings),
        records=tuple(record for reading in readings.values() for record in reading.records),
    )


def _runs(name: str, arm: Mapping[str, Any], readings: Mapping[str, Reading]) -> Iterator[FinishedRun]:
    home = arm.get("beside", name)
    if home not in readings:
        return
    methods = {each.name for record in readings[home].records for each in record.baselines}
    for run in readings[home].runs:
        method = next((each for each in methods if run.experiment.startswith(f"{each} ({home}")), None)
        if method != arm.get("baseline"):
            continue
        if method is None:
            yield run
        else:  # `sloreta (home)` becomes `name`, `sloreta (home (5 folds))` becomes `name (5 folds)`
            yield replace(run, experiment=run.experiment.replace(f"{method} ({home}", name, 1).removesuffix(")"))
