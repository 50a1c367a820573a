"""Searching a space, confirming its winner, training one configuration: `hpsearch.run`, `confirm` and `train`."""

import sys
from dataclasses import replace
from pathlib import Path

from hpsearch.api.arguments import Overrides, StrPath, find_experiment, settings_of
from hpsearch.api.open import OpenedExperiment, open_experiment
from hpsearch.console.display import ConsoleOptions, show_next_steps, watched
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.final.request import Params, TrainRequest, command_of, plan_training
from hpsearch.final.selection import Origin, selection_of
from hpsearch.running import runner
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.session import SessionResult
from hpsearch.space import Space, only
from hpsearch.workers.bench import Cluster


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
        The experiment as it stands, after an interruption too; its `session` says how this one ended.

    Raises:
        SpaceError: The file has mistakes; all of them are told.
        ExperimentError: The folder is in use, or holds a search that does not fit.
        SearchFailedError: No trial came to a result.
    """
    budget = {"trials": trials, "time": time, "workers": workers, "seed": seed, "engine": engine}
    settings = [f"search.{option}={value}" for option, value in budget.items() if value is not None]
    loaded = load_space(Path(space), quick=quick, overrides=[*settings_of(set), *settings])
    folder = runner.default_folder(loaded, name=name, root=Path(root), quick=quick)
    shown = ConsoleOptions(in_process, Cluster(address, verbose), confirm, mlflow, tracking_uri, quiet, track)
    with watched(loaded, folder, shown) as options:
        result = runner.run(loaded, folder=folder, options=options)
    return _told(result, loaded, shown)


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
        The experiment as it stands, with all its replicates.

    Raises:
        ExperimentError: The folder is no experiment, or in use.
        SearchFailedError: No trial has a result.
        HpsearchError: Both seeds and folds were asked for, or the family's data have no folds.
    """
    folder = find_experiment(experiment)
    space = open_space(folder)
    shown = ConsoleOptions(in_process, Cluster(address, verbose), True, mlflow, tracking_uri, quiet, track)
    with watched(space, folder, shown) as options:
        result = runner.confirm(folder, top=top, seeds=seeds, folds=folds, repeats=repeats, options=options)
    return _told(result, space, shown)


def train(
    space: StrPath | None = None,
    *,
    params: Params,
    from_: StrPath | None = None,
    arm: str | None = None,
    name: str | None = None,
    quick: bool = False,
    set: Overrides | None = None,  # noqa: A002 -- the option's name
    processes: int | None = None,
    test: bool = False,
    in_process: bool = False,
    mlflow: bool = True,
    tracking_uri: str | None = None,
    root: StrPath = EXPERIMENTS,
    quiet: bool = False,
) -> OpenedExperiment:
    """Train one configuration to its end, without pruning; `hpsearch train` in Python. Again, it goes on with it.

    Example:
        final = hpsearch.train(params="best", from_="experiments/char_lm-quick", test=True)
        final.replicates  # the test scores

    Args:
        space: A space file; left out, the space of what `from_` names, as it was run.
        params: The values by their dotted names, a YAML or JSON file of them, or "best".
        from_: The experiment, or study, whose winner "best" is.
        arm: Which arm of the study; by default the first of its comparison.
        name: The experiment's name; by default the space's, or that of `from_`, and -final.
        quick: Lay the space's `quick` section over it.
        set: Values or ranges that replace those of the file, by their dotted names.
        processes: Processes that train together (search.resources.processes).
        test: Score the test split at the end.
        in_process: In this process, for a debugger.
        mlflow: Mirror the training in MLflow.
        tracking_uri: The MLflow server or store.
        root: Where experiments are kept.
        quiet: Print nothing but problems and what to do next.

    Returns:
        An experiment of one trial.

    Raises:
        HpsearchError: The arguments contradict one another, the values do not fit, or there is no winner.
        SearchFailedError: The training failed.
    """
    together = [] if processes is None else [f"search.resources.processes={processes}"]
    request = TrainRequest(
        params,
        None if space is None else Path(space),
        None if from_ is None else find_experiment(from_),
        arm,
        quick,
        [*settings_of(set), *together],
    )
    planned, origin = plan_training(request, root=Path(root)), None
    if planned.source:
        changed = planned.data_changed
        selection = replace(selection_of(planned.source), data_changed=changed)
        origin = Origin(command_of(request, name=name, test=test), selection).to_json()
        if changed:
            _say(f"the winner of {planned.source.folder} was chosen on other data: {'; '.join(changed)}")
        if planned.source.study:
            _say(f"arm {planned.source.arm} of {planned.source.study}. {planned.source.grounds}")
    folder, alone = Path(root) / (name or planned.name), only(planned.space, planned.params)
    shown = ConsoleOptions(in_process, mlflow=mlflow, tracking_uri=tracking_uri, quiet=quiet)
    with watched(alone, folder, shown) as options:
        result = runner.train(planned.space, planned.params, folder=folder, test=test, origin=origin, options=options)
    return _told(result, alone, shown, single=True)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _told(result: SessionResult, space: Space, shown: ConsoleOptions, *, single: bool = False) -> OpenedExperiment:
    """Say what to do next, and return the experiment."""
    show_next_steps(result, space, shown, single=single)
    return open_experiment(result.record.folder, session=result)
