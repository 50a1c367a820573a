"""Commands about space files and families."""

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli.options import SetOption
from hpsearch.errors import HpsearchError, Problem, SpaceError


def check(
    paths: Annotated[list[Path], typer.Argument(help="Space files, study files, or folders of them.")],
    quick: Annotated[bool, typer.Option(help="Check what --quick makes of them.")] = False,
    set_: SetOption = None,
) -> None:
    """Check space and study files: every name, type, range and requirement, without training anything."""
    problems: list[Problem] = []
    for path in _space_files(paths):
        try:
            typer.echo(f"{path}: fine ({_held(path, quick, set_ or [])})")
        except SpaceError as error:
            problems += error.problems
    if problems:
        raise SpaceError(problems)


def _held(path: Path, quick: bool, overrides: list[str]) -> str:
    """Return what a file holds. Errors: SpaceError with every mistake."""
    from hpsearch.running.loading import load_space
    from hpsearch.studies.file.reading import is_study, load_study

    if is_study(path):
        return f"a study of {len(load_study(path, quick=quick).arms)} arms"
    space = load_space(path, quick=quick, overrides=overrides)
    size = "" if space.size is None else f", {space.size} configurations"
    return f"{len(space.parameters)} ranges{size}"


def _space_files(paths: list[Path]) -> list[Path]:
    files = []
    for path in paths:
        found = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
        if not found:
            raise HpsearchError(f"{path} holds no .yaml files")
        files += found
    return files


def schema(family: Annotated[str, typer.Argument(help="A family's name, FILE.py:CLASS, or study.")]) -> None:
    """Print the JSON Schema of a family's space files, or of study files, for editors."""
    import json

    from hpsearch.families.loading import load_face
    from hpsearch.space import json_schema
    from hpsearch.studies.file.study import study_schema

    found = study_schema() if family == "study" else json_schema(load_face(family, Path()), family)
    typer.echo(json.dumps(found, indent=2))


def families() -> None:
    """List the model families and their metrics."""
    from hpsearch.families.loading import family_names, load_face

    for name in family_names():
        family = load_face(name, Path())
        typer.echo(f"{name}: {(type(family).__doc__ or '').splitlines()[0]}")
        metrics = [f"val/{metric} ({goal})" for metric, goal in family.metrics.items()]
        typer.echo("  metrics: " + (", ".join(metrics) or "those that the program prints"))
