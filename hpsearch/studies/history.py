"""study.json: the plan as it was when the study started, every later change of it, and each look at the result.

A change of the rule, or more replicates, after the result was seen makes the result exploratory: the p-values were
computed as if there had been one look. Whether that happened must be known after any crash, so it is written first.
"""

import fcntl
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import remove_leftovers, write_json
from hpsearch.experiment.layout import STUDY, STUDY_LOCK, is_experiment, is_study
from hpsearch.experiment.reading import read_experiment, read_resolved
from hpsearch.experiment.studies import STUDY_VERSION, arm_folders, read_study_file, searches_of
from hpsearch.space import Confirm, differences
from hpsearch.studies.replicates import replication_of
from hpsearch.studies.study import Form, SpaceArm, Study


@dataclass(frozen=True)
class PlanChange:
    """What a later plan has changed, a line each, and whether a result had been seen before."""

    lines: tuple[str, ...]
    seen: bool


@dataclass(frozen=True)
class Look:
    """A result that was seen: the number of its replicates, which were seeds unless it has a number of folds.

    The replicates are those of one winner, of which each arm has as many as `searches`.
    """

    replicates: int
    folds: int | None = None
    searches: int = 1


@dataclass(frozen=True)
class StudyHistory:
    """The study's own plan and the latest, what changed in between, and each result that was seen.

    `file` is the study's file; `created` is in Unix seconds.
    """

    first: Mapping[str, Any]
    latest: Mapping[str, Any]
    changes: tuple[PlanChange, ...] = ()
    looks: tuple[Look, ...] = ()
    file: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: float = field(default_factory=time.time)

    @property
    def confirmatory(self) -> bool:
        """Whether the plan was kept from before the first look on, and there was one look."""
        return len(self.looks) < 2 and not any(change.seen for change in self.changes)

    @property
    def comparable_looks(self) -> tuple[int, ...]:
        """The numbers of replicates that were seen of the kind that is planned now: seeds, or folds of one number.

        Each is that of the winner of one search, seen with as many searches as are planned now.
        """
        kind = self.latest["replicates"].get("folds"), searches_of(self.latest)
        return tuple(look.replicates for look in self.looks if (look.folds, look.searches) == kind)


def plan_of(study: Study, wanted: Confirm) -> dict[str, Any]:
    """Return everything that decides the study's result, as plain data; `wanted` are its replicates."""
    settings = study.settings.model_dump(mode="json")
    settings["replicates"] = {"seeds": wanted.seeds, "folds": wanted.folds, "repeats": wanted.repeats}
    settings["replicates"] |= study.repeated
    arms: dict[str, Any] = {}
    for arm in study.arms:
        if isinstance(arm, SpaceArm):
            space = arm.space.resolved()
            del space["confirm"]  # the replicates are the study's
            space["search"] = {name: space["search"][name] for name in ("sampler", "pruner", "trial_time")}
            arms[arm.name] = space
        else:
            arms[arm.name] = {"baseline": arm.method, "beside": arm.partner}
    settings["metric"]["goal"] = study.goal.value  # also where the file leaves it to the family
    form = {"standard": True} if study.form is Form.STANDARD else {}  # plans of earlier versions have no such word
    return {**settings, "quick": study.form is Form.QUICK, **form, "arms": arms}


def fix_plan(
    folder: Path, study: Study, *, seeds: int | None = None, repeats: int | None = None
) -> tuple[StudyHistory, Confirm]:
    """Fix the plan, or note how it differs from the one that was fixed; return it with the replicates to be trained.

    What `seeds` or `repeats` ask for beyond the study's file is a change of its plan.

    Raises:
        ExperimentError: The folder is not a study, or study.json cannot be read.
        HpsearchError: The study's replicates are of the other kind.

    """
    replication_of(study, seeds=seeds, repeats=repeats)  # refused before anything is written
    _refuse_strangers(folder)
    _refuse_other_divisions(folder, study)
    with _alone(folder):
        if is_study(folder):
            known = read_history(folder)
        else:
            plan = plan_of(study, study.settings.confirm)
            known = _written(folder, StudyHistory(plan, plan, file=str(study.path.resolve())))
        study = _going_on_from(study, known.latest)
        here = replace(known, latest=plan_of(study, study.settings.confirm))
        wanted = replication_of(study, seeds=seeds, repeats=repeats, looks=here.comparable_looks)
        plan = plan_of(study, wanted)
        lines = tuple(differences(known.latest, plan))
        if not lines:
            return known, wanted
        changes = (*known.changes, PlanChange(lines, seen=_could_be_seen(folder, known)))
        file = str(study.path.resolve())
        return _written(folder, replace(known, latest=plan, changes=changes, file=file)), wanted


def _refuse_other_divisions(folder: Path, study: Study) -> None:
    """Refuse searches that have divided or simulated their data by another seed: what they trained stays as it is."""
    for search in study.searches:
        home = folder / search.folder
        if not is_experiment(home):
            continue
        if read_resolved(home)["space"]["search"].get("split_seed") != search.space.search.split_seed:
            raise ExperimentError(
                f"{home} divided its data by another seed, as replicates.vary has changed: choose another --name"
            )


def _going_on_from(study: Study, plan: Mapping[str, Any]) -> Study:
    """Return the study with the samplers and pruners of an earlier plan where its spaces name none."""
    planned = plan["arms"]
    arms = (
        replace(arm, space=arm.space.going_on_from(planned.get(arm.name, {}))) if isinstance(arm, SpaceArm) else arm
        for arm in study.arms
    )
    return replace(study, arms=tuple(arms))


def _could_be_seen(folder: Path, history: StudyHistory) -> bool:
    """Check whether there was a result, or test scores of any arm, which `show` and `compare` would tell."""
    if history.looks:
        return True
    records = [read_experiment(arm) for arm in arm_folders(folder)]
    return any(record.baselines or any(each.scores for each in record.replicates) for record in records)


def note_look(folder: Path, wanted: Confirm, *, searches: int = 1) -> StudyHistory:
    """Note that a result of these replicates is going to be seen."""
    look = Look(wanted.count, wanted.folds, searches)
    with _alone(folder):
        history = read_history(folder)
        if look in history.looks:
            return history
        return _written(folder, replace(history, looks=(*history.looks, look)))


def read_history(folder: Path) -> StudyHistory:
    """Return the contents of study.json.

    Raises:
        ExperimentError: The folder is not a study, or the file is damaged or of a newer hpsearch.

    """
    content = read_study_file(folder)
    try:
        del content["version"]
        changes = tuple(PlanChange(tuple(each["lines"]), each["seen"]) for each in content.pop("changes"))
        return StudyHistory(**content | {"changes": changes, "looks": tuple(Look(**each) for each in content["looks"])})
    except (KeyError, TypeError) as error:
        raise ExperimentError(f"{folder / STUDY} is damaged: {error}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time read and write the plan: arms may be started side by side."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / STUDY_LOCK).open("w", encoding="utf-8")
    except OSError as error:
        raise ExperimentError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_leftovers(folder, STUDY)
        yield


def _refuse_strangers(folder: Path) -> None:
    if is_study(folder):
        return
    if is_experiment(folder):
        raise ExperimentError(f"{folder} is an experiment, not a study; choose another --name")
    strange = folder.is_dir() and any(not path.name.startswith((".", STUDY_LOCK)) for path in folder.iterdir())
    if strange and not is_study(folder):  # another arm may have begun it in between
        raise ExperimentError(f"{folder} exists and is not a study; choose another --name")


def _written(folder: Path, history: StudyHistory) -> StudyHistory:
    write_json(folder / STUDY, {"version": STUDY_VERSION, **asdict(history)})
    return history
