"""The command that compares finished runs."""

from pathlib import Path
from typing import Annotated

import typer

_METRIC = "The metric to compare; by default what the runs are about."
_BASELINE = "Compare every experiment with this one only."
_SEPARATOR = "What separates the columns of tables that leave it open: , ; | tab or space."
_UNIT = "What counts as one observation: auto, seed, fold, dataset or trial."


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
    stochastic_order: Annotated[bool, typer.Option(help="Add the almost stochastic order (slower).")] = False,
    seed: Annotated[int, typer.Option(help="Of everything random: resampling, permutations.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The report's folder; by default reports/<name of the first path>.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="What to write, with commas.")] = "html,md,tex,csv,json",
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
        stochastic_order=stochastic_order,
        seed=seed,
    )
    report = compared.grouped
    if json:
        for warning in compared.found.warnings if report is None else ():
            typer.echo(f"warning: {warning}", err=True)
        typer.echo(compare_json(report or compared.comparison), nl=False)
        return
    Console().print(show_comparison(compared.comparison) if report is None else show_grouped(report))
    folder = compared.save(out, format=formats)
    typer.echo(f"\nthe report is in {folder}" + (f": open {folder / 'report.html'}" if "html" in formats else ""))
