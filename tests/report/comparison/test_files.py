"""What is written, in every format, and that the same evidence gives the same bytes."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hpsearch.cleaning import markdown as escaped
from hpsearch.errors import UnknownNameError
from hpsearch.report.comparison.background import background_of
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.files import FORMATS, write_report
from hpsearch.report.comparison.methods import with_methods
from hpsearch.report.comparison.terminal import show_comparison
from tests.report.comparison.evidence import WICKED, datasets_evidence, search_evidence, seeds_evidence

MAKERS = [seeds_evidence, datasets_evidence, search_evidence]
QUICKEST_FIRST = [search_evidence, *(pytest.param(make, marks=pytest.mark.slow) for make in MAKERS[:2])]
DOCUMENT = (
    r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\input{report}\input{methods}\end{document}"
)


@pytest.mark.parametrize("make", QUICKEST_FIRST)
def test_the_same_evidence_gives_the_same_bytes(tmp_path: Path, make: Callable[[], ReportContents]) -> None:
    first = write_report(make(), tmp_path / "a")
    second = write_report(make(), tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert {path.name for path in first} >= {"report.html", "report.md", "report.tex", "pairs.csv", "compare.json"}


def test_only_the_formats_that_are_asked_for_are_written(tmp_path: Path) -> None:
    write_report(seeds_evidence(), tmp_path / "report", ["json", "csv"])
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        *("compare.json", "experiments.csv", "pairs.csv", "warnings.csv")
    }
    with pytest.raises(UnknownNameError, match="unknown report format 'htm', did you mean 'html'"):
        write_report(seeds_evidence(), tmp_path / "other", ["htm"])
    assert not (tmp_path / "other").exists()


def test_what_was_left_out_or_averaged_stands_at_the_top_of_every_format(tmp_path: Path) -> None:
    evidence = search_evidence()
    said = f"{WICKED}: 2 of 9 runs do not count"
    evidence = replace(evidence, comparison=replace(evidence.comparison, warnings=(said,)))
    write_report(evidence, tmp_path)
    page, markdown, paper = ((tmp_path / f"report.{ending}").read_text() for ending in ("html", "md", "tex"))
    assert page.index('id="warnings"') < page.index('id="conclusion"') < page.index("<table")
    assert markdown.split("\n\n")[1] == f"- **Warning:** {escaped(said)}"
    assert paper.splitlines()[1] == f"% warning: {said}"
    with (tmp_path / "warnings.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"warning": said}]
    console = Console(width=200, file=io.StringIO())
    console.print(show_comparison(evidence.comparison))
    assert console.file.getvalue().startswith(f"warning: {said}")  # type: ignore[attr-defined]


def test_the_page_needs_nothing_from_outside_and_runs_no_markup_of_the_runs(tmp_path: Path) -> None:
    write_report(seeds_evidence(), tmp_path, ["html"])
    page = (tmp_path / "report.html").read_text()
    own = page[: page.index("<script>")] + page[page.rindex("<script>") :]  # without plotly.js
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org)", own)
    assert "<b>x</b>" not in own
    embedded = re.search(r'id="compare-json">(.*?)</script>', page)
    assert embedded is not None
    assert json.loads(embedded.group(1)) == seeds_evidence().comparison.to_json()


def test_compare_json_is_the_comparison(tmp_path: Path) -> None:
    write_report(datasets_evidence(), tmp_path, ["json"])
    assert json.loads((tmp_path / "compare.json").read_text()) == datasets_evidence().comparison.to_json()


def test_the_tables_for_spreadsheets_are_in_full_precision(tmp_path: Path) -> None:
    evidence = seeds_evidence()
    write_report(evidence, tmp_path, ["csv"])
    with (tmp_path / "experiments.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["ours", WICKED, "theirs"]
    assert [float(row["mean"]) for row in rows] == [each.mean for each in evidence.comparison.experiments]
    with (tmp_path / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    assert [float(row["p_adjusted"]) for row in pairs] == [pair.p_adjusted for pair in evidence.comparison.pairs]


def test_markdown_marks_the_best_and_escapes_the_rest(tmp_path: Path) -> None:
    write_report(seeds_evidence(), tmp_path, ["md"])
    text = (tmp_path / "report.md").read_text()
    assert "| **ours** | 10 |" in text
    assert r"cnn_small & \<b\>x\</b\>\|\$50%" in text
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert shown
    assert all((tmp_path / path).is_file() for path in shown)


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
def test_the_tables_for_a_paper_compile(tmp_path: Path, make: Callable[[], ReportContents]) -> None:
    assert shutil.which("pdflatex"), "the tests need LaTeX: apt-get install texlive-latex-recommended"
    evidence = make()
    told = with_methods(evidence.comparison, evidence.runs, background_of(evidence.runs, []))
    write_report(replace(evidence, comparison=told), tmp_path, ["tex"])
    (tmp_path / "paper.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
    assert r"\textbf" in (tmp_path / "report.tex").read_text() or make is search_evidence


def test_every_format_has_a_name_that_the_help_lists() -> None:
    assert list(FORMATS) == ["html", "md", "tex", "csv", "json"]


def test_an_underscore_is_escaped_where_it_would_be_markup() -> None:
    assert escaped("learning_rate d_z 1_2") == "learning_rate d_z 1_2"
    assert escaped("_x_ a__b") == r"\_x\_ a\_\_b"


def test_figures_have_titles_where_they_are_wanted(tmp_path: Path) -> None:
    for folder, titles in (("plain", False), ("titled", True)):
        write_report(search_evidence(("one",)), tmp_path / folder, ["md"], titles=titles)
    found = [(tmp_path / folder / "figures/search.svg").read_text() for folder in ("plain", "titled")]
    assert ["Optimisation history" in text for text in found] == [False, True]
