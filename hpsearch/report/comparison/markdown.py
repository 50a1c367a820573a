"""The comparison for a pull request: conclusion, tables and what was left out, as Markdown."""

import re
from collections.abc import Sequence

from hpsearch.compare.comparison import Comparison
from hpsearch.compare.conclusion import conclude
from hpsearch.report.comparison.rows import (
    PAIR_TITLES,
    SCORE_TITLES,
    caption,
    dropped_rows,
    pair_rows,
    score_rows,
)
from hpsearch.report.health import HEALTH_TITLES
from hpsearch.report.wording import one_line


def as_markdown(
    comparison: Comparison,
    *,
    figures: Sequence[tuple[str, str]] = (),
    health: Sequence[Sequence[str]] = (),
    headline: bool = True,
) -> str:
    """Return the report; `figures` are (title, path) to show below the tables, `health` rows of report/health.py.

    Without `headline` the conclusion goes on where the reader has just read its first sentence.
    """
    said = conclude(comparison)[0 if headline else 1 :]
    parts = [f"# {escaped(comparison.metric)}", "\n".join(f"- {escaped(line)}" for line in said)]
    parts += [f"*{escaped(caption(comparison))}*", _scores(comparison)]
    if comparison.pairs:
        parts.append(table(PAIR_TITLES, [row.cells for row in pair_rows(comparison)]))
    parts += [f"![{escaped(title)}]({path})" for title, path in figures]
    if notes := _notes(comparison):
        parts.append("## Notes\n\n" + "\n".join(f"- {escaped(note)}" for note in notes))
    if health:
        parts.append("## Health of the trainings\n\n" + table(HEALTH_TITLES, health))
    if dropped := dropped_rows(comparison):
        parts.append("## Runs that do not count\n\n" + table(("experiment", "run", "why"), dropped))
    return "\n\n".join(parts) + "\n"


def _scores(comparison: Comparison) -> str:
    rows = []
    for row in score_rows(comparison):
        name, *rest = map(escaped, row.cells)
        rows.append((f"**{name}**" if row.best else f"{name} °" if row.level else name, *rest))
    table = _markup(SCORE_TITLES, rows)
    told = "Bold: the best mean." + (
        " °: not distinguishable from it." if any(row[0].endswith("°") for row in rows) else ""
    )
    return f"{table}\n\n{told}"


def _notes(comparison: Comparison) -> list[str]:
    notes = [f"{pair.a} and {pair.b}: {note}" for pair in comparison.pairs for note in pair.notes]
    return [*comparison.warnings, *notes]


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in which no cell is markup."""
    return _markup(titles, [[escaped(cell) for cell in row] for row in rows])


def _markup(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Return a text in which nothing is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", one_line(text))
