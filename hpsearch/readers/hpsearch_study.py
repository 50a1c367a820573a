"""hpsearch's own studies: the arms of the plan, as the study itself compares them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.experiment.layout import is_study
from hpsearch.experiment.studies import arm_folders, read_study_file, search_folder, searches_of
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
        runs=tuple(run for name in plan["arms"] for run in _runs(name, plan, readings)),
        goals={plan["metric"]["name"]: Goal(plan["metric"]["goal"])},
        main=plan["metric"]["name"],
        warnings=tuple(warning for reading in readings.values() for warning in reading.warnings),
        records=tuple(record for reading in readings.values() for record in reading.records),
    )


def of_search(run: FinishedRun, number: int, replicates: Mapping[str, Any], *, seed: int) -> FinishedRun:
    """Return a run of the winner of an arm's search of this number, by the `replicates` and `seed` of the study's plan.

    With `vary: all` the search has a division of the data of its own; if they are `redivided`, those overlap. Searches
    of studies with other seeds share nothing, and have other names.
    """
    name = number if seed == 0 else f"{number} of seed {seed}"
    run = replace(run, search_number=name, deterministic=False)
    if replicates.get("vary") != "all":
        return run
    return replace(run, repeat=name, fold=f"division {name}" if replicates.get("redivided") else None)


def _runs(name: str, plan: Mapping[str, Any], readings: Mapping[str, Reading]) -> Iterator[FinishedRun]:
    """Yield the runs of an arm, of all its searches; the trials of the first search stand for those of all."""
    arm, replicates = plan["arms"][name], plan.get("replicates", {})
    searches = searches_of(plan)
    each_scored = "baseline" not in arm or replicates.get("vary") == "all"
    for number in range(1, (searches if each_scored else 1) + 1):
        for run in _of_search(name, arm, search_folder(arm.get("beside", name), number), readings):
            if run.search is not None or searches == 1 or not each_scored:
                if number == 1:
                    yield run
            else:
                yield of_search(run, number, replicates, seed=plan["seed"])


def _of_search(name: str, arm: Mapping[str, Any], home: str, readings: Mapping[str, Reading]) -> Iterator[FinishedRun]:
    if home not in readings:
        return
    methods = {each.name for record in readings[home].records for each in record.baselines}
    for run in readings[home].runs:
        method = next((each for each in methods if run.experiment.startswith(f"{each} ({home}")), None)
        if method != arm.get("baseline"):
            continue
        if method is None:
            yield replace(run, experiment=name + run.experiment.removeprefix(home))
        else:  # `sloreta (home)` becomes `name`, `sloreta (home (5 folds))` becomes `name (5 folds)`
            yield replace(run, experiment=run.experiment.replace(f"{method} ({home}", name, 1).removesuffix(")"))
