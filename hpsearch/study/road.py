"""The road of a study: fix the plan, search and confirm each arm, then compare by the planned test."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hpsearch.engines.coordinator import Why
from hpsearch.errors import SearchFailedError
from hpsearch.report.study import StudyReport
from hpsearch.runner import Finished, Options, run
from hpsearch.space import Confirm, SpaceArm, Study
from hpsearch.study import plan_file
from hpsearch.study.findings import report_of
from hpsearch.study.result_file import write_result

RunArm = Callable[[SpaceArm, Path], Finished]


@dataclass(frozen=True)
class StudyEnd:
    """How a session of a study ended; the report is there when every arm is finished."""

    interrupted: bool
    report: StudyReport | None = None


def study_folder(study: Study, *, name: str | None, root: Path) -> Path:
    """Return the folder of a study: called after its file, with `-quick` behind a quick one, unless named."""
    return root / (name or study.path.stem + ("-quick" if study.quick else ""))


def with_options(options: Options) -> RunArm:
    """Return what runs an arm as `hpsearch run` would."""
    return lambda arm, folder: run(arm.space, folder=folder, options=options)


def run_study(study: Study, *, folder: Path, run_arm: RunArm, seeds: int | None = None, command: str) -> StudyEnd:
    """Run a study, or go on with what stands in its folder; finished arms are only read.

    `seeds` asks for more replicates than planned; those that were looked at before stay. `command` is shown in the
    report. Errors: ExperimentError for a folder that is no study or in use; SearchFailedError, naming the arm.
    """
    history = plan_file.take_up(folder, study)
    replicates = max(study.seeds, seeds or 0, *history.looks)
    for arm in study.searched:
        space = replace(arm.space, confirm=Confirm(top=1, seeds=replicates))
        try:
            finished = run_arm(replace(arm, space=space), folder / arm.name)
        except SearchFailedError as error:
            raise SearchFailedError(f"arm {arm.name}: {error}") from error
        if finished.why is Why.INTERRUPTED:
            return StudyEnd(interrupted=True)
        if finished.record.best is None:
            raise SearchFailedError(f"arm {arm.name}: the time was used up before any trial was complete")
    history = plan_file.note_look(folder, replicates)
    report = report_of(study, folder, history=history, replicates=replicates, command=command)
    write_result(folder, report)
    return StudyEnd(False, report)
