"""What a result is as the last line of a notebook's cell: HTML in which every name and value is escaped."""

from collections.abc import Iterable, Sequence

from hpsearch.cleaning import page
from hpsearch.comparing import Comparison
from hpsearch.comparing.conclusion import conclude
from hpsearch.report.comparison.rows import PAIR_TITLES, SCORE_TITLES, pair_rows, score_rows


def paragraphs(lines: Iterable[str]) -> str:
    """Return a paragraph for each line."""
    return "".join(f"<p>{page(line)}</p>" for line in lines)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; columns in which no row has anything are left out."""
    kept = [list(row) for row in rows]
    shown = [place for place in range(len(titles)) if any(row[place] for row in kept)]
    head = "".join(f"<th>{page(titles[place])}</th>" for place in shown)
    body = "".join("<tr>" + "".join(f"<td>{page(row[place])}</td>" for place in shown) + "</tr>" for row in kept)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if kept else ""


def comparison_html(comparison: Comparison, *, answers: Sequence[str] | None = None) -> str:
    """Return what a comparison says, in sentences (or `answers`) and in the two tables of its report."""
    scores = table(SCORE_TITLES, [row.cells for row in score_rows(comparison)])
    pairs = table(PAIR_TITLES, [row.cells for row in pair_rows(comparison)])
    return paragraphs(conclude(comparison) if answers is None else answers) + scores + pairs
