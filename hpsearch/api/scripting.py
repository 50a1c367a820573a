"""hpsearch from a script or a notebook: the functions that the command line calls, with Python's own types."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hpsearch.api.opening import OpenedExperiment, open_experiment
from hpsearch.console.display import ConsoleOptions, show_next_steps, watched
from hpsearch.running import runner
from hpsearch.running.loading import load_space, open_space
from hpsearch.workers.bench import Cluster


def run(
    space: str | Path,
    *,
    name: str | None = None,
    root: str | Path = runner.ROOT,
    quick: bool = False,
    overrides: Mapping[str, Any] | None = None,
    in_process: bool = False,
    address: str | None = None,
    confirm: bool = True,
    mlflow: bool = True,
    track: str = "mlflow",
    tracking_uri: str | None = None,
    quiet: bool = False,
) -> OpenedExperiment:
    """Search a space file and confirm its winner; the same as `hpsearch run`. Running it again goes on with it.

    `overrides` replaces values or ranges of the file by their dotted names, as --set does:
    `{"search.trials": 20, "train.learning_rate": {"log": [1e-4, 1e-2]}}`.
    `address` is that of a running Ray cluster, for the engine `ray`. What an interrupted session leaves is returned.

    Errors: SpaceError with every mistake of the file; ExperimentError; SearchFailedError when no trial has a result.
    """
    settings = [f"{path}={_as_yaml(value)}" for path, value in (overrides or {}).items()]
    loaded = load_space(Path(space), quick=quick, overrides=settings)
    folder = runner.experiment_folder(loaded, name=name, root=root, quick=quick)
    shown = ConsoleOptions(in_process, Cluster(address), confirm, mlflow, tracking_uri, quiet, track)
    with watched(loaded, folder, shown) as options:
        result = runner.run(loaded, folder=folder, options=options)
    show_next_steps(result, loaded, shown)
    return open_experiment(folder)


def confirm(
    experiment: str | Path,
    *,
    top: int = 1,
    seeds: int | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    in_process: bool = False,
    address: str | None = None,
    mlflow: bool = True,
    track: str = "mlflow",
    quiet: bool = False,
) -> OpenedExperiment:
    """Train an experiment's best configurations again and score them on the test split; as `hpsearch confirm`.

    On `seeds` fresh seeds, 5 by default, or on `folds` of the data, divided anew `repeats` times.
    """
    folder = Path(experiment)
    space = open_space(folder)
    shown = ConsoleOptions(in_process, Cluster(address), mlflow=mlflow, quiet=quiet, track=track)
    with watched(space, folder, shown) as options:
        result = runner.confirm(folder, top=top, seeds=seeds, folds=folds, repeats=repeats, options=options)
    show_next_steps(result, space, shown)
    return open_experiment(folder)


def _as_yaml(value: Any) -> str:
    """Write a value in one line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize).strip().removesuffix("\n...").strip()
