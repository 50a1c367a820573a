"""A study in Python or a notebook: `hpsearch.study("studies/relative_vit.yaml", quick=True).answer`."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.api.compared import REPORTS, parse_formats
from hpsearch.api.open import OpenedExperiment, open_experiment
from hpsearch.api.shown import comparison_html, paragraphs
from hpsearch.cleaning import terminal
from hpsearch.comparing import Comparison
from hpsearch.console.display import ConsoleOptions, installed_trackers, watched
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.experiment.studies import arm_folders
from hpsearch.running.mirroring import CLOSE_SECONDS, trackers
from hpsearch.running.runner import run
from hpsearch.running.session import SessionResult
from hpsearch.space.shelf import Shelf, find_file
from hpsearch.studies.forecast import forecast_study, probing
from hpsearch.studies.plan import StudyPlan
from hpsearch.studies.reading import load_study
from hpsearch.studies.report import StudyReport, study_json
from hpsearch.studies.run import StudyEnd, StudyRequest, carry_out
from hpsearch.studies.study import SpaceArm
from hpsearch.trust import trusting


@dataclass(frozen=True)
class StudyResult:
    """A study after a session with it: its answer, and what the answer rests on.

    Unless every arm is finished there is no `report`, and no answer, comparison and files; `interrupted` and `left` say
    why.
    """

    folder: Path
    end: StudyEnd

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the session; the same call goes on with the study."""
        return self.end.interrupted

    @property
    def left(self) -> tuple[str, ...]:
        """The arms that are not finished, after a session with only one of them."""
        return self.end.left

    @property
    def report(self) -> StudyReport | None:
        """Everything that the report says."""
        return self.end.report

    @property
    def out(self) -> Path | None:
        """The report's folder."""
        return self.end.out

    @property
    def files(self) -> tuple[Path, ...]:
        """The report's files."""
        return self.end.files

    @property
    def answer(self) -> str | None:
        """The answer to the study's question."""
        return None if self.report is None else self.report.answer

    @property
    def comparison(self) -> Comparison | None:
        """The arms compared by the planned test: compare.json of the report."""
        return None if self.report is None else self.report.evidence.comparison

    @property
    def factors(self) -> Mapping[str, Comparison]:
        """The comparisons of a factorial study's factors, and of their interaction, by name."""
        return {} if self.report is None else {each.name: each.comparison for each in self.report.factors}

    @cached_property
    def arms(self) -> Mapping[str, OpenedExperiment]:
        """The experiments of the arms that are searched, as far as they have begun, by name."""
        return {folder.name: open_experiment(folder) for folder in arm_folders(self.folder)}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of `hpsearch study --json`; empty unless the study is finished."""
        return {} if self.report is None else study_json(self.report)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the question, the answer, the scores and pairs behind it."""
        if self.report is None:
            return paragraphs([repr(self)])
        return paragraphs([self.report.question]) + comparison_html(
            self.report.evidence.comparison, answers=self.report.answers
        )

    def __repr__(self) -> str:
        if self.report is not None:
            return f"<study {self.folder.name}: {self.answer}>"
        why = "interrupted" if self.interrupted else f"left: {', '.join(self.left) or 'the comparison'}"
        return f"<study {self.folder.name}: {why}>"


def study(
    file: str | Path,
    *,
    quick: bool = False,
    standard: bool = False,
    name: str | None = None,
    seeds: int | None = None,
    repeats: int | None = None,
    arm: str | None = None,
    at_once: int = 1,
    in_process: bool = False,
    mlflow: bool = True,
    track: str = "mlflow",
    tracking_uri: str | None = None,
    root: str | Path = EXPERIMENTS,
    out: str | Path | None = None,
    format: str = "html,md",  # noqa: A002 -- named after the option of `hpsearch study`
    quiet: bool = False,
    trust: bool | None = None,
) -> StudyResult:
    """Answer the question of a study file; the same as `hpsearch study`. Running it again goes on with it.

        result = hpsearch.study("studies/relative_vit.yaml", quick=True)
        result.answer
        result.comparison.pairs[0].verdict
        result.arms["relative"].plot_history()

    Every arm is searched with the same budget, its winner confirmed, and the planned test decides.

    Args:
        file: The study file.
        quick: Lay the `quick` sections of the study and its spaces over them: minutes, not hours.
        standard: Lay the study's `standard` section over it, and its spaces' `quick` sections: about an hour on a CPU.
        name: The study's name; by default the file's.
        seeds: More replicates than planned; the report says so.
        repeats: The same for a study on folds: how often the data are divided into new folds.
        arm: Search and confirm this arm only, and compare nothing.
        at_once: Arms at a time, a process and a part of the machine for each.
        in_process: One training at a time in this process.
        mlflow: Mirror the study and its arms in MLflow.
        track: Where to mirror them: mlflow, tensorboard, wandb, several with commas, or none.
        tracking_uri: MLflow's server or store.
        root: Where experiments are kept.
        out: The report's folder; by default reports/<name>.
        format: What to write besides compare.json, with commas.
        quiet: Print nothing but problems.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Returns:
        The result. What an interrupted session leaves is returned too.

    Raises:
        SpaceError: The file or a space is wrong; it names every mistake.
        UntrustedCodeError: A space names code from outside this project, which is not trusted.
        SearchFailedError: An arm has no result.
        HpsearchError: The folder is in use or no study; the options do not fit the study.

    """
    formats = parse_formats(format)
    found = find_file(Path(file), Shelf.STUDIES)
    shown = installed_trackers(
        ConsoleOptions(in_process, mlflow=mlflow, tracking_uri=tracking_uri, quiet=quiet, track=track)
    )
    request = StudyRequest(
        file=found,
        quick=quick,
        standard=standard,
        name=name,
        seeds=seeds,
        repeats=repeats,
        in_process=in_process,
        mlflow=shown.mlflow,
        track=track,
        tracking_uri=tracking_uri,
        root=Path(root),
        quiet=quiet,
        trust=trust,
    )

    def run_arm(arm: SpaceArm, folder: Path) -> SessionResult:
        with watched(arm.space, folder, shown) as options:
            return run(arm.space, folder=folder, options=options)

    with trusting(trust):
        end = carry_out(
            request,
            run_arm=run_arm,
            mirror=lambda folder: trackers(shown.trackers, tracking_uri, lambda _: None)(folder).close(CLOSE_SECONDS),
            out=Path(out) if out else REPORTS / request.folder.name,
            formats=formats,
            only=arm,
            at_once=at_once,
            tell=_tell,
        )
    return StudyResult(request.folder, end)


def plan_study(
    file: str | Path,
    *,
    quick: bool = False,
    standard: bool = False,
    name: str | None = None,
    seeds: int | None = None,
    repeats: int | None = None,
    in_process: bool = False,
    root: str | Path = EXPERIMENTS,
    probe: bool = True,
    trust: bool | None = None,
) -> StudyPlan:
    """Say what a study would cost and could show, without starting it; the same as `hpsearch study --plan`.

        plan = hpsearch.plan_study("studies/relative_vit.yaml", quick=True)
        plan.arms[0].seconds        # the least and the most
        plan.power.effect

    Args:
        file: The study file.
        quick: Lay the `quick` sections over the study and its spaces.
        standard: Lay the study's `standard` section over it, and its spaces' `quick` sections: about an hour on a CPU.
        name: The study's name, by which replicates that are there already are found.
        seeds: More replicates than planned.
        repeats: The same for a study on folds.
        in_process: Count with one training at a time, and probe in this process.
        root: Where experiments are kept.
        probe: Train each arm for seconds, to know times.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Raises:
        SpaceError: The file or a space is wrong; it names every mistake.
        UntrustedCodeError: A space names code from outside this project, which is not trusted.
        HpsearchError: An arm has no configuration, or the options do not fit the study.

    """
    path = find_file(Path(file), Shelf.STUDIES)
    request = StudyRequest(file=path, quick=quick, standard=standard, name=name, root=Path(root))
    probe_arm = probing(in_process=in_process, tell=_tell) if probe else None
    with trusting(trust):
        loaded = load_study(path, quick=quick, standard=standard, programs=probe)
    return forecast_study(
        loaded,
        folder=request.folder,
        seeds=seeds,
        repeats=repeats,
        probe=probe_arm,
        in_process=in_process,
    )


def _tell(line: str) -> None:
    sys.stderr.write(f"{terminal(line)}\n")
