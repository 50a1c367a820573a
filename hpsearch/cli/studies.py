"""The command that answers a question: all arms treated equally, then the planned test."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch.cli.options import INTERRUPTED, ROOT, TrackOption, UriOption

if TYPE_CHECKING:
    from hpsearch.console.display import ConsoleOptions
    from hpsearch.running.session import SessionResult
    from hpsearch.studies.file.study import SpaceArm, Study
    from hpsearch.studies.report import StudyReport

_SEEDS = "More replicates than planned; the report says so, and that the result is exploratory if one was seen before."

_REPEATS = "The same for a study on folds: how often the data are divided anew."
_ARM = "Search and confirm this arm only, for another terminal or machine that shares the folder; compare nothing."
_AT_ONCE = (
    "Arms at a time, a process and a part of the machine for each: pays with several GPUs, or where an arm has fewer "
    "trials than there are cores. With a time budget leave it at 1, as arms then get the whole machine in turn."
)


_NOT_AN_ARMS = ("arm", "at_once", "out", "format_", "json")
"""Options of the whole study, which the process of an arm does not get."""


def study(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A study file, such as studies/deepsif.yaml.")],
    quick: Annotated[
        bool, typer.Option(help="Lay the `quick` sections of the study and its spaces over them: minutes, not hours.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="The study's name; by default the file's.")] = None,
    seeds: Annotated[int | None, typer.Option(min=2, help=_SEEDS)] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help=_REPEATS)] = None,
    arm: Annotated[str | None, typer.Option(help=_ARM)] = None,
    at_once: Annotated[int, typer.Option(min=1, help=_AT_ONCE)] = 1,
    in_process: Annotated[bool, typer.Option(help="One training at a time in this process, for a debugger.")] = False,
    mlflow: Annotated[bool, typer.Option(help="Mirror the study and its arms in MLflow.")] = True,
    track: TrackOption = "mlflow",
    tracking_uri: UriOption = None,
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
    out: Annotated[Path | None, typer.Option(help="The report's folder; by default reports/<name>.")] = None,
    format_: Annotated[str, typer.Option("--format", help="What to write beside compare.json, with commas.")] = "md",
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would cost and could show.")] = False,
    probe: Annotated[bool, typer.Option(help="With --plan: train each arm for seconds, to know times.")] = True,
) -> None:
    """Answer a question: search every arm with the same budget, confirm each winner, decide by the planned test."""
    from hpsearch.api.comparing import REPORTS, parse_formats
    from hpsearch.console.display import ConsoleOptions, watched
    from hpsearch.running.runner import run
    from hpsearch.studies.file.reading import load_study
    from hpsearch.studies.report import note_report, write_study_report
    from hpsearch.studies.road import run_study, study_folder

    formats = parse_formats(format_)
    loaded = load_study(file, quick=quick)
    folder = study_folder(loaded, name=name, root=root)
    if plan:
        _show_plan(loaded, folder, seeds=seeds, repeats=repeats, probe=probe, in_process=in_process, as_json=json)
        return
    if arm is None and min(at_once, len(loaded.searched)) > 1:
        _side_by_side(loaded, _given(context), at_once=at_once)
    shown = ConsoleOptions(in_process, mlflow=mlflow, tracking_uri=tracking_uri, quiet=quiet, track=track)

    def run_arm(arm: "SpaceArm", place: Path) -> "SessionResult":
        with watched(arm.space, place, shown) as options:
            return run(arm.space, folder=place, options=options)

    end = run_study(
        loaded,
        folder=folder,
        seeds=seeds,
        repeats=repeats,
        only=arm,
        command=_command(file, quick=quick, name=name),
        run_arm=run_arm,
    )
    if end.interrupted:
        raise _interrupted()
    if end.report is None:
        _show_left(file, end.left, arm, as_json=json)
        return
    place = out or REPORTS / folder.name
    written = write_study_report(end.report, place, formats)
    note_report(folder, place=place, files=written)
    _show(end.report, place, as_json=json)
    _mirror(folder, shown)


def _interrupted() -> typer.Exit:
    typer.echo("Interrupted; nothing that was finished is lost. The same command goes on from here.", err=True)
    return typer.Exit(INTERRUPTED)


def _show_left(file: Path, left: Sequence[str], arm: str | None, *, as_json: bool) -> None:
    """Say what there is to do after one arm."""
    from json import dumps

    done = f"The arm {arm} is finished."
    if as_json:
        typer.echo(dumps({"arm": arm, "left": list(left)}, indent=2))
    elif left:
        typer.echo(f"{done} Left: {', '.join(left)} (--arm NAME each, or all that are left without --arm).")
    else:
        typer.echo(f"{done} So are the others: without --arm, `hpsearch study {file}` compares them.")


def _given(context: typer.Context) -> list[str]:
    """Return the options on the command line that concern an arm as well."""
    words = []
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if option.param_type_name == "option" and name not in _NOT_AN_ARMS and source and source.name == "COMMANDLINE":
            value = context.params[name]
            words += [option.opts[0], str(value)] if not isinstance(value, bool) else [_flag(option, on=value)]
    return words


def _flag(option: Any, *, on: bool) -> str:
    return str((option.opts if on else option.secondary_opts)[0])


def _side_by_side(study: "Study", options: Sequence[str], *, at_once: int) -> None:
    """Run all arms in processes of their own, with the options that were given here."""
    import sys

    from hpsearch.studies.side_by_side import run_side_by_side

    if study.settings.budget.time is not None:
        typer.echo(
            "warning: arms that run at once share the machine: within the time budget each trains less.", err=True
        )
    command = [sys.executable, "-m", "hpsearch", "study", str(study.path), *options]
    commands = {arm.name: [*command, "--arm", arm.name] for arm in study.searched}
    if not run_side_by_side(commands, at_once=at_once, tell=lambda line: typer.echo(line, err=True)):
        raise _interrupted()


def _mirror(folder: Path, shown: "ConsoleOptions") -> None:
    """Let MLflow have the answer; the arms are there already."""
    from hpsearch.running.runner import CLOSE_SECONDS, trackers

    tracker = trackers(shown.trackers, shown.tracking_uri, lambda _: None)(folder)
    if not tracker.close(CLOSE_SECONDS):
        typer.echo(f"MLflow is behind; `hpsearch sync {folder}` catches up.", err=True)


def _show_plan(
    study: "Study",
    folder: Path,
    *,
    seeds: int | None,
    repeats: int | None,
    probe: bool,
    in_process: bool,
    as_json: bool,
) -> None:
    from json import dumps

    from rich.console import Console

    from hpsearch.studies.forecast import plan_study, probing
    from hpsearch.studies.plan import show_study_plan, study_plan_json

    probe_arm = probing(in_process=in_process, tell=lambda text: typer.echo(text, err=True)) if probe else None
    plan = plan_study(study, folder=folder, seeds=seeds, repeats=repeats, probe=probe_arm, in_process=in_process)
    if as_json:
        typer.echo(dumps(study_plan_json(plan), indent=2, allow_nan=False))
    else:
        Console().print(show_study_plan(plan))


def _command(file: Path, *, quick: bool, name: str | None) -> str:
    """Return the command that makes the report again; how it was shown and where it was kept do not matter."""
    from shlex import join

    words = ["hpsearch", "study", str(file), *(["--quick"] if quick else [])]
    return join([*words, *(["--name", name] if name else [])])


def _show(report: "StudyReport", folder: Path, *, as_json: bool) -> None:
    from json import dumps

    from rich.console import Console

    from hpsearch.report.comparison.terminal import show_comparison
    from hpsearch.studies.report import study_json

    for warning in (*report.warnings, *report.time_warnings, *report.changes):
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        typer.echo(dumps(study_json(report), indent=2, allow_nan=False))
        return
    typer.echo("\n".join(["", report.question, *report.answers, ""]))
    Console().print(show_comparison(report.evidence.comparison, headline=False))
    typer.echo(f"\nthe report is in {folder}")
