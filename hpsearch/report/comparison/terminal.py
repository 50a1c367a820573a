"""The comparison as a person reads it in a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from hpsearch.cleaning import one_line
from hpsearch.comparing.comparison import Comparison, Verdict
from hpsearch.comparing.conclusion import conclude, details
from hpsearch.report.comparison.grouped import (
    LONELY_TITLES,
    SPANS,
    GroupedReport,
    adjustment,
    condensed,
    lonely_rows,
)
from hpsearch.report.comparison.overview import OVERVIEW_TITLES, overview_rows
from hpsearch.report.comparison.rows import (
    LEVEL_WITH_BEST,
    PAIR_TITLES,
    SCORE_TITLES,
    caption,
    dropped_rows,
    pair_rows,
    score_rows,
)
from hpsearch.report.fitted_table import Column, FittedTable

_SCORE_RANKS = (0, 0, 0, 1, 3, 4, 2)
_PAIR_RANKS = (0, 0, 0, 1, 2, 4, 0, 3, 5)
_SIDES = {Verdict.BETTER: "a is better", Verdict.WORSE: "b is better"}
"""Verdicts without the names, which are in other columns and may be long."""
_MOST_DROPPED = 10


def show_comparison(comparison: Comparison, *, headline: bool = True) -> RenderableType:
    """Return the warnings, the conclusion, with its headline or without, the tables, and what was left out."""
    said = conclude(comparison) if headline else details(comparison)
    parts: list[RenderableType] = [Text(f"warning: {one_line(line)}", "yellow") for line in comparison.warnings]
    parts += [Text(one_line(line)) for line in said]
    scores = score_rows(comparison)
    cells = [(_name(row.cells[0], best=row.best, level=row.level), *row.cells[1:]) for row in scores]
    parts += [Text(), Text(caption(comparison), "dim"), _fitted(SCORE_TITLES, cells, _SCORE_RANKS)]
    if comparison.pairs:
        pairs = [
            (*row.cells[:2], _SIDES.get(row.verdict, row.cells[2]), *row.cells[3:]) for row in pair_rows(comparison)
        ]
        parts += [Text(), _fitted(PAIR_TITLES, pairs, _PAIR_RANKS, flexible=3)]
    if any(row.level for row in scores):
        parts.append(Text(f"* the best mean   ° {LEVEL_WITH_BEST}", "dim"))
    dropped = dropped_rows(comparison)
    parts += [Text(f"left out: {one_line(run)}: {one_line(why)}", "yellow") for _, run, why in dropped[:_MOST_DROPPED]]
    if len(dropped) > _MOST_DROPPED:
        parts.append(Text(f"left out: {len(dropped) - _MOST_DROPPED} more runs, listed in the report", "yellow"))
    return Group(*parts)


def _name(name: str, *, best: bool, level: bool) -> str:
    return f"{name} *" if best else f"{name} °" if level else name


def _fitted(
    titles: Sequence[str], rows: Sequence[Sequence[str]], ranks: Sequence[int], *, flexible: int = 0
) -> FittedTable:
    """Return a table whose first `flexible` columns may be cut down, and those with high ranks left out."""
    columns = [[one_line(cell) for cell in cells] for cells in zip(*rows, strict=True)]
    return FittedTable(
        [
            Column(title, cells, rank=rank, justify="left", flexible=place < flexible)
            for place, (title, cells, rank) in enumerate(zip(titles, columns, ranks, strict=True))
        ]
    )


_OVERVIEW = (((0, 1, 2, 3, 4), (0, 4, 1, 2, 3)), ((0, 5, 6), (0, 1, 0)), ((0, 7, 8, 9, 10), (0, 0, 0, 2, 1)))
"""The columns of the overview in tables that fit into 80 characters, with their ranks."""
_LONELY_RANKS = (0, 0, 1, 0, 2, 4, 5, 3)
_MOST_LINES = 20


def show_grouped(report: GroupedReport) -> RenderableType:
    """Return the overview, each group with its tests, what is in no group, not compared, or was not read."""
    parts: list[RenderableType] = [Text(one_line(report.title), "bold"), Text()]
    parts += _overview(report)
    parts += [Text(f"warning: {one_line(warning)}", "yellow") for warning in report.warnings]
    if len(report.groups) > 1:
        parts += [Text(), Text(SPANS, "dim")]
    for group in report.groups:
        why = f"{group.why}. {adjustment(group.comparison)}"
        parts += [Text(), Text(one_line(group.name), "bold underline"), Text(one_line(why), "dim"), Text()]
        parts.append(show_comparison(group.comparison))
    parts += [*_by_themselves(report), *_apart(report), *_unread(report)]
    return Group(*parts)


def _overview(report: GroupedReport) -> Iterator[RenderableType]:
    rows = overview_rows(report.entries)
    for place, (columns, ranks) in enumerate(_OVERVIEW):
        titles, cells = [OVERVIEW_TITLES[column] for column in columns], [[row[c] for c in columns] for row in rows]
        if place:
            yield Text()
        yield _fitted(titles, cells, ranks, flexible=3)


def _by_themselves(report: GroupedReport) -> Iterator[RenderableType]:
    if not report.alone:
        return
    yield from (Text(), Text("by themselves", "bold underline"))
    yield from _lines([f"{each.name}: {each.why}" for each in report.alone])
    if rows := lonely_rows(report.alone):
        yield from (Text(), _fitted(LONELY_TITLES, rows, _LONELY_RANKS, flexible=2))


def _apart(report: GroupedReport) -> Iterator[RenderableType]:
    if report.not_compared:
        yield from (Text(), Text("not compared with one another", "bold underline"))
        yield from _lines(condensed(report.not_compared))


def _unread(report: GroupedReport) -> Iterator[RenderableType]:
    if report.unread:
        yield from (Text(), Text("not read", "bold underline"))
        yield from _lines([why for _, why in report.unread])


def _lines(lines: list[str]) -> Iterator[Text]:
    yield from (Text(one_line(line)) for line in lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        yield Text(f"… and {len(lines) - _MOST_LINES} more, listed in the report", "dim")
