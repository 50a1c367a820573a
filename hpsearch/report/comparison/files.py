"""Writing a report: which formats there are, and what each of them puts into the folder."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from matplotlib import rc_context

from hpsearch.comparing import Comparison
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.report.comparison.csv_files import as_csv, as_grouped_csv
from hpsearch.report.comparison.gallery import Evidence, Picture, gallery
from hpsearch.report.comparison.grouped import GroupedReport, pictures_of, prefix_of
from hpsearch.report.comparison.html import as_grouped_html, as_html, svg_of
from hpsearch.report.comparison.latex import as_grouped_latex, as_latex
from hpsearch.report.comparison.markdown import as_grouped_markdown, as_markdown
from hpsearch.report.health import health_rows

FIGURES = "figures"
Written = dict[str, str]
"""File names, and what they hold."""


def _html(evidence: Evidence) -> Written:
    return {"report.html": as_html(evidence)}


def _markdown(evidence: Evidence) -> Written:
    return {"report.md": markdown_of(evidence)}


def markdown_of(evidence: Evidence, prefix: str = "") -> str:
    """Return report.md; `prefix` stands before the names of its pictures."""
    health = health_rows(evidence.health)
    figures = [(picture.title, f"{FIGURES}/{prefix}{picture.name}.svg") for picture in gallery(evidence)]
    return as_markdown(evidence.comparison, figures=figures, health=health, cover=evidence.cover)


def _latex(evidence: Evidence) -> Written:
    return {"report.tex": as_latex(evidence.comparison)}


def _csv(evidence: Evidence) -> Written:
    return as_csv(evidence.comparison)


def _json(evidence: Evidence) -> Written:
    return {"compare.json": compare_json(evidence.comparison)}


def compare_json(shown: Comparison | GroupedReport) -> str:
    """Return compare.json (DESIGN 7), or the document of groups."""
    return json.dumps(shown.to_json(), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Evidence], Written]] = {
    "html": _html,
    "md": _markdown,
    "tex": _latex,
    "csv": _csv,
    "json": _json,
}
_GROUPED: dict[str, Callable[[GroupedReport], Written]] = {
    "html": lambda report: {"report.html": as_grouped_html(report)},
    "md": lambda report: {"report.md": as_grouped_markdown(report, list(_texts(report)))},
    "tex": lambda report: {"report.tex": as_grouped_latex(report)},
    "csv": as_grouped_csv,
    "json": lambda report: {"compare.json": compare_json(report)},
}
_ILLUSTRATED = {"md", "tex"}
"""The formats that want the pictures beside them, as files."""


def _texts(report: GroupedReport) -> Iterator[str]:
    for place, group in enumerate(report.groups, start=1):
        yield markdown_of(group.evidence, prefix_of(place))


def write_report(evidence: Evidence, folder: Path, formats: Iterable[str] = tuple(FORMATS)) -> list[Path]:
    """Write the report; what stands there under the same names is replaced. The same evidence gives the same bytes.

    Errors: UnknownNameError for a format; HpsearchError when the folder cannot be written.
    """
    chosen = _chosen(formats)
    content = {file: text for name in chosen for file, text in FORMATS[name](evidence).items()}
    return _write(content, gallery(evidence) if _ILLUSTRATED & set(chosen) else None, folder)


def write_grouped(report: GroupedReport, folder: Path, formats: Iterable[str] = tuple(FORMATS)) -> list[Path]:
    """Write the report of groups into files of the same names. Errors: as for `write_report`."""
    chosen = _chosen(formats)
    content = {file: text for name in chosen for file, text in _GROUPED[name](report).items()}
    return _write(content, pictures_of(report) if _ILLUSTRATED & set(chosen) else None, folder)


def _chosen(formats: Iterable[str]) -> list[str]:
    chosen = list(dict.fromkeys(formats))
    for name in chosen:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    return chosen


def _write(content: Written, pictures: Sequence[Picture] | None, folder: Path) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in content.items():
            (folder / file).write_text(text, encoding="utf-8")
        figures = _write_figures(pictures, folder / FIGURES) if pictures is not None else []
    except OSError as error:
        raise HpsearchError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    return [*(folder / file for file in content), *figures]


def _write_figures(pictures: Iterable[Picture], folder: Path) -> list[Path]:
    """Write each picture as SVG and PDF."""
    folder.mkdir(exist_ok=True)
    written = []
    for picture in pictures:
        figure = picture.draw()
        svg, pdf = folder / f"{picture.name}.svg", folder / f"{picture.name}.pdf"
        svg.write_text(svg_of(figure), encoding="utf-8")
        with rc_context({"pdf.fonttype": 42}):  # fonts that a publisher takes
            figure.savefig(pdf, metadata={"CreationDate": None})
        written += [svg, pdf]
    return written
