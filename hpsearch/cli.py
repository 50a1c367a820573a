"""The command line: parse, call one function, print. Heavy imports stand inside the commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hpsearch.errors import HpsearchError, SearchFailedError, SpaceError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hyperparameter search that ends in a claim: search, confirm on fresh seeds, compare.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

DONE, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130

ROOT = Path("experiments")
ExperimentArgument = Annotated[Path, typer.Argument(help="The experiment's folder, or its name below experiments/.")]
UriOption = Annotated[
    str | None, typer.Option(help="MLflow server or store; by default experiments/mlflow.db beside the experiment.")
]


def main() -> None:
    """Run the program; turn the user's mistakes into a message and an exit status."""
    try:
        status = app(standalone_mode=False)
    except SearchFailedError as error:
        status = _complain(error, FAILED)
    except HpsearchError as error:
        status = _complain(error, MISTAKE)
    except typer.TyperException as error:
        error.show()
        status = MISTAKE
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        status = _close_quietly()
    sys.exit(status or DONE)


def _complain(error: HpsearchError, status: int) -> int:
    typer.echo(str(error) if isinstance(error, SpaceError) else f"hpsearch: {error}", err=True)
    return status


def _close_quietly() -> int:
    """The reader of our output went away (`hpsearch show x | head`): not an error."""
    sys.stderr.close()
    return DONE


def _folder(experiment: Path) -> Path:
    """Return an experiment's folder from its path or its name."""
    named = ROOT / experiment
    return named if not experiment.exists() and named.exists() else experiment


def _say(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Space files, or folders of them.")],
    quick: Annotated[bool, typer.Option(help="Check what --quick makes of them.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a value: train.epochs=5.")] = None,
) -> None:
    """Check space files: every name, type, range and requirement, without training anything."""
    from hpsearch.runner import load_space

    problems = []
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
    quick: Annotated[bool, typer.Option(help="Lay the space's `quick` section over it: minutes instead of hours.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a value: train.epochs=5.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the whole experiment (search.trials).")] = None,
    time: Annotated[str | None, typer.Option(help="Time of the whole search, such as 2h (search.time).")] = None,
    workers: Annotated[str | None, typer.Option(help="Worker processes, or auto (search.workers).")] = None,
    seed: Annotated[int | None, typer.Option(help="The experiment's seed (search.seed).")] = None,
    engine: Annotated[str | None, typer.Option(help="The engine (search.engine).")] = None,
    in_process: Annotated[bool, typer.Option(help="One trial at a time in this process, for a debugger.")] = False,
    confirm: Annotated[bool, typer.Option(help="Train the winner on fresh seeds, as the space says.")] = True,
    mlflow: Annotated[bool, typer.Option(help="Mirror the experiment in MLflow.")] = True,
    tracking_uri: UriOption = None,
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems and the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> int:
    """Search a space: train its trials, prune the poor ones, confirm the winner. Running it again goes on with it."""
    from hpsearch.runner import load_space
    from hpsearch.running import run_with_display

    budget = {"trials": trials, "time": time, "workers": workers, "seed": seed, "engine": engine}
    overrides = [*(set_ or []), *(f"search.{key}={value}" for key, value in budget.items() if value is not None)]
    return run_with_display(
        load_space(space, quick=quick, overrides=overrides),
        root / (name or space.stem + ("-quick" if quick else "")),
        in_process=in_process,
        confirm=confirm,
        mlflow=mlflow,
        tracking_uri=tracking_uri,
        quiet=quiet,
        as_json=json,
    )
