"""A report of groups as a person reads it in a terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from hpsearch.report.comparison.grouped import (
    LONELY_TITLES,
    SPANS,
    GroupedReport,
    adjustment,
    condensed,
    lonely_rows,
)
from hpsearch.report.comparison.overview import OVERVIEW_TITLES, overview_rows
from hpsearch.report.comparison.terminal import fitted, show_comparison
from hpsearch.report.wording import one_line

_OVERVIEW = (((0, 1, 2, 3, 4), (0, 4, 1, 2, 3)), ((0, 5, 6), (0, 1, 0)), ((0, 7, 8, 9, 10), (0, 0, 0, 2, 1)))
"""The columns of the overview in tables that fit into 80 characters, with their ranks."""
_LONELY_RANKS = (0, 0, 1, 0, 2, 4, 5, 3)
_MOST_LINES = 20


def show_grouped(report: GroupedReport) -> RenderableType:
    """Return the overview, each group with its tests, what stands alone, what is not compared and what was not read."""
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
        yield fitted(titles, cells, ranks, flexible=3)


def _by_themselves(report: GroupedReport) -> Iterator[RenderableType]:
    if not report.alone:
        return
    yield from (Text(), Text("by themselves", "bold underline"))
    yield from _lines([f"{each.name}: {each.why}" for each in report.alone])
    if rows := lonely_rows(report.alone):
        yield from (Text(), fitted(LONELY_TITLES, rows, _LONELY_RANKS, flexible=2))


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
