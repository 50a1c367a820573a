"""A study from its plan to its report: search and confirm each arm, compare by the planned test, write the report.

`carry_out` does all of it for `hpsearch study` and `hpsearch.study`. Nothing is kept but the folders: a study that was
interrupted or killed goes on from there.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from shlex import join

from hpsearch.errors import SearchFailedError, UnknownNameError
from hpsearch.experiment.layout import folder_called
from hpsearch.running.session import SessionResult
from hpsearch.studies.history import fix_plan, note_look
from hpsearch.studies.progress import is_done
from hpsearch.studies.reading import load_study
from hpsearch.studies.replicates import options_of
from hpsearch.studies.report import StudyReport, note_report, write_result, write_study_report
from hpsearch.studies.result import report_of
from hpsearch.studies.side_by_side import run_side_by_side
from hpsearch.studies.study import Form, SpaceArm, Study, form_of
from hpsearch.workers.coordinator import StopReason

RunArm = Callable[[SpaceArm, Path], SessionResult]
"""Searches and confirms an arm in its folder, or goes on with it."""


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """How to run a study: what each of its arms is told as well. The names are the command's options."""

    file: Path
    quick: bool = False
    standard: bool = False
    name: str | None = None
    seeds: int | None = None
    repeats: int | None = None
    in_process: bool = False
    mlflow: bool = True
    track: str = "mlflow"
    tracking_uri: str | None = None
    root: Path = Path("experiments")
    quiet: bool = False
    trust: bool | None = None

    @property
    def folder(self) -> Path:
        """The study's folder: named after its file, with the form behind it unless it is the full one."""
        return folder_called(self.name or self.file.stem + self.form.suffix, self.root)

    @property
    def form(self) -> Form:
        """How large it is run."""
        return form_of(quick=self.quick, standard=self.standard)

    @property
    def command(self) -> str:
        """The command that makes the report again; how it was shown and where it was kept do not matter."""
        words = ["hpsearch", "study", str(self.file), *([] if self.form is Form.FULL else [f"--{self.form}"])]
        return join([*words, *(["--name", self.name] if self.name else [])])

    def arguments(self, arm: str) -> list[str]:
        """Return the command line, behind `hpsearch`, that searches and confirms one arm only."""
        words = ["study", str(self.file)]
        for field in fields(self)[1:]:
            value, option = getattr(self, field.name), field.name.replace("_", "-")
            if value == field.default:
                continue
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
            else:
                words += [f"--{option}", str(value)]
        return [*words, "--arm", arm]


@dataclass(frozen=True)
class StudyEnd:
    """How a session with a study ended.

    Attributes:
        report: What the study found; None unless every arm is finished.
        left: The arms that are not finished, after a session with only one of them.
        out: The report's folder.
        files: The report's files.
        mirrored: Whether the trackers have caught up with the report.

    """

    interrupted: bool
    report: StudyReport | None = None
    left: tuple[str, ...] = ()
    out: Path | None = None
    files: tuple[Path, ...] = ()
    mirrored: bool = True


def carry_out(
    request: StudyRequest,
    *,
    run_arm: RunArm,
    mirror: Callable[[Path], bool],
    out: Path,
    formats: Sequence[str],
    only: str | None = None,
    at_once: int = 1,
    tell: Callable[[str], None],
) -> StudyEnd:
    """Run a study, or go on with it, write its report, and let the trackers mirror it.

    Args:
        request: The study and how its arms are run.
        run_arm: Searches and confirms an arm; not called for arms that are run in other processes.
        mirror: Mirrors the report from the study's folder, as the arms are already; returns whether all of it is.
        out: The report's folder.
        formats: What to write there in addition to compare.json.
        only: Run this arm, and compare nothing.
        at_once: Arms at a time, a process and a part of the machine for each.
        tell: Called with a line of text for each thing that the user should know meanwhile.

    Raises:
        SpaceError: The study file or a space is wrong.
        ExperimentError: The folder is not a study, or in use.
        SearchFailedError: An arm has no result.
        UnknownNameError: The study has no arm `only`.
        HpsearchError: The study's replicates are of the other kind, or the report cannot be written.

    """
    study = load_study(request.file, quick=request.quick, standard=request.standard)
    if only is None and min(at_once, len(study.searched)) > 1:
        if study.settings.budget.time is not None:
            tell("warning: arms that run at once share the machine: within the time budget each trains less.")
        start = [sys.executable, "-m", "hpsearch"]
        commands = {arm.name: [*start, *request.arguments(arm.name)] for arm in study.searched}
        if not run_side_by_side(commands, at_once=at_once, tell=tell):
            return StudyEnd(interrupted=True)
    end = run_study(
        study,
        folder=request.folder,
        run_arm=run_arm,
        seeds=request.seeds,
        repeats=request.repeats,
        only=only,
        command=request.command,
    )
    if end.report is None:
        return end
    files = write_study_report(end.report, out, formats)
    note_report(request.folder, place=out, files=files)
    return replace(end, out=out, files=tuple(files), mirrored=mirror(request.folder))


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
    """Run the arms of a study in its folder, or go on with them, and compare them; finished arms are only read.

    Args:
        study: The study.
        folder: Its folder.
        run_arm: Searches and confirms an arm.
        seeds: More replicates than planned; those that were looked at before stay.
        repeats: The same for a study on folds.
        only: Run this arm, or one search of it such as `lstm@2`, and compare nothing.
        command: Is shown in the report, with the replicates beyond the file's.

    Raises:
        ExperimentError: The folder is not a study, or in use.
        SearchFailedError: An arm, which it names, has no result.
        UnknownNameError: The study has no arm `only`.
        HpsearchError: The study's replicates are of the other kind.

    """
    arms = [arm for arm in study.searches if only in (None, arm.name, arm.folder)]
    if not arms:
        raise UnknownNameError("searched arm", str(only), [arm.name for arm in study.searched])
    _, wanted = fix_plan(folder, study, seeds=seeds, repeats=repeats)
    for arm in arms:
        space = replace(arm.space, confirm=wanted)
        try:
            session = run_arm(replace(arm, space=space), folder / arm.folder)
        except SearchFailedError as error:
            raise SearchFailedError(f"arm {arm.folder}: {error}") from error
        if session.why is StopReason.INTERRUPTED:
            return StudyEnd(interrupted=True)
        if session.record.best is None:
            raise SearchFailedError(f"arm {arm.folder}: the time was used up before any trial was complete")
    if only is not None:
        left = [
            arm.folder
            for arm in study.searches
            if not is_done(folder / arm.folder, wanted, experiment_seed=study.seed_of(arm.search))
        ]
        return StudyEnd(interrupted=False, left=tuple(left))
    history = note_look(folder, wanted, searches=study.settings.replicates.searches)
    command = " ".join([command, *options_of(wanted, study.settings.confirm)])
    report = report_of(study, folder, history=history, wanted=wanted, command=command)
    write_result(folder, report)
    return StudyEnd(interrupted=False, report=report)
