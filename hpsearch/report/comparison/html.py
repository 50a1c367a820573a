"""The page: one HTML file that needs no other file and no network, the same bytes for the same comparison."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from hpsearch.cleaning import plotly as escaped
from hpsearch.cleaning import terminal
from hpsearch.comparing.comparison import PairResult
from hpsearch.comparing.conclusion import conclude, details
from hpsearch.report.charts.gallery import Picture, gallery
from hpsearch.report.charts.style import svg_of
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.grouped import GroupedReport, adjustment, pictures_of, prefix_of
from hpsearch.report.comparison.methods import methods_sections
from hpsearch.report.comparison.rows import (
    PAIR_TITLES,
    SCORE_TITLES,
    caption,
    dropped_rows,
    headline,
    p_value,
    pair_rows,
    score_rows,
    shared_notes,
)
from hpsearch.report.comparison.trials import trial_tables
from hpsearch.report.health import HEALTH_TITLES, health_rows
from hpsearch.report.wording import number

_LONG = frozenset(
    {"item", "fact", "verdict", "effect", "test", "interval", "what", "try", "why", "reason", "where", "objection"}
)
"""Columns whose texts break between words, so that a table fits into a page."""
_WRAPPED = {"long": _LONG, "names": frozenset({"a", "b", "experiment", "run"})}
"""The columns of names, too, where those are long."""
_TABLE = """\
{% macro kind(name) %}{% if name %} class="{{ name }}"{% endif %}{% endmacro %}\
{% macro wraps(title) %}{{ kind("long" if title in long else "name" if title in names else "") }}{% endmacro %}\
<div class="scroll"><table><thead>\
<tr>{% for title in titles %}<th{{ wraps(title) }}>{{ title }}</th>{% endfor %}</tr></thead>
<tbody>{% for name, cells in rows %}
<tr{{ kind(name) }}>\
{% for cell in cells %}<td{{ wraps(titles[loop.index0]) }}>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>"""


def as_html(evidence: ReportContents) -> str:
    """Return the page; every text of the runs is escaped."""
    comparison, cover = evidence.comparison, evidence.cover
    shown = gallery(evidence)
    return _rendered(
        "report.html",
        title=headline(comparison),
        caption=caption(comparison),
        cover=cover,
        conclusion=[*cover.answer, *details(comparison)] if cover else conclude(comparison),
        shown=_body(evidence, shown),
        seed=comparison.seed,
        compare_json=_script_json(comparison.to_json()),
        plots=_plots(shown),
        style=_page_file("report.css"),
    )


def as_grouped_html(report: GroupedReport) -> str:
    """Return the page of several groups."""
    pictures = pictures_of(report)
    groups = [
        {
            "name": group.name,
            "why": group.why,
            "adjustment": adjustment(group.comparison),
            "caption": caption(group.comparison),
            "conclusion": conclude(group.comparison),
            **_body(group.evidence, [each for each in pictures if each.name.startswith(prefix_of(place))]),
        }
        for place, group in enumerate(report.groups, start=1)
    ]
    return _rendered(
        "grouped.html",
        title=report.title,
        before=report.before,
        groups=groups,
        after=report.after,
        compare_json=_script_json(report.to_json()),
        plots=_plots(pictures),
        style=_page_file("report.css") + _page_file("grouped.css"),
    )


def _rendered(page: str, **content: Any) -> str:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_page_file),
        finalize=lambda value: terminal(value) if type(value) is str else value,
    )
    table = environment.from_string(_TABLE)

    def drawn(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
        return Markup(table.render(titles=titles, rows=rows, **_WRAPPED))  # noqa: S704 - the template has escaped every cell

    return environment.get_template(page).render(
        table=drawn,
        plain=lambda titles, rows: drawn(titles, [("", row) for row in rows]),
        plotly=_plotly(),
        script=_page_file("report.js"),
        **content,
    )


def _body(evidence: ReportContents, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Return the part of a comparison's page below its conclusion."""
    comparison = evidence.comparison
    return {
        "warnings": comparison.warnings,
        "score_titles": SCORE_TITLES,
        "score_rows": [
            ("best" if row.best else "level" if row.level else "", row.cells) for row in score_rows(comparison)
        ],
        "pair_titles": PAIR_TITLES,
        "pair_rows": [("", row.cells) for row in pair_rows(comparison)],
        "notes": shared_notes(comparison),
        "details": [{"title": f"{pair.a} against {pair.b}", "facts": _facts(pair)} for pair in comparison.pairs],
        "pictures": [_shown(picture) for picture in pictures],
        "trials": [
            {"name": each.name, "titles": each.titles, "rows": [("", row) for row in each.rows], "left": each.left}
            for each in trial_tables(evidence.runs, comparison.goal, comparison.metric)
        ],
        "health_titles": HEALTH_TITLES,
        "health": [("", row) for row in health_rows(evidence.health)],
        "dropped_titles": ("experiment", "run", "why"),
        "dropped": [("", row) for row in dropped_rows(comparison)],
        "methods": methods_sections(comparison),
    }


def _plots(pictures: Sequence[Picture]) -> str:
    return _script_json({picture.name: escaped(picture.plot()) for picture in pictures if picture.plot})


def _page_file(name: str) -> str:
    return (files("hpsearch.report.comparison") / "page" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _script_json(value: Any) -> str:
    """Return JSON that cannot end the script element around it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")


def _shown(picture: Picture) -> dict[str, Any]:
    svg = svg_of(picture.draw()) if picture.plot is None else ""
    told = {"name": picture.name, "title": picture.title, "says": picture.says, "wide": picture.wide}
    return {**told, "plot": bool(picture.plot), "svg": svg}


def _interval(interval: tuple[float, float]) -> str:
    return f"{number(interval[0])} to {number(interval[1])}".replace("-", "−")


def _facts(pair: PairResult) -> list[tuple[str, str]]:
    """Return the details that the table omits: the second tests, effects, checks, notes."""
    facts = [] if pair.ci95 is None else [("95% interval of this pair alone", _interval(pair.ci95))]
    facts += [(f"also {each.test}", f"p {p_value(each.p)}") for each in pair.also]
    facts += [("smallest p that n could give", number(pair.smallest_possible_p))]
    facts += [("Cliff's delta", number(pair.cliffs_delta)), ("P(a better than b)", number(pair.p_superiority))]
    if pair.equivalence is not None:
        said = {True: "equivalent", False: "not shown to be equivalent", None: "not tested"}[
            pair.equivalence.equivalent
        ]
        facts.append(
            (f"two one-sided tests, margin {pair.equivalence.margin:g}", f"p {p_value(pair.equivalence.p)}, {said}")
        )
    further = pair.further
    if further.rope is not None:
        chances = f"worse {further.rope.worse:.3f}, within {further.rope.within:.3f}, better {further.rope.better:.3f}"
        facts.append((f"{further.rope.test}, region ±{further.rope.rope:g}", chances))
    if further.aso is not None:
        facts.append(("almost stochastic order", number(further.aso)))
    if further.power is not None:
        facts.append(("power to see this difference", f"{further.power:.2f}"))
    facts += [(f"check: {each.assumption}", each.says) for each in further.checks]
    return facts
