"""What a study will cost, before anything is spent: counted from its file, measured by a probe of each arm."""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hpsearch.experiment.layout import is_experiment, is_study
from hpsearch.experiment.reading import read_experiment
from hpsearch.report.wording import duration, rough_size
from hpsearch.studies.file.study import SpaceArm, Study
from hpsearch.studies.history import plan_of, read_history
from hpsearch.studies.plan import ArmPlan, StudyPlan, total
from hpsearch.studies.power import power_plan
from hpsearch.studies.probe import CONFIGURATIONS, Probed, probe_arm
from hpsearch.studies.replicates import replication_of
from hpsearch.training.settings import TrainSettings
from hpsearch.workers.local.workers import worker_shares
from hpsearch.workers.machine import Share

FOREIGN = "its program trains itself, and nobody knows how long and what it writes"

ProbeArm = Callable[[SpaceArm, Share], Probed]
"""From an arm and what a worker gets of the machine to what its probe has measured."""


def forecast_study(
    study: Study,
    *,
    folder: Path,
    seeds: int | None = None,
    repeats: int | None = None,
    probe: ProbeArm | None,
    in_process: bool = False,
) -> StudyPlan:
    """Forecast a study's cost and power, without touching its folder; without `probe`, no times.

    Args:
        study: The study.
        folder: The study's folder; replicates that were looked at there stay, as in a run.
        seeds: More replicates than planned.
        repeats: The same for a study on folds.
        probe: Measures an arm.
        in_process: Count with one training at a time.

    Raises:
        HpsearchError: An arm has no configuration at all, its folds leave nothing to learn from, or the study's
            replicates are of the other kind.
        ExperimentError: The folder's study.json cannot be read.

    """
    asked = replication_of(study, seeds=seeds, repeats=repeats).count
    replicates = replication_of(study, seeds=seeds, repeats=repeats, looks=_looks(study, folder)).count
    kept = [f"{replicates} replicates were looked at before, and are kept"] if replicates > asked else []
    arms = [_arm_plan(arm, folder / arm.name, replicates, probe, in_process=in_process) for arm in study.searched]
    free = _free(folder)
    return StudyPlan(
        question=study.settings.question,
        metric=study.metric,
        arms=arms,
        baselines={arm.name: f"baseline {arm.method}" for arm in study.arms if not isinstance(arm, SpaceArm)},
        power=power_plan(study, folder, replicates=replicates),
        free=free,
        probed=probe is not None,
        warnings=_warnings(arms, free),
        notes=[*kept, *_notes(study, arms, free)],
    )


def _looks(study: Study, folder: Path) -> tuple[int, ...]:
    """Return the numbers of replicates that were looked at in a folder, as they count once it takes this study up."""
    if not is_study(folder):
        return ()
    return replace(read_history(folder), latest=plan_of(study, study.settings.confirm)).comparable_looks


def probing(*, in_process: bool = False, tell: Callable[[str], None]) -> ProbeArm:
    """Return a function that probes an arm as a worker would train it; `tell` gets the arm's name."""

    def probe(arm: SpaceArm, share: Share) -> Probed:
        tell(f"probing {arm.name} ...")
        return probe_arm(arm.space, share, in_process=in_process)

    return probe


def _arm_plan(arm: SpaceArm, home: Path, replicates: int, probe: ProbeArm | None, *, in_process: bool) -> ArmPlan:
    """Estimate the upper bound of an arm's cost (no pruning, no early stopping)."""
    space, search, epochs = arm.space, arm.space.search, _epochs(arm)
    trials = search.trials if space.size is None else min(search.trials, space.size)
    shares = worker_shares(search, jobs=max(trials, replicates))
    plan = ArmPlan(
        name=arm.name,
        family=space.family,
        fixed=arm.fixed,
        ranges=len(space.parameters),
        continuous=space.continuous,
        combinations=space.combinations,
        trials=trials,
        replicates=replicates,
        workers=1 if in_process else len(shares),
        epochs=epochs,
        done=_done(home),
    )
    if epochs is None:
        return replace(plan, trouble=(FOREIGN,))
    if probe is None:
        return plan
    probed = probe(arm, shares[0])
    plan = replace(plan, trouble=probed.trouble)
    return _costed(plan, arm, probed, epochs) if probed.probes else plan


def _epochs(arm: SpaceArm) -> tuple[int, int] | None:
    """Return the fewest and the most epochs of a training, or None if hpsearch's own loop does not train."""
    train = getattr(arm.space.config(arm.space.example), "train", None)
    if not isinstance(train, TrainSettings):
        return None
    searched = [parameter.range.grid() for parameter in arm.space.parameters if parameter.path == "train.epochs"]
    values = [int(value) for grid in searched for value in grid or ()] or [train.epochs]
    return min(values), max(values)


def _done(home: Path) -> int:
    """Count the ended trainings in an arm's folder."""
    if not is_experiment(home):
        return 0
    record = read_experiment(home)
    return sum(run.outcome is not None for run in (*record.trials, *record.replicates))


def _costed(plan: ArmPlan, arm: SpaceArm, probed: Probed, epochs: tuple[int, int]) -> ArmPlan:
    """Return the plan with time and disk: the cheapest probe over the fewest epochs, the dearest over the most."""
    rates = [probe.epoch_seconds for probe in probed.probes]
    training = min(rates) * epochs[0], max(rates) * epochs[1]
    rounds = math.ceil(plan.trials / plan.workers)
    loads = rounds if any(parameter.path.startswith("data.") for parameter in arm.space.parameters) else 1
    search = [loads * probed.load_seconds + rounds * seconds for seconds in training]
    limit = arm.space.search.time
    capped = limit is not None and search[1] > limit
    if limit is not None:
        search = [min(seconds, limit) for seconds in search]
    loading = probed.load_seconds if arm.space.confirm and arm.space.confirm.folds else 0.0  # each fold's data anew
    confirm = [math.ceil(plan.replicates / plan.workers) * (loading + seconds) for seconds in training]
    runs = [probe.run_bytes(count) for probe in probed.probes for count in epochs]
    return replace(
        plan,
        seconds=(search[0] + confirm[0], search[1] + confirm[1]),
        capped=capped,
        bytes=(plan.trainings * min(runs), plan.trainings * max(runs)),
    )


def _free(folder: Path) -> int:
    """Return the bytes that are free on the folder's disk."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _warnings(arms: Sequence[ArmPlan], free: int) -> list[str]:
    found = [f"{arm.name}: {trouble}" for arm in arms for trouble in arm.trouble]
    wanted = total(arm.bytes for arm in arms if arm.bytes)
    if wanted and wanted[1] > free:
        found.append(f"the disk has room for {rough_size(free)}, and the study may want {rough_size(wanted[1])}")
    return found


def _notes(study: Study, arms: Sequence[ArmPlan], free: int) -> list[str]:
    """Explain the numbers."""
    notes = ["at most: pruning and early stopping end trainings sooner"]
    timed = [arm for arm in arms if arm.seconds]
    if timed:
        workers = max(arm.workers for arm in timed)
        beside = ", without the baselines" if len(study.arms) > len(study.searched) else ""
        notes += [
            f"time: one arm after another, with {workers} {'worker' if workers == 1 else 'workers'}{beside}",
            f"disk: {rough_size(free)} are free; both are estimates from {CONFIGURATIONS} random configurations an arm",
        ]
    if (capped := [arm.name for arm in arms if arm.capped]) and study.settings.budget.time:
        limit = duration(study.settings.budget.time)
        notes.append(f"the budget ends the search of {', '.join(capped)} after {limit}, before all trials are done")
    if done := sum(arm.done for arm in arms):
        notes.append(f"{done} of the {sum(arm.trainings for arm in arms)} trainings are done already")
    return notes
