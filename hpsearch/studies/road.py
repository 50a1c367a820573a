"""The road of a study: fix the plan, search and confirm each arm, then compare by the planned test."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hpsearch.errors import SearchFailedError, UnknownNameError
from hpsearch.running.runner import RunOptions, run
from hpsearch.running.session import SessionResult
from hpsearch.studies import plan_file
from hpsearch.studies.file.study import SpaceArm, Study
from hpsearch.studies.replicates import options_of
from hpsearch.studies.report import StudyReport, write_result
from hpsearch.studies.result import report_of
from hpsearch.studies.standing import is_done
from hpsearch.workers.coordinator import Why

RunArm = Callable[[SpaceArm, Path], SessionResult]


@dataclass(frozen=True)
class StudyEnd:
    """How a session of a study ended; the report is there when every arm is finished.

    `left`: the arms that are not, after a session with one of them only.
    """

    interrupted: bool
    report: StudyReport | None = None
    left: tuple[str, ...] = ()


def study_folder(study: Study, *, name: str | None, root: Path) -> Path:
    """Return the folder of a study: called after its file, with `-quick` behind a quick one, unless named."""
    return root / (name or study.path.stem + ("-quick" if study.quick else ""))


def with_options(options: RunOptions) -> RunArm:
    """Return what runs an arm as `hpsearch run` would."""
    return lambda arm, folder: run(arm.space, folder=folder, options=options)


def run_study(
    study: Study,
    *,
    folder: Path,
    run_arm: RunArm,
    seeds: int | None = None,
    repeats: int | None = None,
    only: str | None = None,
    command: str,
) -> StudyEnd:
    """Run a study, or go on with what stands in its folder; finished arms are only read.

    `seeds` or `repeats` ask for more replicates than planned; those that were looked at before stay. With `only` that
    arm is run, and nothing compared. `command` is shown in the report, with the replicates beyond the file's.

    Errors: ExperimentError for a folder that is no study or in use; SearchFailedError, naming the arm; UnknownNameError
    for the only arm; HpsearchError when the study's replicates are of the other kind.
    """
    arms = [arm for arm in study.searched if only in (None, arm.name)]
    if not arms:
        raise UnknownNameError("searched arm", str(only), [arm.name for arm in study.searched])
    _, wanted = plan_file.take_up(folder, study, seeds=seeds, repeats=repeats)
    for arm in arms:
        space = replace(arm.space, confirm=wanted)
        try:
            finished = run_arm(replace(arm, space=space), folder / arm.name)
        except SearchFailedError as error:
            raise SearchFailedError(f"arm {arm.name}: {error}") from error
        if finished.why is Why.INTERRUPTED:
            return StudyEnd(interrupted=True)
        if finished.record.best is None:
            raise SearchFailedError(f"arm {arm.name}: the time was used up before any trial was complete")
    if only is not None:
        seed = study.settings.seed
        left = [arm.name for arm in study.searched if not is_done(folder / arm.name, wanted, experiment_seed=seed)]
        return StudyEnd(interrupted=False, left=tuple(left))
    history = plan_file.note_look(folder, wanted)
    command = " ".join([command, *options_of(wanted, study.settings.confirm)])
    report = report_of(study, folder, history=history, wanted=wanted, command=command)
    write_result(folder, report)
    return StudyEnd(False, report)
