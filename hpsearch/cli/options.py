"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.experiment.layout import EXPERIMENTS

ROOT = EXPERIMENTS
FAILED, MISTAKE = 1, 2
"""Exit statuses."""
ExperimentArgument = Annotated[Path, typer.Argument(help="The experiment's folder, or its name below experiments/.")]
ModelArgument = Annotated[
    Path, typer.Argument(help="An exported model, or an experiment or study, whose winner is used.")
]
RunOption = Annotated[
    str | None, typer.Option(help="Of an experiment, a replicate of the winner: confirm/0003/seed-001.")
]
HomeOption = Annotated[Path | None, typer.Option(help="The folder with the file of a family of your own.")]
UriOption = Annotated[
    str | None, typer.Option(help="MLflow server or store; by default mlflow.db in the experiment's parent folder.")
]
TrackOption = Annotated[
    str, typer.Option(help="Where to mirror the experiment: mlflow, tensorboard, wandb, several with commas, or none.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster: auto or HOST:PORT; without it, ray stays on this machine."),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show what Ray itself has to say.")]
TrustOption = Annotated[
    bool | None, typer.Option("--trust", help="Run code from outside this project, too; look at it first.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override a value: train.epochs=5.")]
PortOption = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Where the page listens; any free port by default.")
]
NoOpenOption = Annotated[bool, typer.Option("--no-open", help="Print the page's address, and open no browser.")]
ControlOption = Annotated[
    bool, typer.Option("--control", help="Let the page give orders: stop a trial, add one, pause, budgets, notes.")
]
