"""Commands that train: run, train and confirm."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.options import (
    INTERRUPTED,
    ROOT,
    AddressOption,
    ExperimentArgument,
    SetOption,
    TrackOption,
    UriOption,
    VerboseOption,
    experiment_folder,
)

if TYPE_CHECKING:
    from hpsearch.running.session import SessionResult


def run(
    space: Annotated[Path, typer.Argument(help="A space file, such as spaces/deepsif.yaml.")],
    name: Annotated[str | None, typer.Option(help="The experiment's name; by default the space's.")] = None,
    quick: Annotated[
        bool, typer.Option(help="Lay the space's `quick` section over it: minutes instead of hours.")
    ] = False,
    set_: SetOption = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the whole experiment (search.trials).")] = None,
    time: Annotated[str | None, typer.Option(help="Time of the whole search, such as 2h (search.time).")] = None,
    workers: Annotated[str | None, typer.Option(help="Worker processes, or auto (search.workers).")] = None,
    seed: Annotated[int | None, typer.Option(help="The experiment's seed (search.seed).")] = None,
    engine: Annotated[str | None, typer.Option(help="optuna (this machine) or ray (search.engine).")] = None,
    address: AddressOption = None,
    verbose: VerboseOption = False,
    in_process: Annotated[bool, typer.Option(help="One trial at a time in this process, for a debugger.")] = False,
    confirm: Annotated[bool, typer.Option(help="Train the winner on fresh seeds, as the space says.")] = True,
    mlflow: Annotated[bool, typer.Option(help="Mirror the experiment in MLflow.")] = True,
    track: TrackOption = "mlflow",
    tracking_uri: UriOption = None,
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Search a space: train its trials, prune the poor ones, confirm the winner. Running it again goes on with it."""
    from hpsearch.console.display import ConsoleOptions, show_next_steps, watched
    from hpsearch.running import runner
    from hpsearch.running.loading import load_space
    from hpsearch.workers.bench import Cluster

    budget = {"trials": trials, "time": time, "workers": workers, "seed": seed, "engine": engine}
    overrides = [*(set_ or []), *(f"search.{key}={value}" for key, value in budget.items() if value is not None)]
    loaded = load_space(space, quick=quick, overrides=overrides)
    folder = runner.experiment_folder(loaded, name=name, root=root, quick=quick)
    shown = ConsoleOptions(in_process, Cluster(address, verbose), confirm, mlflow, tracking_uri, quiet, track)
    with watched(loaded, folder, shown) as options:
        result = runner.run(loaded, folder=folder, options=options)
    show_next_steps(result, loaded, shown)
    _print_result(result, as_json=json)


def train(
    space: Annotated[
        Path | None, typer.Argument(help="A space file; left out, the space of what --from names, as it was run.")
    ] = None,
    *,
    params: Annotated[str, typer.Option(help="A YAML or JSON file of dotted names and values, or best.")],
    from_: Annotated[
        Path | None, typer.Option("--from", help="The experiment, or study, whose winner --params best takes.")
    ] = None,
    arm: Annotated[
        str | None, typer.Option(help="Which arm of the study; by default the first of its comparison.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The experiment's name; by default the space's, or --from's, and -final.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Lay the space's `quick` section over it.")] = False,
    set_: SetOption = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that train together (search.resources.processes).")
    ] = None,
    test: Annotated[bool, typer.Option(help="Score the test split at the end.")] = False,
    in_process: Annotated[bool, typer.Option(help="In this process, for a debugger.")] = False,
    mlflow: Annotated[bool, typer.Option(help="Mirror the training in MLflow.")] = True,
    tracking_uri: UriOption = None,
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Train one configuration to its end, without pruning. Running it again goes on with it."""
    from hpsearch.console.display import ConsoleOptions, show_next_steps, watched
    from hpsearch.final.request import Wish, command_of, plan_training
    from hpsearch.final.selection import Origin, selection_of
    from hpsearch.running import runner
    from hpsearch.space import only

    together = [] if processes is None else [f"search.resources.processes={processes}"]
    source = None if from_ is None else experiment_folder(from_)
    wish = Wish(params, space, source, arm, quick, [*(set_ or []), *together])
    asked = plan_training(wish, root=root)
    origin = None
    if asked.source:
        selection = replace(selection_of(asked.source), data_changed=asked.data_changed)
        origin = Origin(command_of(wish, name=name, test=test), selection).to_json()
        if asked.data_changed:
            told = "; ".join(asked.data_changed)
            typer.echo(f"the winner of {asked.source.folder} was chosen on other data: {told}", err=True)
        if asked.source.study:
            typer.echo(f"arm {asked.source.arm} of {asked.source.study}. {asked.source.grounds}", err=True)
    folder = root / (name or asked.name)
    alone = only(asked.space, asked.params)
    shown = ConsoleOptions(in_process, mlflow=mlflow, tracking_uri=tracking_uri, quiet=quiet)
    with watched(alone, folder, shown) as options:
        result = runner.train(asked.space, asked.params, folder=folder, test=test, origin=origin, options=options)
    show_next_steps(result, alone, shown, single=True)
    _print_result(result, as_json=json)


def confirm(
    experiment: ExperimentArgument,
    top: Annotated[int, typer.Option(min=1, help="How many of the best configurations.")] = 1,
    seeds: Annotated[int | None, typer.Option(min=1, help="Fresh seeds for each; 5 by default.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Instead of seeds, folds of the data to test on.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="How often to divide the data into folds anew.")] = None,
    address: AddressOption = None,
    verbose: VerboseOption = False,
    in_process: Annotated[bool, typer.Option(help="In this process, for a debugger.")] = False,
    mlflow: Annotated[bool, typer.Option(help="Mirror the replicates in MLflow.")] = True,
    track: TrackOption = "mlflow",
    tracking_uri: UriOption = None,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Train an experiment's winners on fresh seeds, or on folds of the data, and score them on the test split."""
    from hpsearch.console.display import ConsoleOptions, show_next_steps, watched
    from hpsearch.running import runner
    from hpsearch.running.loading import open_space
    from hpsearch.workers.bench import Cluster

    folder = experiment_folder(experiment)
    space = open_space(folder)
    shown = ConsoleOptions(in_process, Cluster(address, verbose), True, mlflow, tracking_uri, quiet, track)
    with watched(space, folder, shown) as options:
        result = runner.confirm(folder, top=top, seeds=seeds, folds=folds, repeats=repeats, options=options)
    show_next_steps(result, space, shown)
    _print_result(result, as_json=json)


def _print_result(result: "SessionResult", *, as_json: bool) -> None:
    """Print a session's result; exit with the status of an interrupted one.

    Raises:
        Exit: The session was interrupted.
    """
    from json import dumps

    from rich.console import Console

    from hpsearch.console.watching import digested
    from hpsearch.report.json_view import show_json
    from hpsearch.report.terminal import show_experiment
    from hpsearch.workers.coordinator import Why

    if as_json:
        typer.echo(dumps({**show_json(result.record), "why": result.why.value}, indent=2))
    else:
        Console().print(show_experiment(result.record, health=digested(result.record)))
    if result.why is Why.INTERRUPTED:
        raise typer.Exit(INTERRUPTED)
