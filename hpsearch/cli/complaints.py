"""The user's mistakes as a terminal shows them: the place, the line with a mark below it, and what would be right."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from hpsearch.cleaning import terminal
from hpsearch.errors import HpsearchError, Problem, SpaceError

_LONGEST = 160
"""Of a line that is shown, in characters; of a longer one the part around the mistake."""
_BEFORE = 60


def complain(error: HpsearchError) -> None:
    """Write a mistake to standard error; colours only on a terminal."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False, markup=False)
    if not isinstance(error, SpaceError):
        console.print(Text(terminal(f"hpsearch: {error}")))
        return
    for problem in error.problems:
        for line in shown(problem):
            console.print(line)


def shown(problem: Problem) -> Iterator[Text]:
    """Yield the lines of a mistake: one for its place, the line of the file with a mark, and one of help."""
    yield Text.assemble((terminal(problem.place), "bold"), ": ", (terminal(problem.message), ""))
    written = terminal(_line(problem.source, problem.line))
    gutter = " " * len(str(problem.line))
    if written.strip():
        text, column = _excerpt(written.expandtabs(1), min(max(problem.column, 1) - 1, len(written)))
        yield Text.assemble((f"{problem.line} | ", "blue"), text)
        yield Text.assemble(
            (f"{gutter} | ", "blue"), " " * cell_len(text[:column]), ("^" * _width(text, column), "bold red")
        )
    if problem.help:
        yield Text.assemble((f"{gutter} = help: " if written.strip() else "help: ", "cyan"), terminal(problem.help))


def _line(source: str, number: int) -> str:
    lines = _lines(source) if number else ()
    return lines[number - 1] if number <= len(lines) and number else ""


@cache
def _lines(source: str) -> tuple[str, ...]:
    """Return the lines of a file; of what is no file (an option of the command) none."""
    try:
        return tuple(Path(source).read_text(encoding="utf-8-sig", errors="replace").splitlines())
    except (OSError, ValueError):
        return ()


def _excerpt(text: str, column: int) -> tuple[str, int]:
    """Return the part of a line around a column, and where the column is in it."""
    if len(text) <= _LONGEST:
        return text, column
    start = max(column - _BEFORE, 0)
    return text[start : start + _LONGEST], column - start


def _width(text: str, column: int) -> int:
    """Return how many cells the word that begins at a column takes on the screen, at least 1."""
    word = 0
    while column + word < len(text) and text[column + word] not in " ,:]}#":
        word += 1
    return max(cell_len(text[column : column + word]), 1)
