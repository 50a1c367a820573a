"""The comparison for a pull request: conclusion, tables and what was left out, as Markdown."""

import re
from collections.abc import Sequence

from hpsearch.cleaning import markdown as escaped
from hpsearch.comparing.comparison import Comparison
from hpsearch.comparing.conclusion import conclude, details
from hpsearch.report.comparison.contents import Cover, Section
from hpsearch.report.comparison.grouped import GroupedReport, adjustment
from hpsearch.report.comparison.methods import methods_sections
from hpsearch.report.comparison.rows import (
    LEVEL_WITH_BEST,
    PAIR_TITLES,
    SCORE_TITLES,
    caption,
    dropped_rows,
    headline,
    pair_rows,
    score_rows,
    shared_notes,
)
from hpsearch.report.health import HEALTH_TITLES


def as_markdown(
    comparison: Comparison,
    *,
    figures: Sequence[tuple[str, str]] = (),
    health: Sequence[Sequence[str]] = (),
    cover: Cover | None = None,
) -> str:
    """Return the report; `figures` are (title, path) to show below the tables, `health` rows of report/health.py."""
    if cover is None:
        parts = [f"# {escaped(headline(comparison))}", _warnings(comparison), _list(conclude(comparison))]
    else:
        parts = [f"# {escaped(cover.title)}", escaped(cover.scale), *(f"**{escaped(line)}**" for line in cover.answer)]
        parts += [_warnings(comparison), *map(_section, cover.before)]
        parts += [f"## {escaped(comparison.metric)}", _list(details(comparison))]
    parts += [f"*{escaped(caption(comparison))}*", _scores(comparison)]
    if comparison.pairs:
        parts.append(table(PAIR_TITLES, [row.cells for row in pair_rows(comparison)]))
    parts += [f"![{escaped(title)}]({path})" for title, path in figures]
    if notes := shared_notes(comparison):
        parts.append("## Notes\n\n" + _list(notes))
    if health:
        parts.append("## Health of the trainings\n\n" + table(HEALTH_TITLES, health))
    if dropped := dropped_rows(comparison):
        parts.append("## Runs that do not count\n\n" + table(("experiment", "run", "why"), dropped))
    parts += map(_section, cover.after if cover else ())
    parts += map(_section, methods_sections(comparison))
    return "\n\n".join(part for part in parts if part) + "\n"


def as_grouped_markdown(report: GroupedReport, groups: Sequence[str]) -> str:
    """Return the report of groups; `groups` are the reports of each as `as_markdown` gives them."""
    parts = [f"# {escaped(report.title)}", *map(_section, report.before)]
    for group, text in zip(report.groups, groups, strict=True):
        said = f"*{escaped(group.why)}. {escaped(adjustment(group.comparison))}*"
        body = text.partition("\n\n")[2]  # its title is the metric, which the group's name has too
        parts += [f"## {escaped(group.name)}", said, re.sub("^## ", "### ", body.rstrip(), flags=re.MULTILINE)]
    return "\n\n".join([*parts, *map(_section, report.after)]) + "\n"


def _section(section: Section) -> str:
    parts = [f"## {escaped(section.title)}"] if section.title else []
    parts += [escaped(sentence) for sentence in section.sentences]
    parts += [_list(section.points)] if section.points else []
    parts += [table(section.columns, section.rows)] if section.rows else []
    parts += [f"```sh\n{section.code}\n```"] if section.code else []
    return "\n\n".join([*parts, *([escaped(section.remark)] if section.remark else [])])


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _scores(comparison: Comparison) -> str:
    rows = []
    for row in score_rows(comparison):
        name, *rest = map(escaped, row.cells)
        rows.append((f"**{name}**" if row.best else f"{name} °" if row.level else name, *rest))
    table = _markup(SCORE_TITLES, rows)
    told = "Bold: the best mean." + (f" °: {LEVEL_WITH_BEST}." if any(row[0].endswith("°") for row in rows) else "")
    return f"{table}\n\n{told}"


def _warnings(comparison: Comparison) -> str:
    return "\n".join(f"- **Warning:** {escaped(warning)}" for warning in comparison.warnings)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in which no title and no cell is markup."""
    return _markup(titles, [[escaped(cell) for cell in row] for row in rows])


def _markup(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[escaped(title) for title in titles], ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
