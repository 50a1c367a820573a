"""Commands that train: run searches; train and confirm take configurations that are already chosen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.options import (
    ROOT,
    AddressOption,
    SetOption,
    TrackOption,
    TrustOption,
    UriOption,
    VerboseOption,
)
from hpsearch.cli.starting import INTERRUPTED

if TYPE_CHECKING:
    from hpsearch.api.open import OpenedExperiment
from hpsearch.cli.options import (
    ExperimentArgument,
)


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
    engine: Annotated[str | None, typer.Option(help="local (this machine) or ray (search.engine).")] = None,
    address: AddressOption = None,
    verbose: VerboseOption = False,
    in_process: Annotated[bool, typer.Option(help="One trial at a time in this process, for a debugger.")] = False,
    confirm: Annotated[bool, typer.Option(help="Train the winner on fresh seeds, as the space says.")] = True,
    mlflow: Annotated[bool, typer.Option(help="Mirror the experiment in MLflow.")] = True,
    track: TrackOption = "mlflow",
    tracking_uri: UriOption = None,
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    trust: TrustOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Search a space: train its trials, prune the poor ones, confirm the winner. Running it again goes on with it."""
    from hpsearch.api import run as api

    experiment = api.run(
        space,
        name=name,
        quick=quick,
        set=set_,
        trials=trials,
        time=time,
        workers=workers,
        seed=seed,
        engine=engine,
        address=address,
        verbose=verbose,
        in_process=in_process,
        confirm=confirm,
        mlflow=mlflow,
        track=track,
        tracking_uri=tracking_uri,
        root=root,
        quiet=quiet,
        trust=trust,
    )
    print_result(experiment, as_json=json)


def print_result(experiment: "OpenedExperiment", *, as_json: bool) -> None:
    """Print the result of a session.

    Raises:
        Exit: The session was interrupted.
    """
    from json import dumps

    from rich.console import Console

    from hpsearch.console.watching import digested
    from hpsearch.report.experiment_view import show_experiment, show_json
    from hpsearch.workers.coordinator import StopReason

    record, session = experiment.record, experiment.session
    assert session is not None  # noqa: S101 -- ours: it has just ended
    if as_json:
        typer.echo(dumps({**show_json(record), "why": session.why.value}, indent=2))
    else:
        Console().print(show_experiment(record, health=digested(record)))
    if session.why is StopReason.INTERRUPTED:
        raise typer.Exit(INTERRUPTED)


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
    trust: TrustOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Train one configuration to its end, without pruning. Running it again goes on with it."""
    from hpsearch.api import train as api

    experiment = api.train(
        space,
        params=params,
        from_=from_,
        arm=arm,
        name=name,
        quick=quick,
        set=set_,
        processes=processes,
        test=test,
        in_process=in_process,
        mlflow=mlflow,
        tracking_uri=tracking_uri,
        root=root,
        quiet=quiet,
        trust=trust,
    )
    print_result(experiment, as_json=json)


def confirm(
    experiment: ExperimentArgument,
    top: Annotated[int, typer.Option(min=1, help="How many of the best configurations.")] = 1,
    seeds: Annotated[int | None, typer.Option(min=1, help="Fresh seeds for each; 5 by default.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Instead of seeds, folds of the data to test on.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="How often to divide the data into new folds.")] = None,
    address: AddressOption = None,
    verbose: VerboseOption = False,
    in_process: Annotated[bool, typer.Option(help="In this process, for a debugger.")] = False,
    mlflow: Annotated[bool, typer.Option(help="Mirror the replicates in MLflow.")] = True,
    track: TrackOption = "mlflow",
    tracking_uri: UriOption = None,
    quiet: Annotated[bool, typer.Option(help="Print nothing but problems, the result and what to do next.")] = False,
    trust: TrustOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Train an experiment's winners on fresh seeds, or on folds of the data, and score them on the test split."""
    from hpsearch.api import train as api

    confirmed = api.confirm(
        experiment,
        top=top,
        seeds=seeds,
        folds=folds,
        repeats=repeats,
        address=address,
        verbose=verbose,
        in_process=in_process,
        mlflow=mlflow,
        track=track,
        tracking_uri=tracking_uri,
        quiet=quiet,
        trust=trust,
    )
    print_result(confirmed, as_json=json)
