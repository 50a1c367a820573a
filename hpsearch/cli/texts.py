"""Commands about text files, before a character model is trained on them."""

from pathlib import Path
from typing import Annotated

import typer

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
    typer.echo(f"{facts.repeated} lines stand there more than once" if facts.repeated else "no line stands there twice")
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
) -> None:
    """Write the first and the last lines of a text into two files; refuse to if they overlap."""
    from hpsearch.data.text import read_text, split_lines

    first, last = split_lines(read_text(file), head=head, tail=tail)
    _write(training, first)
    _write(validation, last)
    typer.echo(f"{training}: {len(first)} characters; {validation}: {len(last)} characters")


def _write(path: Path, text: str) -> None:
    from hpsearch.errors import DataError

    if path.exists():
        raise DataError(f"{path} exists; choose another name")
    path.write_text(text, encoding="utf-8", newline="")
