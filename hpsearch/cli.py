"""The command line: parse, call one function, print. Heavy imports stand inside the commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hpsearch.errors import HpsearchError, Problem, SearchFailedError, SpaceError, UnknownNameError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hyperparameter search that stands up: search a space, then confirm the winner on fresh seeds and test data.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

FAILED, MISTAKE = 1, 2

ROOT = Path("experiments")
ExperimentArgument = Annotated[Path, typer.Argument(help="The experiment's folder, or its name below experiments/.")]
UriOption = Annotated[
    str | None, typer.Option(help="MLflow server or store; by default experiments/mlflow.db beside the experiment.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster: auto or HOST:PORT; without it, ray stays on this machine."),
]


def main() -> None:
    """Run the program; turn the user's mistakes into a message and an exit status."""
    try:
        app()
    except SearchFailedError as error:
        sys.exit(_complain(error, FAILED))
    except HpsearchError as error:
        sys.exit(_complain(error, MISTAKE))
    except BrokenPipeError:  # the reader of our output went away (`hpsearch show x | head`): not an error
        sys.stderr.close()


def _complain(error: HpsearchError, status: int) -> int:
    typer.echo(str(error) if isinstance(error, SpaceError) else f"hpsearch: {error}", err=True)
    return status


def _folder(experiment: Path) -> Path:
    """Return an experiment's folder from its path or, if there is no such path, its name below experiments/."""
    named = ROOT / experiment
    return named if not experiment.exists() and (named.exists() or experiment.parent == Path()) else experiment


def _say(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Space files, or folders of them.")],
    quick: Annotated[bool, typer.Option(help="Check what --quick makes of them.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a value: train.epochs=5.")] = None,
) -> None:
    """Check space files: every name, type, range and requirement, without training anything."""
    from hpsearch.loading import load_space

    problems: list[Problem] = []
    for path in _space_files(paths):
        try:
            space = load_space(path, quick=quick, overrides=set_ or [])
        except SpaceError as error:
            problems += error.problems
        else:
            size = "" if space.size is None else f", {space.size} configurations"
            typer.echo(f"{path}: fine ({len(space.parameters)} ranges{size})")
    if problems:
        raise SpaceError(problems)


def _space_files(paths: list[Path]) -> list[Path]:
    files = []
    for path in paths:
        found = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
        if not found:
            raise HpsearchError(f"{path} holds no .yaml files")
        files += found
    return files


@app.command()
def schema(family: Annotated[str, typer.Argument(help="A family's name, or FILE.py:CLASS.")]) -> None:
    """Print the JSON Schema of a family's space files, for editors."""
    import json

    from hpsearch.families.loading import load_family
    from hpsearch.space import json_schema

    typer.echo(json.dumps(json_schema(load_family(family, Path()), family), indent=2))


@app.command()
def families() -> None:
    """List the model families and their metrics."""
    from hpsearch.families.loading import family_names, load_family

    for name in family_names():
        family = load_family(name, Path())
        typer.echo(f"{name}: {(type(family).__doc__ or '').splitlines()[0]}")
        typer.echo("  metrics: " + ", ".join(f"val/{metric} ({goal})" for metric, goal in family.metrics.items()))


@app.command()
def run(
    space: Annotated[Path, typer.Argument(help="A space file, such as spaces/deepsif.yaml.")],
    name: Annotated[str | None, typer.Option(help="The experiment's name; by default the space's.")] = None,
    quick: Annotated[
        bool, typer.Option(help="Lay the space's `quick` section over it: minutes instead of hours.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a value: train.epochs=5.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the whole experiment (search.trials).")] = None,
    time: Annotated[str | None, typer.Option(help="Time of the whole search, such as 2h (search.time).")] = None,
    workers: Annotated[str | None, typer.Option(help="Worker processes, or auto (search.workers).")] = None,
    seed: Annotated[int | None, typer.Option(help="The experiment's seed (search.seed).")] = None,
    engine: Annotated[str | None, typer.Option(help="optuna (this machine) or ray (search.engine).")] = None,
    address: AddressOption = None,
    in_process: Annotated[bool, typer.Option(help="One trial at a time in this process, for a debugger.")] = False,
    confirm: Annotated[bool, typer.Option(help="Train the winner on fresh seeds, as the space says.")] = True,
    mlflow: Annotated[bool, typer.Option(help="Mirror the experiment in MLflow.")] = True,
    tracking_uri: UriOption = None,
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Search a space: train its trials, prune the poor ones, confirm the winner. Running it again goes on with it."""
    from hpsearch import runner
    from hpsearch.display import Manner, displayed
    from hpsearch.loading import load_space

    budget = {"trials": trials, "time": time, "workers": workers, "seed": seed, "engine": engine}
    overrides = [*(set_ or []), *(f"search.{key}={value}" for key, value in budget.items() if value is not None)]
    loaded = load_space(space, quick=quick, overrides=overrides)
    folder = runner.experiment_folder(loaded, name=name, root=root, quick=quick)
    manner = Manner(in_process, confirm, mlflow, tracking_uri, quiet, json)
    raise typer.Exit(
        displayed(lambda options: runner.run(loaded, folder=folder, options=options), loaded, folder, manner)
    )


@app.command()
def confirm(
    experiment: ExperimentArgument,
    top: Annotated[int, typer.Option(min=1, help="How many of the best configurations.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Fresh seeds for each.")] = 5,
    in_process: Annotated[bool, typer.Option(help="In this process, for a debugger.")] = False,
    mlflow: Annotated[bool, typer.Option(help="Mirror the replicates in MLflow.")] = True,
    tracking_uri: UriOption = None,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Train an experiment's winners on fresh seeds and score them on the test split."""
    from hpsearch import runner
    from hpsearch.display import Manner, displayed
    from hpsearch.loading import open_space

    folder = _folder(experiment)
    space = open_space(folder)
    manner = Manner(in_process, True, mlflow, tracking_uri, quiet, json)
    raise typer.Exit(
        displayed(lambda options: runner.confirm(folder, top=top, seeds=seeds, options=options), space, folder, manner)
    )


@app.command()
def show(
    experiment: ExperimentArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many trials to list.")] = 20,
    importance: Annotated[bool, typer.Option(help="Which parameters mattered (takes a moment).")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the experiment as one JSON object.")] = False,
) -> None:
    """Show an experiment: its trials and how they ended, the best one, its confirmation."""
    from rich.console import Console

    from hpsearch.experiment.reading import read_experiment, read_resolved
    from hpsearch.report.json_view import show_json
    from hpsearch.report.terminal import show_experiment

    folder = _folder(experiment)
    record = read_experiment(folder)
    if json:
        import json as json_module

        typer.echo(json_module.dumps(show_json(record), indent=2))
        return
    shares = None
    if importance:
        from hpsearch.engines.importance import importance as shares_of

        shares = shares_of(record, read_resolved(folder)["space"])
    Console().print(show_experiment(record, limit=limit, importance=shares))


@app.command()
def sync(experiment: ExperimentArgument, tracking_uri: UriOption = None) -> None:
    """Catch MLflow up with an experiment's folder; what it has already is not written twice."""
    from hpsearch.experiment.reading import read_resolved
    from hpsearch.tracking.mlflow_mirror import MlflowMirror

    folder = _folder(experiment)
    read_resolved(folder)
    mirror = MlflowMirror(folder, tracking_uri)
    try:
        mirror.catch_up(final=True)
    finally:
        mirror.close()
    typer.echo(f"MLflow is up to date with {folder}")


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 for any free port.")] = 5000,
    host: Annotated[str, typer.Option(help="The address to listen on; loopback unless told otherwise.")] = "127.0.0.1",
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
) -> None:
    """Start the MLflow UI on the experiments' store, until Ctrl-C."""
    from hpsearch.tracking.mlflow_ui import serve_ui

    serve_ui(root, port=port, host=host, announce=_say)


@app.command()
def export(
    experiment: ExperimentArgument,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[str, typer.Option(help="optuna (a storage that optuna-dashboard opens), csv or parquet.")],
) -> None:
    """Write an experiment's trials for other tools."""
    from hpsearch.experiment.reading import read_experiment

    folder = _folder(experiment)
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
