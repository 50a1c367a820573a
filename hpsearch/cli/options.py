"""Arguments and options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hpsearch.space import Space

ROOT = Path("experiments")
FAILED, MISTAKE, INTERRUPTED = 1, 2, 130
"""Exit statuses."""
ExperimentArgument = Annotated[Path, typer.Argument(help="The experiment's folder, or its name below experiments/.")]
UriOption = Annotated[
    str | None, typer.Option(help="MLflow server or store; by default experiments/mlflow.db beside the experiment.")
]
TrackOption = Annotated[
    str, typer.Option(help="Where to mirror the experiment: mlflow, tensorboard, wandb, several with commas, or none.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster: auto or HOST:PORT; without it, ray stays on this machine."),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show what Ray itself has to say.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override a value: train.epochs=5.")]


def experiment_folder(experiment: Path) -> Path:
    """Return an experiment's folder from its path or, if there is no such path, its name below experiments/."""
    named = ROOT / experiment
    return named if not experiment.exists() and (named.exists() or experiment.parent == Path()) else experiment


def given_params(params: str, space: "Space", source: Path | None) -> dict[str, Any]:
    """Return the values of `--params`: those of a file, or of the winner (`best`) of an experiment, the space's own.

    Errors: SpaceError with places in the file; HpsearchError when there is no winner.
    """
    from hpsearch.final.source import find_source
    from hpsearch.space import read_params

    if params == "best":
        return find_source(experiment_folder(source or ROOT / space.path.stem)).params
    return read_params(Path(params), space)
