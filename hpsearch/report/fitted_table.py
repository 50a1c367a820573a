"""A table that leaves out columns for which a terminal is too narrow, and lists them below."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2


@dataclass(frozen=True)
class Column:
    """A column with its cells. The lowest `rank` is the last to be left out; rank 0 never is.

    A `flexible` one is cut down to `least` characters before another is left out; the others are always shown in full.
    """

    title: str
    cells: Sequence[str]
    rank: int = 0
    justify: Literal["left", "right"] = "right"
    flexible: bool = False
    least: int = 16

    @property
    def width(self) -> int:
        """The characters that its longest cell takes."""
        return max(map(cell_len, (self.title, *self.cells)))

    @property
    def narrowest(self) -> int:
        """The characters that it takes at least."""
        return min(self.width, self.least) if self.flexible else self.width


@dataclass(frozen=True)
class FittedTable:
    """Columns of equally many cells; `noun` is what a column that may be left out shows."""

    columns: Sequence[Column]
    noun: str = "column"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept, left_out = fit(self.columns, options.max_width)
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        spare = options.max_width - sum(column.narrowest + GAP for column in kept) + GAP
        for column in kept:
            width = column.narrowest + (min(spare, column.width - column.narrowest) if column.flexible else 0)
            spare -= width - column.narrowest
            justify: Literal["left", "right"] = column.justify
            table.add_column(Text(column.title), justify=justify, no_wrap=True, overflow="ellipsis", width=width)
        for row in zip(*(column.cells for column in kept), strict=True):
            table.add_row(*map(Text, row))
        yield table
        if left_out:
            plural = self.noun if len(left_out) == 1 else f"{self.noun}s"
            names = ", ".join(column.title for column in left_out)
            yield Text(f"{len(left_out)} {plural} left out for width: {names}", "dim")


def fit(columns: Sequence[Column], width: int) -> tuple[list[Column], list[Column]]:
    """Return which columns are kept in `width` characters, and which are left out."""
    kept: list[Column] = []
    used = -GAP
    for column in sorted(columns, key=lambda column: column.rank):
        if column.rank == 0 or used + column.narrowest + GAP <= width:
            kept.append(column)
            used += column.narrowest + GAP
    return [column for column in columns if column in kept], [column for column in columns if column not in kept]
