"""Writing a report: which formats there are, and what each of them puts into the folder."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch.cleaning import csv_cell
from hpsearch.comparing import Comparison
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.report.charts.gallery import Picture, gallery
from hpsearch.report.charts.style import add_title, write_for_paper
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.grouped import GroupedReport, pictures_of, prefix_of
from hpsearch.report.comparison.html import as_grouped_html, as_html
from hpsearch.report.comparison.latex import as_grouped_latex, as_latex, grouped_methods_latex, methods_latex
from hpsearch.report.comparison.markdown import as_grouped_markdown, as_markdown
from hpsearch.report.health import health_rows

FIGURES = "figures"
Written = dict[str, str]
"""File names, and what they hold."""


def _as_csv(comparison: Comparison) -> dict[str, str]:
    """Return `experiments.csv` and `pairs.csv`: the entries of compare.json, nested ones with dotted names.

    Warnings about them are in `warnings.csv`, as a line above a table's head would be taken for the head.
    """
    experiments, pairs = _entries(comparison)
    return {
        "warnings.csv": _csv_text([{"warning": warning} for warning in comparison.warnings], titles=["warning"]),
        "experiments.csv": _csv_text(experiments),
        "pairs.csv": _csv_text(pairs),
    }


def _as_grouped_csv(report: GroupedReport) -> dict[str, str]:
    """Return the same of all groups, with the group's name in front; and `overview.csv` and `not_compared.csv`."""
    experiments, pairs = [], []
    warnings = [{"group": "", "warning": warning} for warning in report.warnings]
    for group in report.groups:
        named = {"group": group.name, "metric": group.comparison.metric}
        inside = _entries(group.comparison)
        experiments += [named | each for each in inside[0]]
        pairs += [named | each for each in inside[1]]
        warnings += [{"group": group.name, "warning": warning} for warning in group.comparison.warnings]
    overview = [_first_confirmation(each.to_json()) for each in report.entries]
    return {
        "warnings.csv": _csv_text(warnings, titles=["group", "warning"]),
        "overview.csv": _csv_text(overview),
        "experiments.csv": _csv_text(experiments),
        "pairs.csv": _csv_text(pairs),
        "not_compared.csv": _csv_text([asdict(each) for each in report.not_compared]),
    }


def _first_confirmation(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of the overview as a row: of several confirmed winners the first; what is not there is empty."""
    present = {name: value for name, value in entry.items() if value is not None or name not in ("objective", "best")}
    return {**present, "confirmation": next(iter(entry["confirmation"]), {}), "groups": "; ".join(entry["groups"])}


def _entries(comparison: Comparison) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    content = comparison.to_json()
    experiments = [{k: v for k, v in each.items() if k != "runs_dropped"} for each in content["experiments"]]
    pairs = [{k: v for k, v in pair.items() if k not in ("also", "notes")} for pair in content["pairs"]]
    return experiments, pairs


def _csv_text(entries: Sequence[Mapping[str, Any]], *, titles: Sequence[str] = ()) -> str:
    rows = [_flat(entry) for entry in entries]
    titles = titles or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, titles, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _flat(entry: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name.startswith("ci") and isinstance(value, list):
            flat |= {f"{prefix}{name}.low": value[0], f"{prefix}{name}.high": value[1]}
        elif not (name.startswith("ci") and value is None):
            flat[f"{prefix}{name}"] = value
    return flat


def _html(evidence: ReportContents) -> Written:
    return {"report.html": as_html(evidence)}


def _markdown(evidence: ReportContents) -> Written:
    return {"report.md": markdown_of(evidence)}


def markdown_of(evidence: ReportContents, prefix: str = "") -> str:
    """Return report.md; `prefix` precedes the names of its pictures."""
    health = health_rows(evidence.health)
    figures = [(picture.title, f"{FIGURES}/{prefix}{picture.name}.svg") for picture in gallery(evidence)]
    return as_markdown(evidence.comparison, figures=figures, health=health, cover=evidence.cover)


def _latex(evidence: ReportContents) -> Written:
    return {"report.tex": as_latex(evidence.comparison), **_methods(methods_latex(evidence.comparison))}


def _methods(text: str) -> Written:
    return {"methods.tex": text} if text else {}


def _json(evidence: ReportContents) -> Written:
    return {"compare.json": compare_json(evidence.comparison)}


def compare_json(shown: Comparison | GroupedReport) -> str:
    """Return compare.json, or the document of groups."""
    return json.dumps(shown.to_json(), indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[ReportContents], Written]] = {
    "html": _html,
    "md": _markdown,
    "tex": _latex,
    "csv": lambda evidence: _as_csv(evidence.comparison),
    "json": _json,
}
_GROUPED: dict[str, Callable[[GroupedReport], Written]] = {
    "html": lambda report: {"report.html": as_grouped_html(report)},
    "md": lambda report: {"report.md": as_grouped_markdown(report, list(_texts(report)))},
    "tex": lambda report: {"report.tex": as_grouped_latex(report), **_methods(grouped_methods_latex(report))},
    "csv": _as_grouped_csv,
    "json": lambda report: {"compare.json": compare_json(report)},
}
_ILLUSTRATED = {"md", "tex"}
"""The formats that need the pictures as files next to them."""


def _texts(report: GroupedReport) -> Iterator[str]:
    for place, group in enumerate(report.groups, start=1):
        yield markdown_of(group.evidence, prefix_of(place))


def write_report(
    evidence: ReportContents, folder: Path, formats: Iterable[str] = tuple(FORMATS), *, titles: bool = False
) -> list[Path]:
    """Write the report; files of the same names are replaced. The same evidence gives the same bytes.

    With `titles` the figures have titles of their own; in a paper their captions say what they show.

    Raises:
        UnknownNameError: If there is no such format.
        HpsearchError: If the folder cannot be written.

    """
    chosen = _chosen(formats)
    content = {file: text for name in chosen for file, text in FORMATS[name](evidence).items()}
    return _write(content, gallery(evidence) if _ILLUSTRATED & set(chosen) else None, folder, titles=titles)


def write_grouped(
    report: GroupedReport, folder: Path, formats: Iterable[str] = tuple(FORMATS), *, titles: bool = False
) -> list[Path]:
    """Write the report of groups into files of the same names; it raises what `write_report` does."""
    chosen = _chosen(formats)
    content = {file: text for name in chosen for file, text in _GROUPED[name](report).items()}
    return _write(content, pictures_of(report) if _ILLUSTRATED & set(chosen) else None, folder, titles=titles)


def _chosen(formats: Iterable[str]) -> list[str]:
    chosen = list(dict.fromkeys(formats))
    for name in chosen:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    return chosen


def _write(content: Written, pictures: Sequence[Picture] | None, folder: Path, *, titles: bool) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in content.items():
            (folder / file).write_text(text, encoding="utf-8")
        figures = _write_figures(pictures, folder / FIGURES, titles=titles) if pictures is not None else []
    except OSError as error:
        raise HpsearchError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    return [*(folder / file for file in content), *figures]


def _write_figures(pictures: Iterable[Picture], folder: Path, *, titles: bool) -> list[Path]:
    folder.mkdir(exist_ok=True)
    written = []
    for picture in pictures:
        figure = picture.draw()
        if titles:
            add_title(figure, picture.title)
        written += write_for_paper(figure, folder, picture.name)
    return written
