"""Confirming the winners of an experiment: `hpsearch.confirm`."""

from hpsearch.api.arguments import StrPath, find_experiment
from hpsearch.api.open import OpenedExperiment
from hpsearch.api.run import opened
from hpsearch.console.display import ConsoleOptions, watched
from hpsearch.running import chosen
from hpsearch.running.loading import open_space
from hpsearch.workers.engines import Cluster


def confirm(
    experiment: StrPath,
    *,
    top: int = 1,
    seeds: int | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    address: str | None = None,
    verbose: bool = False,
    in_process: bool = False,
    mlflow: bool = True,
    track: str = "mlflow",
    tracking_uri: str | None = None,
    quiet: bool = False,
) -> OpenedExperiment:
    """Train an experiment's best configurations again and score them on the test split; `hpsearch confirm` in Python.

    Example:
        experiment = hpsearch.confirm("experiments/char_lm-quick", seeds=10)
        experiment.replicates

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        top: How many of the best configurations.
        seeds: Fresh seeds for each; 5 by default.
        folds: Instead of seeds, folds of the data to test on.
        repeats: How often to divide the data into folds anew.
        address: A running Ray cluster: "auto" or "HOST:PORT".
        verbose: Show what Ray itself has to say.
        in_process: One training at a time in this process, for a debugger.
        mlflow: Mirror the replicates in MLflow.
        track: Where to mirror them: mlflow, tensorboard, wandb, several with commas, or none.
        tracking_uri: The MLflow server or store.
        quiet: Print nothing but problems and what to do next.

    Returns:
        The experiment with all its replicates.

    Raises:
        ExperimentError: The folder is no experiment, or in use.
        SearchFailedError: No trial has a result.
        HpsearchError: Both seeds and folds were asked for, or the family's data have no folds.
    """
    folder = find_experiment(experiment)
    space = open_space(folder)
    shown = ConsoleOptions(in_process, Cluster(address, verbose), True, mlflow, tracking_uri, quiet, track)
    with watched(space, folder, shown) as options:
        result = chosen.confirm(folder, top=top, seeds=seeds, folds=folds, repeats=repeats, options=options)
    return opened(result, space, shown)
