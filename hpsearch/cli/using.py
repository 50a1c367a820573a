"""Commands that use a trained model: predict, evaluate."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpsearch.cleaning import one_line, terminal
from hpsearch.cli.options import HomeOption, ModelArgument, RunOption, TrustOption

if TYPE_CHECKING:
    from rich.text import Text

STDIN = "-"
REPORTS = Path("reports")


def predict(
    model: ModelArgument,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders of texts or images, movies, recordings, prompts; - reads lines."),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(help="A file in the format of its ending; repeat it for several. {name}: the input's name."),
    ] = None,
    run: RunOption = None,
    home: HomeOption = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Inputs at once; halved where the memory does not suffice.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; by default that of the training.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the family's own: temperature=0.8, prompt=Once.")
    ] = None,
    trust: TrustOption = None,
) -> None:
    """Use a model: classes of texts and images, molecules of a movie, sources of a recording, text after a prompt.

    Without inputs it says what the model takes.
    """
    from hpsearch.api.predict import predict as api
    from hpsearch.console.predicting import TerminalWatcher

    watcher = TerminalWatcher(None if out else _write)
    try:
        found = api(
            model,
            _given(inputs or []),
            out=out,
            run=run,
            home=home,
            batch_size=batch_size,
            device=device,
            set=set_,
            watcher=watcher,
            trust=trust,
        )
    finally:
        watcher.close()
    for each in [] if out else found if isinstance(found, list) else [found]:
        typer.echo("" if each.streamed else terminal(each.summary()))
    for path in out or ():
        typer.echo(f"wrote {path}")


def evaluate(
    model: ModelArgument,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A labelled file or folder in the form of the training data; repeat it for several."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of data: data.label_column=stars, data.movie=a.tif.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The report's folder; by default reports/<model>-evaluation.")
    ] = None,
    run: RunOption = None,
    home: HomeOption = None,
    baselines: Annotated[bool, typer.Option(help="Score the classical methods on the same data, too.")] = True,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples at once; halved where the memory does not suffice.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; by default that of the training.")] = None,
    trust: TrustOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Score a model on new labelled data: the family's metrics with intervals, compared with classical methods."""
    from json import dumps

    from rich.console import Console
    from rich.table import Table

    from hpsearch.api.evaluate import PAGE, save_evaluation
    from hpsearch.api.evaluate import evaluate as api

    found = api(
        model,
        data,
        set=set_,
        run=run,
        home=home,
        baselines=baselines,
        batch_size=batch_size,
        device=device,
        trust=trust,
    )
    folder = out or REPORTS / f"{found.model}-evaluation"
    save_evaluation(found, folder)
    if json:
        typer.echo(dumps(found.to_json(), indent=2, allow_nan=False))
        return
    titles, rows = found.rows()
    table = Table(title=_cell(f"{found.model} on {found.examples:,} new examples"))
    for title in titles:
        table.add_column(_cell(title))
    for row in rows:
        table.add_row(*map(_cell, row))
    console = Console()
    console.print(table)
    for line in [*found.explained(), f"wrote {folder / PAGE}"]:
        console.print(terminal(line), markup=False, highlight=False, soft_wrap=True)


def _cell(text: str) -> "Text":
    """Return a text in which nothing is rich's markup or an escape sequence."""
    from rich.text import Text

    return Text(one_line(text))


def _given(inputs: list[str]) -> list[Any]:
    """Return the inputs: files as paths, and for - each line of the standard input."""
    given: list[Any] = []
    for each in inputs:
        given += [line.rstrip("\r\n") for line in sys.stdin] if each == STDIN else [Path(each)]
    return given


def _write(piece: str) -> None:
    sys.stdout.write(piece)
    sys.stdout.flush()
