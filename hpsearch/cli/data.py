"""Commands about a family's data: what a recording tells about the settings that suit it."""

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(no_args_is_help=True, help="Look at the data of a family.")
decode = typer.Typer(no_args_is_help=True, help="Movies for decode.")
data.add_typer(decode, name="decode")


@decode.command()
def estimate(
    movie: Annotated[Path, typer.Argument(help="A movie: a TIFF stack of grey frames, as the camera counts.")],
    camera: Annotated[str, typer.Option(help="The camera: emccd or scmos.")] = "emccd",
    set_: Annotated[list[str] | None, typer.Option("--set", help="A camera's setting: gain=100, baseline=398.")] = None,
    pixel: Annotated[float, typer.Option(min=1.0, help="The side of a pixel in nm.")] = 100.0,
    json: Annotated[bool, typer.Option("--json", help="Print the settings and what was found as JSON.")] = False,
) -> None:
    """Print the settings of a simulation that looks like a movie: background, density, brightness, width, blinking."""
    from dataclasses import asdict
    from json import dumps

    from hpsearch.data.microscopy import camera_of
    from hpsearch.data.movies import open_movie
    from hpsearch.families.decode.estimate import estimate as estimate_from

    chosen, opened = camera_of(camera, set_ or []), open_movie(movie)
    found = estimate_from(opened, chosen)
    settings = found.settings(opened, chosen, pixel)
    if json:
        typer.echo(dumps({"data": settings, "found": asdict(found), "remarks": found.remarks()}, indent=2))
        return
    for line in found.remarks():
        typer.echo(f"# {line}")
    typer.echo("data:")
    for name, value in settings.items():
        typer.echo(f"  {name}: {dumps(value).replace(chr(34), '')}")
