"""Searching a space and confirming its winner: `hpsearch.run`."""

from dataclasses import replace
from pathlib import Path

from hpsearch.api.arguments import Overrides, StrPath, settings_of
from hpsearch.api.open import OpenedExperiment, open_experiment
from hpsearch.console.display import ConsoleOptions, show_next_steps, watched
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.running import runner
from hpsearch.running.loading import load_space
from hpsearch.running.session import SessionResult
from hpsearch.space import Space
from hpsearch.workers.engines import Cluster
from hpsearch.workers.local.processes import EarlyServer


def run(
    space: StrPath,
    *,
    name: str | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    trials: int | None = None,
    time: str | float | None = None,
    workers: str | int | None = None,
    seed: int | None = None,
    engine: str | None = None,
    address: str | None = None,
    verbose: bool = False,
    in_process: bool = False,
    confirm: bool = True,
    mlflow: bool = True,
    track: str = "mlflow",
    tracking_uri: str | None = None,
    root: StrPath = EXPERIMENTS,
    quiet: bool = False,
) -> OpenedExperiment:
    """Search a space and confirm its winner; `hpsearch run` in Python. Running it again goes on with it.

    Example:
        experiment = hpsearch.run("spaces/char_lm.yaml", quick=True, trials=4, set={"train.epochs": 3})
        experiment.best.params

    Args:
        space: A space file.
        name: The experiment's name; by default the space's.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the file, by their dotted names.
        trials: Trials of the whole experiment (search.trials).
        time: Time of the whole search, such as "2h" (search.time).
        workers: Worker processes, or "auto" (search.workers).
        seed: The experiment's seed (search.seed).
        engine: Where trials run (search.engine).
        address: A running Ray cluster: "auto" or "HOST:PORT".
        verbose: Show what Ray itself has to say.
        in_process: One trial at a time in this process, for a debugger.
        confirm: Train the winner on fresh seeds, as the space says.
        mlflow: Mirror the experiment in MLflow.
        track: Where to mirror it: mlflow, tensorboard, wandb, several with commas, or none.
        tracking_uri: The MLflow server or store.
        root: Where experiments are kept.
        quiet: Print nothing but problems and what to do next.

    Returns:
        The experiment as it is now, also after an interruption; its `session` says how this one ended.

    Raises:
        SpaceError: The file has mistakes; all of them are told.
        ExperimentError: The folder is in use, or holds a search that does not fit.
        SearchFailedError: No trial came to a result.
    """
    budget = {"trials": trials, "time": time, "workers": workers, "seed": seed, "engine": engine}
    settings = [f"search.{option}={value}" for option, value in budget.items() if value is not None]
    shown = ConsoleOptions(in_process, Cluster(address, verbose), confirm, mlflow, tracking_uri, quiet, track)
    with EarlyServer() as early:
        loaded = load_space(
            Path(space),
            quick=quick,
            overrides=[*settings_of(set), *settings],
            named=lambda family: None if in_process or engine == "ray" else early.start(runner.modules_of(family)),
        )
        folder = runner.default_folder(loaded, name=name, root=Path(root), quick=quick)
        with watched(loaded, folder, shown) as options:
            result = runner.run(loaded, folder=folder, options=replace(options, early=early))
    return opened(result, loaded, shown)


def opened(result: SessionResult, space: Space, shown: ConsoleOptions, *, single: bool = False) -> OpenedExperiment:
    """Show the next steps after a session and return its experiment."""
    show_next_steps(result, space, shown, single=single)
    return open_experiment(result.record.folder, session=result)
