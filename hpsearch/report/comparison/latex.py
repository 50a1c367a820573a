"""The comparison for a paper: tables in LaTeX with booktabs."""

from collections.abc import Sequence

from hpsearch.cleaning import latex as escaped
from hpsearch.cleaning import one_line
from hpsearch.comparing.comparison import Comparison
from hpsearch.report.comparison.checklist import SOURCE
from hpsearch.report.comparison.grouped import GroupedReport
from hpsearch.report.comparison.overview import OVERVIEW_TITLES, overview_rows
from hpsearch.report.comparison.rows import (
    LEVEL_WITH_BEST,
    PAIR_TITLES,
    SCORE_TITLES,
    PairRow,
    caption,
    pair_rows,
    score_rows,
)

_OVERVIEWED = 7
"""Columns of the overview that a paper has room for."""
HEAD = "% needs \\usepackage{booktabs,graphicx}\n"


def as_latex(comparison: Comparison) -> str:
    """Return the tables; the best mean is bold, what is level with it underlined.

    Warnings are comments at the top: whoever sets the table decides which of them the paper has to say.
    """
    return HEAD + _warned(comparison.warnings) + "\n".join(_tables(comparison))


def as_grouped_latex(report: GroupedReport) -> str:
    """Return the overview and the tables of each group, with its name in their captions."""
    shown = [row[:_OVERVIEWED] for row in overview_rows(report.entries)]
    cells = [[escaped(cell) for cell in row] for row in shown]
    tables = [_table(OVERVIEW_TITLES[:_OVERVIEWED], cells, align="l" * _OVERVIEWED, caption=f"{report.title}.")]
    for group in report.groups:
        head = f"% {one_line(group.name)}\n{_warned(group.comparison.warnings)}"
        tables += [head, *_tables(group.comparison, title=f"{group.name}. ")]
    return HEAD + _warned(report.warnings) + "\n".join(tables)


def _warned(warnings: Sequence[str]) -> str:
    return "".join(f"% warning: {one_line(warning)}\n" for warning in warnings)


def _tables(comparison: Comparison, *, title: str = "") -> list[str]:
    scores = [_marked(row.cells, best=row.best, level=row.level) for row in score_rows(comparison)]
    marks = f" Bold: the best mean; underlined: {LEVEL_WITH_BEST}."
    said = f"{title}{caption(comparison)}"
    tables = [_table(SCORE_TITLES, scores, align="lr" + "l" * 5, caption=said + marks)]
    if comparison.pairs:
        pairs = [_pair(row) for row in pair_rows(comparison)]
        tables.append(_table(PAIR_TITLES, pairs, align="lll" + "l" * 6, caption=said))
    return tables


def methods_latex(comparison: Comparison) -> str:
    """Return methods.tex: the methods as paragraphs and the checklist as a list, or "" if nobody has written them.

    What is not known are comments at the top, for whoever sets the text to add.
    """
    return f"% needs no package\n{_methods(comparison)}" if comparison.methods is not None else ""


def grouped_methods_latex(report: GroupedReport) -> str:
    """Return methods.tex of all groups, the group's name before each."""
    found = [
        f"\\subsection*{{{escaped(group.name)}}}\n{_methods(group.comparison)}"
        for group in report.groups
        if group.comparison.methods is not None
    ]
    return f"% needs no package\n{chr(10).join(found)}" if found else ""


def _methods(comparison: Comparison) -> str:
    methods = comparison.methods
    if methods is None:
        return ""
    unknown = [f"% not known to hpsearch: {one_line(each)}" for each in methods.unknown]
    said = [f"\\paragraph{{{escaped(title)}.}} {escaped(text)}\n" for title, text in methods.paragraphs.items()]
    items = [
        rf"\item \textbf{{{escaped(each.answer)}:}} {escaped(each.item + (f': {each.fact}' if each.fact else ''))}."
        for each in methods.checklist
    ]
    checked = ["\\paragraph{Reproducibility.} " + escaped(SOURCE), r"\begin{itemize}", *items, r"\end{itemize}"]
    return "\n".join([*unknown, *said, *checked]) + "\n"


def _pair(row: PairRow) -> list[str]:
    """Return the cells; the verdict is that on a, in as few words as a column of a paper has room for."""
    a, b, _, *rest = map(escaped, row.cells)
    return [a, b, escaped(row.verdict), *rest]


def _marked(cells: Sequence[str], *, best: bool, level: bool) -> list[str]:
    name, n, mean, *rest = map(escaped, cells)
    if best:
        mean = rf"\textbf{{{mean}}}"
    elif level:
        mean = rf"\underline{{{mean}}}"
    return [name, n, mean, *rest]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, align: str, caption: str) -> str:
    lines = [
        *(
            r"\begin{table}",
            r"\centering",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{escaped(caption)}}}",
        ),
        *(
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
        ),
        *(" & ".join(map(escaped, titles)) + r" \\", r"\midrule"),
        *(" & ".join(row) + r" \\" for row in rows),
        *(r"\bottomrule", r"\end{tabular}}", r"\end{table}"),
    ]
    return "\n".join(lines) + "\n"
