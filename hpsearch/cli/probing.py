"""Commands that train for a moment to answer a question before a search: lr-find, overfit, batch-size."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hpsearch.cleaning import terminal
from hpsearch.cli.options import SetOption, TrustOption

SpaceArgument = Annotated[Path, typer.Argument(help="A space file, such as spaces/deepsif.yaml.")]
ParamsOption = Annotated[
    str | None,
    typer.Option(help="A YAML or JSON file of dotted names, or best; without it the space's first start entry."),
]
FromOption = Annotated[Path | None, typer.Option("--from", help="The experiment whose winner --params best takes.")]
QuickOption = Annotated[bool, typer.Option(help="Lay the space's `quick` section over it.")]


def _announce(params: dict[str, Any]) -> None:
    """Print the tried configuration to standard error."""
    from hpsearch.report.wording import assignments

    typer.echo(terminal(f"configuration: {assignments(params) or 'the only one of the space'}"), err=True)


def lr_find(
    space: SpaceArgument,
    params: ParamsOption = None,
    from_: FromOption = None,
    quick: QuickOption = False,
    set_: SetOption = None,
    start_lr: Annotated[float, typer.Option(help="The first learning rate.")] = 1e-7,
    end_lr: Annotated[float, typer.Option(help="The last one.")] = 1.0,
    num_iter: Annotated[int, typer.Option(min=2, help="Optimizer steps.")] = 100,
    plot: Annotated[Path | None, typer.Option(help="Write a picture as well (.png, .svg or .pdf).")] = None,
    trust: TrustOption = None,
) -> None:
    """Find a learning rate: let it grow from step to step until the loss diverges, and say where it fell fastest."""
    from hpsearch.api import probe as api

    found = api.lr_find(
        space,
        params=params,
        from_=from_,
        quick=quick,
        set=set_,
        start_lr=start_lr,
        end_lr=end_lr,
        num_iter=num_iter,
        announce=_announce,
        trust=trust,
    )
    typer.echo(f"{'rate':>10}  {'loss':>10}  {'smoothed':>10}")
    for index in range(0, len(found.rates), max(1, len(found.rates) // 20)):
        typer.echo(f"{found.rates[index]:10.3g}  {found.losses[index]:10.4g}  {found.smoothed[index]:10.4g}")
    if found.diverged:
        typer.echo(f"diverged above {found.rates[-1]:.3g}" if found.rates else "diverged at once")
    if found.steepest is None or found.tenth is None:
        typer.echo("no suggestion: the loss did not fall")
    else:
        typer.echo(f"steepest descent: train.learning_rate={found.steepest:.2g}")
        typer.echo(f"a tenth of the minimum's: train.learning_rate={found.tenth:.2g}")
    if plot is not None:
        from hpsearch.report.charts.style import save_figure

        save_figure(found.plot(), plot)
        typer.echo(f"wrote {plot}")


def overfit(
    space: SpaceArgument,
    params: ParamsOption = None,
    from_: FromOption = None,
    quick: QuickOption = False,
    set_: SetOption = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most.")] = 1000,
    target: Annotated[float, typer.Option(min=0, help="The loss to reach, as a fraction of the first one.")] = 0.01,
    trust: TrustOption = None,
) -> None:
    """Let a model learn one batch by heart, without dropout, decay and noise; exit status 1 when it cannot."""
    from hpsearch.api import probe as api

    def tell(step: int, loss: float) -> None:
        typer.echo(f"step {step:4d}  loss {loss:.4g}")

    found = api.overfit(
        space,
        params=params,
        from_=from_,
        quick=quick,
        set=set_,
        steps=steps,
        target=target,
        announce=_announce,
        tell=tell,
        trust=trust,
    )
    verdict = "pass" if found.passed else "fail"
    typer.echo(
        f"{verdict}: the loss of one batch went from {found.first:.4g} to {found.last:.4g} in {found.steps} steps"
    )
    if not found.passed:
        typer.echo(
            f"it should come down to {target * abs(found.first):.4g}; look at the network, the loss, the data "
            "and train.learning_rate (hpsearch lr-find)"
        )
        raise typer.Exit(1)


def batch_size(
    space: SpaceArgument,
    params: ParamsOption = None,
    from_: FromOption = None,
    quick: QuickOption = False,
    set_: SetOption = None,
    most: Annotated[int | None, typer.Option(min=2, help="The largest size to try; by default all examples.")] = None,
    trust: TrustOption = None,
) -> None:
    """Find the batch sizes that fit: double them until the memory is used up, and say which one is the fastest."""
    from hpsearch.api import probe as api

    def announce(params: dict[str, Any]) -> None:
        _announce(params)
        typer.echo(f"{'batch size':>10}  {'examples/s':>10}  {'memory':>10}")

    def tell(size: int, examples_per_second: float, memory: int | None) -> None:
        used = "—" if memory is None else f"{memory / 2**30:.2f} GiB"
        typer.echo(f"{size:10}  {examples_per_second:10.4g}  {used:>10}")

    found = api.batch_size(
        space, params=params, from_=from_, quick=quick, set=set_, most=most, announce=announce, tell=tell, trust=trust
    )
    if found.too_large is not None:
        typer.echo(f"the memory does not suffice for {found.too_large}")
    elif most is not None and most < found.examples:
        typer.echo(f"ended at --most {most}; the memory suffices")
    else:
        typer.echo(f"ended at the {found.examples} training examples that there are; the memory suffices")
    if found.largest is None or found.fastest is None:
        raise typer.Exit(1)
    typer.echo(f"largest that fits: train.batch_size={found.largest.size}")
    typer.echo(f"fastest: train.batch_size={found.fastest.size} ({found.fastest.examples_per_second:.4g} examples/s)")
