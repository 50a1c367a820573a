"""Commands that answer a question: compare takes finished runs; study trains all arms alike, then compares them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cleaning import terminal
from hpsearch.cli.options import ROOT, TrackOption, TrustOption, UriOption
from hpsearch.cli.starting import INTERRUPTED

if TYPE_CHECKING:
    from hpsearch.api.study import StudyResult
    from hpsearch.studies.plan import StudyPlan
    from hpsearch.studies.report import StudyReport


_METRIC = "The metric to compare; by default what the runs are about."
_BASELINE = "Compare every experiment with this one only."
_SEPARATOR = "What separates the columns of tables that leave it open: , ; | tab or space."
_UNIT = "What counts as one observation: auto, seed, search, fold, dataset or trial."


_OVER = "What a verdict is about: further seeds, examples (test data) or both; the latter from scores by example."


def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Experiments, folders or tables of runs, sqlite:/// and http:// stores; of any tools, also mixed.",
        ),
    ],
    metric: Annotated[str | None, typer.Option(help=_METRIC)] = None,
    goal: Annotated[
        str | None, typer.Option(help="minimize or maximize, where the metric's name leaves it open.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Group the runs by a parameter: model.temporal.")] = None,
    baseline: Annotated[str | None, typer.Option(help=_BASELINE)] = None,
    margin: Annotated[
        float | None, typer.Option(help="The smallest difference that matters; tests equivalence.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="The error rate of the whole family of tests.")] = 0.05,
    adjust: Annotated[str, typer.Option(help="For several tests: holm, hommel, bh or none.")] = "holm",
    unit: Annotated[str, typer.Option(help=_UNIT)] = "auto",
    wide: Annotated[
        str | None, typer.Option(help="Tables have a column for each method and a row for each seed, fold or dataset.")
    ] = None,
    separator: Annotated[str | None, typer.Option(help=_SEPARATOR)] = None,
    decimal: Annotated[str | None, typer.Option(help="The decimal mark of tables that leave it open: . or ,")] = None,
    step: Annotated[int | None, typer.Option(help="Take the metric at this step of every run.")] = None,
    over: Annotated[str, typer.Option(help=_OVER)] = "seeds",
    stochastic_order: Annotated[bool, typer.Option(help="Add the almost stochastic order (slower).")] = False,
    seed: Annotated[int, typer.Option(help="Of everything random: resampling, permutations.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The report's folder; by default reports/<name of the first path>.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="What to write, with commas.")] = "html,md,tex,csv,json",
    titles: Annotated[bool, typer.Option("--titles", help="Give the figures titles; papers have captions.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print compare.json and write nothing.")] = False,
) -> None:
    """Compare finished runs: which is better, by how much, and how certain that is; write the report.

    Experiments of several families, metrics or data, and studies, are told in one report, group by group.
    """
    from rich.console import Console

    from hpsearch.api import compare as api
    from hpsearch.api.compared import parse_formats
    from hpsearch.report.comparison.files import compare_json
    from hpsearch.report.comparison.terminal import show_comparison, show_grouped

    formats = parse_formats(format_)
    compared = api.compare(
        sources,
        metric=metric,
        goal=goal,
        by=by,
        baseline=baseline,
        margin=margin,
        alpha=alpha,
        adjust=adjust,
        unit=unit,
        wide=wide,
        separator=separator,
        decimal=decimal,
        step=step,
        over=over,
        stochastic_order=stochastic_order,
        seed=seed,
    )
    report = compared.grouped
    if json:
        for warning in compared.found.warnings if report is None else ():
            typer.echo(terminal(f"warning: {warning}"), err=True)
        typer.echo(compare_json(report or compared.comparison), nl=False)
        return
    Console().print(show_comparison(compared.comparison) if report is None else show_grouped(report))
    folder = compared.save(out, format=formats, titles=titles)
    typer.echo(f"\nthe report is in {folder}" + (f": open {folder / 'report.html'}" if "html" in formats else ""))


_SEEDS = "More replicates than planned; the report says so, and that the result is exploratory if one was seen before."

_REPEATS = "The same for a study on folds: how often the data are divided into new folds."
_STANDARD = (
    "Lay the study's `standard` section over it, and its spaces' `quick` sections: as much as a CPU does within about "
    "an hour."
)
_ARM = (
    "Search and confirm this arm only (or one search of it: lstm@2), for another terminal or machine that shares the "
    "folder; compare nothing."
)
_AT_ONCE = (
    "Arms at a time, a process and a part of the machine for each: pays with several GPUs, or where an arm has fewer "
    "trials than there are cores. With a time budget leave it at 1, as arms then get the whole machine in turn."
)


def study(
    file: Annotated[Path, typer.Argument(help="A study file, such as studies/deepsif.yaml.")],
    quick: Annotated[
        bool, typer.Option(help="Lay the `quick` sections of the study and its spaces over them: minutes, not hours.")
    ] = False,
    standard: Annotated[bool, typer.Option(help=_STANDARD)] = False,
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
    format_: Annotated[
        str, typer.Option("--format", help="What to write besides compare.json, with commas.")
    ] = "html,md",
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    trust: TrustOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it would cost and could show.")] = False,
    probe: Annotated[bool, typer.Option(help="With --plan: train each arm for seconds, to know times.")] = True,
) -> None:
    """Answer a question: search every arm with the same budget, confirm each winner, decide by the planned test."""
    from hpsearch.api import study as api

    if plan:
        found = api.plan_study(
            file,
            quick=quick,
            standard=standard,
            name=name,
            seeds=seeds,
            repeats=repeats,
            in_process=in_process,
            root=root,
            probe=probe,
            trust=trust,
        )
        _print_plan(found, as_json=json)
        return
    result = api.study(
        file,
        quick=quick,
        standard=standard,
        name=name,
        seeds=seeds,
        repeats=repeats,
        arm=arm,
        at_once=at_once,
        in_process=in_process,
        mlflow=mlflow,
        track=track,
        tracking_uri=tracking_uri,
        root=root,
        out=out,
        format=format_,
        quiet=quiet,
        trust=trust,
    )
    if result.report is None:
        _print_unfinished(file, arm, result, as_json=json)
    else:
        _print_report(result.report, result.out, as_json=json)
    if not result.end.mirrored:
        typer.echo(f"MLflow is behind; `hpsearch sync {result.folder}` catches up.", err=True)


def _print_plan(plan: "StudyPlan", *, as_json: bool) -> None:
    from json import dumps

    from rich.console import Console

    from hpsearch.studies.plan import show_study_plan, study_plan_json

    if as_json:
        typer.echo(dumps(study_plan_json(plan), indent=2, allow_nan=False))
    else:
        Console().print(show_study_plan(plan))


def _print_unfinished(file: Path, arm: str | None, result: "StudyResult", *, as_json: bool) -> None:
    """Print what is left to do after an interrupt, or after one arm.

    Raises:
        Exit: The study was interrupted.

    """
    from json import dumps

    if result.interrupted:
        typer.echo("Interrupted; nothing that was finished is lost. The same command goes on from here.", err=True)
        raise typer.Exit(INTERRUPTED)
    finished = f"The arm {arm} is finished."
    if as_json:
        typer.echo(dumps({"arm": arm, "left": list(result.left)}, indent=2))
    elif result.left:
        typer.echo(f"{finished} Left: {', '.join(result.left)} (--arm NAME each, or all that are left without --arm).")
    else:
        typer.echo(f"{finished} So are the others: without --arm, `hpsearch study {file}` compares them.")


def _print_report(report: "StudyReport", folder: Path | None, *, as_json: bool) -> None:
    from json import dumps

    from rich.console import Console

    from hpsearch.report.comparison.terminal import show_comparison
    from hpsearch.studies.report import study_json

    for warning in (*report.warnings, *report.time_warnings, *report.changes):
        typer.echo(terminal(f"warning: {warning}"), err=True)
    if as_json:
        typer.echo(dumps(study_json(report), indent=2, allow_nan=False))
        return
    typer.echo(terminal("\n".join(["", report.question, *report.answers, ""])))
    Console().print(show_comparison(report.evidence.comparison, headline=False))
    typer.echo(f"\nthe report is in {folder}")
