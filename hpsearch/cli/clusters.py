"""The command about machines."""

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli.options import AddressOption


def cluster(
    space: Annotated[Path | None, typer.Argument(help="A space file: how many of its trials fit at once.")] = None,
    address: AddressOption = None,
    quick: Annotated[bool, typer.Option(help="Look at what --quick makes of the space.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a value: search.workers=4.")] = None,
    file: Annotated[
        str | None, typer.Option(help="Print a file to start a cluster with: slurm, ssh or kuberay.")
    ] = None,
) -> None:
    """Show the machines that the engine ray would use, and what a space would occupy on them."""
    from hpsearch.running.loading import load_space
    from hpsearch.workers.engines import Cluster
    from hpsearch.workers.ray_tune.cluster import cluster_file, describe

    if file is not None:
        typer.echo(cluster_file(file), nl=False)
        return
    search = load_space(space, quick=quick, overrides=set_ or []).search if space else None
    typer.echo(describe(Cluster(address), search))
