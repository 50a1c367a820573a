"""Commands about a family's data: what a recording tells about the settings that suit it."""

import re
from json import dumps
from pathlib import Path
from typing import Annotated, Any

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
    emitters: Annotated[
        Path | None, typer.Option(help="A table of its molecules: print a whole space that is searched on the movie.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the settings and what was found as JSON.")] = False,
) -> None:
    """Print the settings of a simulation that looks like a movie: background, density, brightness, width, blinking.

    With the table of its molecules: hpsearch data decode estimate M.tif --emitters T.csv > movie.yaml
    """
    from dataclasses import asdict

    from hpsearch.data.microscopy import camera_of
    from hpsearch.data.movies import open_movie
    from hpsearch.families.decode.estimate import estimate as estimate_from
    from hpsearch.families.decode.estimate import space_of

    chosen, opened = camera_of(camera, set_ or []), open_movie(movie)
    found = estimate_from(opened, chosen)
    settings = found.settings(chosen, pixel)
    sections = {"data": settings} if emitters is None else space_of(settings, movie, emitters)
    if json:
        typer.echo(dumps({**sections, "found": asdict(found), "remarks": found.remarks()}, indent=2))
        return
    for line in found.remarks():
        typer.echo(f"# {line}")
    for section, value in sections.items():
        if section != "data":
            typer.echo(f"{section}: {_plain(value)}")
            continue
        typer.echo("data:")
        for name, setting in value.items():
            typer.echo(f"  {name}: {_plain(setting)}")


def _plain(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_plain(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    is_name = isinstance(value, str) and re.fullmatch(r"[a-z]+([_/][a-z]+)*", value) and value not in _NO_NAMES
    return value if is_name else dumps(value, ensure_ascii=False)


_NO_NAMES = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""Words that YAML does not read as text."""
