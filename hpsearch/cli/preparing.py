"""Commands about what there is before a search: space files, families, machines, text files."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hpsearch.cleaning import terminal
from hpsearch.cli.options import MISTAKE, AddressOption, SetOption, TrustOption


def check(
    paths: Annotated[list[Path], typer.Argument(help="Space files, study files, or folders of them.")],
    quick: Annotated[bool, typer.Option(help="Check what --quick makes of them.")] = False,
    set_: SetOption = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for editors: every mistake with its place and help.")
    ] = False,
    trust: TrustOption = None,
) -> None:
    """Check space and study files: every name, type, range and requirement, without training anything."""
    from hpsearch.api import check as api

    if json_:
        _check_for_editors(paths, quick=quick, overrides=set_, trust=trust)

    def announce(found: api.CheckedFile) -> None:
        typer.echo(terminal(f"{found.path}: fine ({found})"))
        for note in found.notes:
            typer.echo(terminal(f"  {note}"))

    api.check(paths, quick=quick, set=set_, announce=announce, trust=trust)


def _check_for_editors(paths: list[Path], *, quick: bool, overrides: list[str] | None, trust: bool | None) -> NoReturn:
    """Print what `check` finds as JSON, and end with its exit status."""
    import json
    from dataclasses import asdict

    from hpsearch.api import check as api
    from hpsearch.errors import SpaceError

    problems: list[dict[str, object]] = []
    files: list[api.CheckedFile] = []
    try:
        api.check(paths, quick=quick, set=overrides, announce=files.append, trust=trust)
    except SpaceError as error:
        problems = [asdict(problem) for problem in error.problems]
    fine = [{"path": str(found.path), "holds": str(found), "notes": list(found.notes)} for found in files]
    typer.echo(json.dumps({"problems": problems, "fine": fine}))
    raise typer.Exit(MISTAKE if problems else 0)


def schema(
    family: Annotated[str, typer.Argument(help="A family's name, FILE.py:CLASS, study, or referee.")],
    trust: TrustOption = None,
) -> None:
    """Print the JSON Schema of space files or study files, for editors, or of what the referee answers."""
    import json

    from hpsearch.families.loading import load_interface
    from hpsearch.referee.shapes import referee_schema
    from hpsearch.space import json_schema
    from hpsearch.studies.study import study_schema
    from hpsearch.trust import NamedCode, require_trust, trusting
    from hpsearch.user_code import is_reference

    with trusting(trust):
        require_trust([NamedCode("family", Path(family.partition(":")[0]))] if is_reference(family) else [])
    made = {"study": study_schema, "referee": referee_schema}
    found = made[family]() if family in made else json_schema(load_interface(family, Path()), family)
    typer.echo(json.dumps(found, indent=2))


def init(
    what: Annotated[str, typer.Argument(help="A program FILE.py, FILE.py:FUNCTION, FILE.py:CLASS, or a family.")],
    file: Annotated[Path | None, typer.Option(help="The file to write; by default what is searched, as .yaml.")] = None,
    log: Annotated[Path | None, typer.Option(help="What the program printed in a run: it tells the metrics.")] = None,
    config: Annotated[Path | None, typer.Option(help="The YAML file with the values of the program.")] = None,
    subcommand: Annotated[str | None, typer.Option(help="Which subcommand of the program.")] = None,
    trust: TrustOption = None,
) -> None:
    """Write a commented space file to begin with: its ranges follow from names, types and defaults.

    A program is run up to where it reads its command line, as by --help.
    """
    from hpsearch.api.draft import init as draft

    drafted = draft(what, file=file, log=log, config=config, subcommand=subcommand, trust=trust)
    count = drafted.ranges
    held = "" if count is None else f" with {count} range{'' if count == 1 else 's'}"
    typer.echo(f"wrote {drafted.path}{held}; look through it, then:")
    for line in drafted.next_commands:
        typer.echo(f"  {line}")
    for note in drafted.notes:
        typer.echo(terminal(note), err=True)


def families() -> None:
    """List the model families and their metrics."""
    from hpsearch.families.loading import family_names, load_interface

    for name in family_names():
        family = load_interface(name, Path())
        typer.echo(f"{name}: {(type(family).__doc__ or '').splitlines()[0]}")
        metrics = [f"val/{metric} ({goal})" for metric, goal in family.metrics.items()]
        typer.echo("  metrics: " + (", ".join(metrics) or "those that the program prints"))


def cluster(
    space: Annotated[Path | None, typer.Argument(help="A space file: how many of its trials fit at once.")] = None,
    address: AddressOption = None,
    quick: Annotated[bool, typer.Option(help="Look at what --quick makes of the space.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a value: search.workers=4.")] = None,
    file: Annotated[
        str | None, typer.Option(help="Print a file to start a cluster with: slurm, ssh or kuberay.")
    ] = None,
    trust: TrustOption = None,
) -> None:
    """Show the machines that the engine ray would use, and what a space would occupy on them."""
    from hpsearch.running.loading import load_space
    from hpsearch.space.shelf import Shelf, find_file
    from hpsearch.trust import trusting
    from hpsearch.workers.engines import Cluster
    from hpsearch.workers.ray_tune.cluster import cluster_file, describe

    if file is not None:
        typer.echo(cluster_file(file), nl=False)
        return
    with trusting(trust):
        found = None if space is None else find_file(space, Shelf.SPACES)
        search = load_space(found, quick=quick, overrides=set_ or [], programs=False).search if found else None
    typer.echo(describe(Cluster(address), search))


texts = typer.Typer(no_args_is_help=True, help="Look at, clean and split a text file for char_lm.")
FileArgument = Annotated[Path, typer.Argument(help="A UTF-8 text file.")]


@texts.command()
def analyse(file: FileArgument) -> None:
    """Show how long a text is, which characters it has and which are rare."""
    from hpsearch.data.text import analyse as facts_of
    from hpsearch.data.text import read_text

    facts = facts_of(read_text(file))
    typer.echo(f"{facts.characters} characters, {facts.distinct} of them distinct; {facts.words} words")
    typer.echo(f"{facts.lines} lines, {facts.mean_line:.1f} characters on average, {facts.longest_line} at most")
    typer.echo(f"{facts.repeated} lines are repeated" if facts.repeated else "no line is repeated")
    typer.echo("most common: " + ", ".join(f"{character!r} {count}" for character, count in facts.common))
    typer.echo(f"fewer than ten times: {facts.rare!r}")
    if facts.control:
        typer.echo(f"control characters, which `clean` takes out: {facts.control!r}")


@texts.command()
def clean(file: FileArgument, cleaned: Annotated[Path, typer.Argument(help="The new file.")]) -> None:
    """Write a text with Unix line ends, composed characters, single blanks and no control characters."""
    from hpsearch.data.text import clean as clean_text
    from hpsearch.data.text import read_text

    before = read_text(file)
    after = clean_text(before)
    _write(cleaned, after)
    typer.echo(f"{cleaned}: {len(after)} of {len(before)} characters")


@texts.command()
def split(
    file: FileArgument,
    training: Annotated[Path, typer.Argument(help="The new file for the first lines.")],
    validation: Annotated[Path, typer.Argument(help="The new file for the last lines.")],
    head: Annotated[int, typer.Option(help="Lines for training.")],
    tail: Annotated[int, typer.Option(help="Lines for validation.")],
    test: Annotated[Path | None, typer.Option(help="A new file for the lines behind those for validation.")] = None,
    last: Annotated[int, typer.Option(help="Lines for the test, at the end of the text.")] = 0,
) -> None:
    """Write the first and the last lines of a text into two or three files; refuse to if they overlap."""
    from hpsearch.data.text import read_text, split_lines
    from hpsearch.errors import HpsearchError

    if (test is None) != (last == 0):
        raise HpsearchError("--test FILE and --last LINES go together")
    parts = split_lines(read_text(file), head=head, tail=tail, last=last)
    files = {"train": training, "val": validation, **({} if test is None else {"test": test})}
    for place, text in zip(files.values(), parts, strict=False):
        _write(place, text)
    typer.echo(
        "; ".join(f"{place}: {len(text)} characters" for place, text in zip(files.values(), parts, strict=False))
    )
    lines = [*(f"{part}: {place}" for part, place in files.items()), *([] if test else ["test_fraction: 0"])]
    typer.echo(f"for the space file of char_lm, if it lies here:\n\ndata: {{{', '.join(lines)}}}")
    if test is None:
        typer.echo("\nwithout a test file nothing is confirmed; --test and --last write one")


def _write(path: Path, text: str) -> None:
    from hpsearch.errors import DataError

    if path.exists():
        raise DataError(f"{path} exists; choose another name")
    path.write_text(text, encoding="utf-8", newline="")
