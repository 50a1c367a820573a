"""How a trained model scores on new labelled data: as a table, a page, and for programs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from typing import Any

from hpsearch.cleaning import markdown
from hpsearch.cleaning import page as escape
from hpsearch.records import Goal
from hpsearch.report.comparison.markdown import table
from hpsearch.report.wording import number

VERSION = 1
_METHODS = {"wilson": "Wilson", "bootstrap": "bootstrap"}
_EXPLAINED = {
    "wilson": "Wilson's interval of a proportion",
    "bootstrap": "the percentile bootstrap over examples (2,000 resamples)",
}
FEW = 30
"""With fewer examples than this the intervals themselves are rough."""


@dataclass(frozen=True)
class Score:
    """A score, its 95% interval over the examples, and how that was computed: wilson, bootstrap, or "" for none."""

    value: float
    interval: tuple[float, float] | None = None
    method: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What there is to say of a model on new data.

    `model` and `data` say which; `scores` maps the family's metrics to the model's scores, `baselines` classical
    methods, fitted on the model's training data, to theirs. `notes` are sentences.
    """

    model: str
    family: str
    data: Sequence[str]
    examples: int
    scores: Mapping[str, Score]
    goals: Mapping[str, Goal]
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what is not a number is null."""
        scores = {
            name: {
                "value": _finite(score.value),
                "ci95": None if score.interval is None else [_finite(end) for end in score.interval],
                "ci_method": score.method or None,
                "goal": self.goals[name].value if name in self.goals else None,
            }
            for name, score in self.scores.items()
        }
        baselines = {
            name: {metric: _finite(value) for metric, value in own.items()} for name, own in self.baselines.items()
        }
        rest = {name: value for name, value in asdict(self).items() if name not in ("scores", "baselines", "goals")}
        return {"version": VERSION, **rest, "notes": list(self.notes), "scores": scores, "baselines": baselines}

    def rows(self, *, methods: bool = False) -> tuple[list[str], list[list[str]]]:
        """Return the titles and rows of the table of scores; with `methods` each interval says how it was computed."""
        titles = ["metric", "this model", "95% interval", *(f"baseline {name}" for name in self.baselines)]
        return titles, [
            [
                name,
                number(score.value),
                _interval(score, method=methods),
                *(number(own.get(name)) for own in self.baselines.values()),
            ]
            for name, score in self.scores.items()
        ]

    def _beside(self, metric: str) -> list[str]:
        return [number(own.get(metric)) for own in self.baselines.values()]

    def explained(self) -> list[str]:
        """Return what the intervals mean, and the notes."""
        methods = dict.fromkeys(score.method for score in self.scores.values() if score.method)
        lines = []
        if methods:
            lines.append(
                f"The intervals are over the {self.examples:,} examples, taken as independent: "
                f"{' or '.join(_EXPLAINED[method] for method in methods)}. They say what other examples of the same "
                "kind would give for these weights, not what another training would."
            )
        if methods and self.examples < FEW:
            lines.append(f"With {self.examples} examples they are rough themselves.")
        if worse := self._beaten():
            lines.append(f"Classical methods do better: {', '.join(worse)}.")
        return [*lines, *self.notes]

    def _beaten(self) -> list[str]:
        """Return which classical methods are better than the model, and by which metrics."""
        return [
            f"{name} ({', '.join(metrics)})"
            for name, own in self.baselines.items()
            if (metrics := [each for each in self.scores if self._better(own, each)])
        ]

    def _better(self, baseline: Mapping[str, float], metric: str) -> bool:
        goal, value = self.goals.get(metric), baseline.get(metric)
        return goal is not None and value is not None and goal.better(value, self.scores[metric].value)


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Return the page."""
    head = f"# {markdown(evaluation.model)} on new data"
    about = _about(evaluation)
    notes = "\n".join(f"- {markdown(line)}" for line in evaluation.explained())
    return "\n\n".join([head, table(("", ""), about), table(*evaluation.rows(methods=True)), notes]).strip() + "\n"


def evaluation_html(evaluation: Evaluation) -> str:
    """Return the same as one HTML file that needs no other file and no network; every text is escaped."""
    style = (files("hpsearch.report.comparison") / "page" / "report.css").read_text(encoding="utf-8")
    titles, rows = evaluation.rows(methods=True)
    title = escape(f"{evaluation.model} on new data")
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _about(evaluation))
    notes = "".join(f"<p>{escape(line)}</p>\n" for line in evaluation.explained())
    return _PAGE.format(title=title, style=style, facts=facts, head=_row("th", titles), body=_rows(rows), notes=notes)


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<dl>{facts}</dl>
<div class="scroll"><table><thead>{head}</thead>
<tbody>
{body}
</tbody></table></div>
<section>
{notes}</section>
</main>
</body>
</html>
"""


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_row("td", row) for row in rows)


def _row(cell: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(text)}</{cell}>" for text in texts) + "</tr>"


def _about(evaluation: Evaluation) -> list[tuple[str, str]]:
    return [
        ("model", evaluation.model),
        ("family", evaluation.family),
        ("data", ", ".join(evaluation.data)),
        ("examples", f"{evaluation.examples:,}"),
    ]


def _interval(score: Score, *, method: bool) -> str:
    if score.interval is None:
        return "—"
    low, high = score.interval
    return f"{number(low)} to {number(high)}" + (f" ({_METHODS[score.method]})" if method else "")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
