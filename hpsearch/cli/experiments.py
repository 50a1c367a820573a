"""Commands about experiments: show, watch, sync, ui, export, doctor."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cleaning import terminal
from hpsearch.cli.options import (
    FAILED,
    ROOT,
    ControlOption,
    ExperimentArgument,
    NoOpenOption,
    PortOption,
    TrustOption,
    UriOption,
)
from hpsearch.errors import HpsearchError

if TYPE_CHECKING:
    from hpsearch.tracking import Mirror


def show(
    experiment: ExperimentArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many trials to list.")] = 20,
    importance: Annotated[bool, typer.Option(help="Which parameters mattered (takes a moment).")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the experiment as one JSON object.")] = False,
) -> None:
    """Show an experiment: its trials and how they ended, the best one, its confirmation, what is wrong and its cure.

    Of a study: its arms and their progress.
    """
    from rich.console import Console

    from hpsearch.api.arguments import find_experiment
    from hpsearch.console.watching import digested, examined
    from hpsearch.experiment.activity import silent_runs
    from hpsearch.experiment.layout import is_study
    from hpsearch.experiment.reading import read_experiment, read_resolved
    from hpsearch.report.experiment_view import show_experiment, show_json

    folder = find_experiment(experiment)
    if is_study(folder):
        _show_study(folder, as_json=json)
        return
    record = read_experiment(folder)
    if json:
        import json as json_module

        typer.echo(json_module.dumps(show_json(record, health=examined(record)), indent=2, allow_nan=False))
        return
    shares = None
    if importance:
        from hpsearch.search.importance import importance as shares_of

        shares = shares_of(record, read_resolved(folder)["space"])
    view = show_experiment(record, limit=limit, importance=shares, health=digested(record), silent=silent_runs(record))
    Console().print(view)


def _show_study(folder: Path, *, as_json: bool) -> None:
    from json import dumps

    from rich.console import Console

    from hpsearch.studies.progress import progress_of, show_study

    study = progress_of(folder)
    if as_json:
        typer.echo(dumps(study.to_json(), indent=2, allow_nan=False))
    else:
        Console().print(show_study(study))
        typer.echo(f"\n`hpsearch show {folder}/ARM` shows one of them.")


def watch(
    experiment: ExperimentArgument,
    trial: Annotated[int | None, typer.Option(min=0, help="Which trial; by default the running or best one.")] = None,
    interval: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and return.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a picture (.png, .svg or .pdf) instead.")] = None,
    gradients: Annotated[
        Path | None, typer.Option(help="Write a picture of the gradients by layer instead (needs train.histograms).")
    ] = None,
    step: Annotated[int | None, typer.Option(min=0, help="With --gradients: the step; by default the last.")] = None,
    web: Annotated[
        bool,
        typer.Option("--web", help="In a browser instead: the whole search or study, while it runs and afterwards."),
    ] = False,
    port: PortOption = None,
    control: ControlOption = False,
    no_open: NoOpenOption = False,
    trust: TrustOption = None,
) -> None:
    """Watch a training: its curves, rate, improvement and what is wrong with it, until the experiment ends.

    With --web: a page on this machine with all trials, until Ctrl-C.
    """
    from rich.console import Console

    from hpsearch.api.arguments import find_experiment
    from hpsearch.console import watching
    from hpsearch.experiment.layout import is_study
    from hpsearch.experiment.reading import read_resolved
    from hpsearch.report.training_view import show_training

    folder, console = find_experiment(experiment), Console()
    served = {"--port": port is not None, "--control": control, "--no-open": no_open, "--trust": trust is not None}
    looks = {"--once": once, "--plot": plot is not None, "--gradients": gradients is not None}
    _require_unused({} if web else served, "is for the page of `hpsearch watch --web`")
    _require_unused(looks if web else {}, "is a look in the terminal, and --web is one in a browser")
    if web:
        if not is_study(folder):
            read_resolved(folder)  # says so where it is no experiment
        _open_page(folder, trial=trial, port=port, control=control, no_open=no_open, trust=trust)
    elif plot is not None or gradients is not None:
        from hpsearch.report.charts.style import save_figure
        from hpsearch.report.charts.training import draw_flow, draw_training

        if plot is not None:
            save_figure(draw_training(watching.look(folder, trial)[0]), plot)
        if gradients is not None:
            save_figure(draw_flow(watching.gradient_flow(folder, trial, step)), gradients)
        typer.echo(f"wrote {' and '.join(str(path) for path in (plot, gradients) if path is not None)}")
    elif once:
        console.print(show_training(*watching.look(folder, trial), width=console.width))
    else:
        with contextlib.suppress(KeyboardInterrupt):
            watching.watch(folder, console, interval=interval, trial=trial)


def sync(
    experiment: ExperimentArgument,
    to: Annotated[str, typer.Option(help="mlflow, tensorboard, wandb, or several with commas.")] = "mlflow",
    tracking_uri: UriOption = None,
) -> None:
    """Catch MLflow or other trackers up with an experiment's folder, a study and its arms, or a champion's title.

    What they have already is not written twice. Of a title MLflow has a run for each challenge.
    """
    from hpsearch.api.arguments import find_experiment
    from hpsearch.experiment.layout import is_study, is_title
    from hpsearch.experiment.reading import read_experiment
    from hpsearch.tracking.shelf import mirror_names, mirrors_of

    folder = find_experiment(experiment)
    if not (is_study(folder) or is_title(folder)):
        for warning in read_experiment(folder).warnings:  # says so when it is no experiment either
            _say(f"warning: {warning}")
    for name in mirror_names(to):
        title = is_title(folder)
        for mirror in _title_mirrors(name, folder, tracking_uri) if title else mirrors_of(name, folder, tracking_uri):
            try:
                mirror.catch_up(final=True)
            finally:
                mirror.close()
        typer.echo(f"{'MLflow' if name == 'mlflow' else name} is up to date with {folder}")


def _title_mirrors(name: str, folder: Path, tracking_uri: str | None) -> "list[Mirror]":
    from hpsearch.api.champion import Champion
    from hpsearch.tracking.mlflow.title import TitleMirror

    if name != "mlflow":
        raise HpsearchError(
            f"{folder} is a champion's title, of which only MLflow has a mirror: `hpsearch sync {folder}` without --to"
        )
    return [TitleMirror(folder, Champion(folder).history.model_dump(mode="json"), tracking_uri)]


def _say(text: str) -> None:
    typer.echo(terminal(text), err=True)


def _require_unused(options: Mapping[str, bool], why: str) -> None:
    """Require that nobody has given an option that would do nothing.

    Raises:
        HpsearchError: Somebody has.
    """
    if given := next((name for name, used in options.items() if used), None):
        raise HpsearchError(f"{given} {why}")


def _open_page(
    place: Path, *, port: int | None, control: bool, no_open: bool, trust: bool | None, trial: int | None = None
) -> None:
    """Serve the page that shows an experiment, a study, or a list of those in a folder, until Ctrl-C."""
    from hpsearch.experiment.layout import is_experiment, is_study, trial_run
    from hpsearch.web.serve import serve
    from hpsearch.web.shelf import Opening, Shelf

    if is_experiment(place) or is_study(place):
        shelf, first = Shelf.around(place)
    else:
        shelf, first = Shelf(place), ""
        if not shelf.folders():
            raise HpsearchError(f"{place} holds no experiments; `hpsearch run` makes one, --root says where they are")
    run = "" if trial is None else trial_run(trial)
    opening = Opening(first, run, control=control, trust=bool(trust))
    serve(shelf, opening, port=port or 0, announce=_say, open_browser=not no_open)


def ui(
    experiment: Annotated[
        Path | None, typer.Argument(help="The experiment or study; without it the page begins with all of them.")
    ] = None,
    port: PortOption = None,
    control: ControlOption = False,
    no_open: NoOpenOption = False,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="MLflow's page on the experiments' store instead.")] = False,
    host: Annotated[
        str | None, typer.Option(help="With --mlflow: the address to listen on; loopback unless told otherwise.")
    ] = None,
    root: Annotated[Path, typer.Option(help="Where experiments are kept.")] = ROOT,
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="With --mlflow: the store to show, with its login, which experiments do not keep."),
    ] = None,
    trust: TrustOption = None,
) -> None:
    """Open the page of an experiment, a study or all of them in a browser, until Ctrl-C; with --mlflow, MLflow's.

    It is what `hpsearch watch --web` opens. It listens on this machine only, and its address has a token in it.
    """
    from hpsearch.api.arguments import find_experiment

    place = root if experiment is None else find_experiment(experiment)
    if mlflow:
        own = {"--control": control, "--trust": trust is not None}
        _require_unused(own, "is for hpsearch's own page, and --mlflow opens MLflow's")
        from hpsearch.tracking.mlflow.ui import serve_ui

        serve_ui(
            place,
            port=5000 if port is None else port,
            host=host or "127.0.0.1",
            announce=_say,
            waiting=_say,
            uri=tracking_uri,
        )
    elif tracking_uri is not None:
        raise HpsearchError("--tracking-uri is for --mlflow: hpsearch's own page reads the experiments' folders")
    elif host is not None:
        raise HpsearchError(
            "--host is for --mlflow: hpsearch's own page stays on this machine; from another one, "
            "`ssh -L PORT:127.0.0.1:PORT HOST` shows it"
        )
    else:
        _open_page(place, port=port, control=control, no_open=no_open, trust=trust)


def export(
    experiment: ExperimentArgument,
    file: Annotated[Path, typer.Argument(help="The file to write; a model's folder.")],
    to: Annotated[
        str,
        typer.Option(
            help="optuna (a storage that optuna-dashboard opens), csv or parquet; model: the winner's weights and "
            "card; onnx or torchscript: its network."
        ),
    ],
    run: Annotated[
        str | None, typer.Option(help="A replicate of the winner instead of its trial: confirm/0003/seed-001.")
    ] = None,
    register: Annotated[
        str | None, typer.Option(help="With --to model: make it a version of this name in MLflow's model registry.")
    ] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="With --to model: the mean probabilities of all replicates on seeds.")
    ] = False,
    tracking_uri: UriOption = None,
    trust: TrustOption = None,
) -> None:
    """Write an experiment's trials for other tools, or its winner as a model with its card."""
    from hpsearch.api import export as api

    exported = api.export(
        experiment, file, to=to, run=run, register=register, ensemble=ensemble, tracking_uri=tracking_uri, trust=trust
    )
    for warning in exported.warnings:
        _say(f"warning: {warning}")
    card = "" if exported.card is None else f"; its card is {exported.card}"
    typer.echo(f"{'wrote' if exported.written else 'found'} {file}{card}")
    if exported.note:
        typer.echo(exported.note)
    if exported.version is not None:
        typer.echo(f"registered as version {exported.version} of {register}; `hpsearch ui --mlflow` shows it")


def doctor(
    experiments: Annotated[
        list[Path] | None, typer.Argument(help="Experiments, studies, or folders of them; else only the machine.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be; what is damaged is kept aside.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as one JSON object.")] = False,
) -> None:
    """Examine the machine, and whether experiments are whole; with --repair, mend them.

    The exit status is 0 if nothing is wrong or all is mended, else 1.
    """
    from hpsearch.api.doctor import doctor as api

    found = api(experiments, repair=repair)
    if json:
        import json as json_module

        typer.echo(json_module.dumps(found.to_json(), indent=2))
    else:
        typer.echo("\n".join(found.lines()))
    if not found.healthy:
        raise typer.Exit(FAILED)
