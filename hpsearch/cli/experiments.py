"""Commands about experiments: show, sync, ui, export."""

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli.options import ROOT, ExperimentArgument, UriOption, experiment_folder
from hpsearch.errors import UnknownNameError


def show(
    experiment: ExperimentArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many trials to list.")] = 20,
    importance: Annotated[bool, typer.Option(help="Which parameters mattered (takes a moment).")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the experiment as one JSON object.")] = False,
) -> None:
    """Show an experiment: its trials and how they ended, the best one, its confirmation, what is wrong and its cure."""
    from rich.console import Console

    from hpsearch.experiment.reading import read_evidence, read_experiment, read_resolved
    from hpsearch.health import digest, examine
    from hpsearch.report.json_view import show_json
    from hpsearch.report.terminal import show_experiment

    folder = experiment_folder(experiment)
    record = read_experiment(folder)
    findings = examine([read_evidence(folder, trial) for trial in record.trials], record.objective, unit=record.unit)
    if json:
        import json as json_module

        typer.echo(json_module.dumps(show_json(record, health=findings), indent=2))
        return
    shares = None
    if importance:
        from hpsearch.engines.importance import importance as shares_of

        shares = shares_of(record, read_resolved(folder)["space"])
    best = record.best.number if record.best else None
    Console().print(show_experiment(record, limit=limit, importance=shares, health=digest(findings, best=best)))


def sync(experiment: ExperimentArgument, tracking_uri: UriOption = None) -> None:
    """Catch MLflow up with an experiment's folder; what it has already is not written twice."""
    from hpsearch.experiment.reading import read_resolved
    from hpsearch.tracking.mlflow_mirror import MlflowMirror

    folder = experiment_folder(experiment)
    read_resolved(folder)
    mirror = MlflowMirror(folder, tracking_uri)
    try:
        mirror.catch_up(final=True)
    finally:
        mirror.close()
    typer.echo(f"MLflow is up to date with {folder}")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def ui(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 for any free port.")] = 5000,
    host: Annotated[str, typer.Option(help="The address to listen on; loopback unless told otherwise.")] = "127.0.0.1",
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
) -> None:
    """Start the MLflow UI on the experiments' store, until Ctrl-C."""
    from hpsearch.tracking.mlflow_ui import serve_ui

    serve_ui(root, port=port, host=host, announce=_say)


def export(
    experiment: ExperimentArgument,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[str, typer.Option(help="optuna (a storage that optuna-dashboard opens), csv or parquet.")],
) -> None:
    """Write an experiment's trials for other tools."""
    from hpsearch.experiment.reading import read_experiment

    folder = experiment_folder(experiment)
    record = read_experiment(folder)
    if to == "optuna":
        from hpsearch.engines.optuna_export import export_optuna
        from hpsearch.loading import open_space

        export_optuna(record, open_space(folder), file)
    elif to in ("csv", "parquet"):
        from hpsearch.report.export import export_table

        export_table(record, file, to)
    else:
        raise UnknownNameError("format", to, ("optuna", "csv", "parquet"))
    typer.echo(f"wrote {file}")
