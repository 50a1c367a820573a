"""Writing a report: which formats there are, and what each of them puts into the folder."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib import rc_context

from hpsearch.compare import Comparison
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.report.comparison.csv_files import as_csv
from hpsearch.report.comparison.gallery import Evidence, gallery
from hpsearch.report.comparison.html import as_html, svg_of
from hpsearch.report.comparison.latex import as_latex
from hpsearch.report.comparison.markdown import as_markdown
from hpsearch.report.health import health_rows

FIGURES = "figures"
Written = dict[str, str]
"""File names, and what they hold."""


def _html(evidence: Evidence) -> Written:
    return {"report.html": as_html(evidence)}


def _markdown(evidence: Evidence) -> Written:
    return {"report.md": markdown_of(evidence)}


def markdown_of(evidence: Evidence) -> str:
    """Return report.md."""
    health = health_rows(evidence.health)
    return as_markdown(evidence.comparison, figures=figures_of(evidence), health=health, cover=evidence.cover)


def figures_of(evidence: Evidence) -> list[tuple[str, str]]:
    """Return the title and the file of each picture that a report in Markdown shows."""
    return [(picture.title, f"{FIGURES}/{picture.name}.svg") for picture in gallery(evidence)]


def _latex(evidence: Evidence) -> Written:
    return {"report.tex": as_latex(evidence.comparison)}


def _csv(evidence: Evidence) -> Written:
    return as_csv(evidence.comparison)


def _json(evidence: Evidence) -> Written:
    return {"compare.json": compare_json(evidence.comparison)}


def compare_json(comparison: Comparison) -> str:
    """Return compare.json (DESIGN 7)."""
    return json.dumps(comparison.to_json(), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Evidence], Written]] = {
    "html": _html,
    "md": _markdown,
    "tex": _latex,
    "csv": _csv,
    "json": _json,
}
_ILLUSTRATED = {"md", "tex"}
"""The formats that want the pictures beside them, as files."""


def write_report(evidence: Evidence, folder: Path, formats: Iterable[str] = tuple(FORMATS)) -> list[Path]:
    """Write the report; what stands there under the same names is replaced. The same evidence gives the same bytes.

    Errors: UnknownNameError for a format; HpsearchError when the folder cannot be written.
    """
    chosen = list(dict.fromkeys(formats))
    for name in chosen:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    content = {file: text for name in chosen for file, text in FORMATS[name](evidence).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in content.items():
            (folder / file).write_text(text, encoding="utf-8")
        figures = _write_figures(evidence, folder / FIGURES) if _ILLUSTRATED & set(chosen) else []
    except OSError as error:
        raise HpsearchError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    return [*(folder / file for file in content), *figures]


def _write_figures(evidence: Evidence, folder: Path) -> list[Path]:
    """Write each picture as SVG and PDF."""
    folder.mkdir(exist_ok=True)
    written = []
    for picture in gallery(evidence):
        figure = picture.draw()
        svg, pdf = folder / f"{picture.name}.svg", folder / f"{picture.name}.pdf"
        svg.write_text(svg_of(figure), encoding="utf-8")
        with rc_context({"pdf.fonttype": 42}):  # fonts that a publisher takes
            figure.savefig(pdf, metadata={"CreationDate": None})
        written += [svg, pdf]
    return written
