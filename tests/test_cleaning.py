"""A text of a run stays a text in every format."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hpsearch
from hpsearch import cli
from hpsearch.cleaning import csv_cell, latex, markdown, plotly, terminal, to_any_terminal
from hpsearch.comparing import Question, compare_runs
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.records import Goal
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.files import write_report
from hpsearch.tracking.mlflow.sink import study_tags
from tests.report.comparison.evidence import replicates

FORMULAS = ["=cmd|' /C calc'!A0", "@SUM(1+1)", "+1+cmd|x", "-2+3", " =1+1", "\t=1+1", "\u202e=1+1", "＝1+1", "%0A=1"]
PLAIN = ["-0.5", "+1e-3", "-inf", "adam", "a=b", "1-2", ""]


def named_evidence(name: str) -> ReportContents:
    runs = [*replicates(name, 0.92), *replicates("other", 0.9)]
    return ReportContents(compare_runs(runs, Question("test/accuracy", Goal.MAXIMIZE)), runs, {})


@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_computes_nothing(text: str) -> None:
    assert str(csv_cell(text)).startswith("'")


@pytest.mark.parametrize("value", [*PLAIN, -0.5, 3, None, True])
def test_what_is_no_formula_stays_what_it_is(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.parametrize("clean", [csv_cell, latex, markdown])
def test_no_escape_sequence_and_no_mark_of_direction_gets_through(clean: Callable[[str], str]) -> None:
    text = clean("a\x1b[31mb\u202ec\u2066d\x00e\u200fg\x9bh")
    assert all(letter.isprintable() for letter in text)


def test_markdown_has_no_formula_link_or_mention() -> None:
    assert markdown("$x$") == r"\$x\$"
    assert markdown("see https://a.b or WWW.a.b") == r"see https\://a.b or WWW\.a.b"
    assert markdown("@somebody and me@a.b") == "@<!-- -->somebody and me@<!-- -->a.b"
    assert markdown("lr=1e-3 at 5, a @ b") == "lr=1e-3 at 5, a @ b"


def test_plotly_shows_tags_as_text() -> None:
    assert plotly({"text": ["<b>x</b>"], "hovertemplate": "<br>"}) == {
        "text": ["&lt;b&gt;x&lt;/b&gt;"],
        "hovertemplate": "<br>",
    }


@pytest.mark.parametrize("name", ["[2em] x", "* x", "=1+1", "@me $x$", r"\input{/etc/passwd}", "`x'", "x\u202ey"])
def test_an_experiment_may_have_any_name_in_every_format(tmp_path: Path, name: str) -> None:
    write_report(named_evidence(name), tmp_path, ["md", "tex", "csv"])
    with (tmp_path / "experiments.csv").open(newline="") as file:
        assert next(row["name"] for row in csv.DictReader(file)) == csv_cell(name)
    rows = (tmp_path / "report.tex").read_text().splitlines()
    assert [row for row in rows if row.startswith(("[", "*"))] == []
    assert any(latex(name) in row for row in rows)
    assert "$x$" not in (tmp_path / "report.md").read_text()


@pytest.mark.slow
def test_a_name_that_begins_with_a_bracket_can_be_set(tmp_path: Path) -> None:
    write_report(named_evidence("[2em] `x` *y"), tmp_path, ["tex"])
    document = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\input{report}\end{document}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


PACKAGE = Path(hpsearch.__file__).parent
HOSTILE = "=cmd|' /C calc'!A0 [red]x[/red] <b>\x1b[31m\x9b2J\u202e\u200b $x$ https://a.b **y**"


def test_a_terminal_gets_no_escape_sequence() -> None:
    assert terminal(f"a\n\t{HOSTILE}").startswith("a\n\t=cmd|")
    assert all(letter.isprintable() or letter in "\n\t" for letter in terminal(HOSTILE))


def test_a_table_of_predictions_computes_nothing(tmp_path: Path) -> None:
    chances = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = ClassPrediction(inputs=(HOSTILE, "plain"), classes=("=1+1", "b"), probabilities=chances)
    found.save(tmp_path / "a.csv", ".csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert csv_cell(HOSTILE) in cells
    assert not [cell for cell in cells if cell.startswith(("=", "@")) or not cell.isprintable()]


def test_a_note_in_mlflow_is_no_markup(tmp_path: Path) -> None:
    plan = {"question": HOSTILE, "metric": {"name": "test/x", "goal": "minimize"}, "seed": 0}
    (tmp_path / "result.json").write_text(json.dumps({"version": 1, "answer": HOSTILE, "confirmatory": True}))
    tags = study_tags({"id": "1", "latest": plan, "file": "a.yaml"}, tmp_path)
    assert tags["mlflow.note.content"].split("\n\n")[0] == markdown(HOSTILE)


def test_a_message_of_the_command_line_changes_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["hpsearch", "check", f"no-{HOSTILE}.yaml"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err
    assert "[red]" in said
    assert all(letter.isprintable() or letter == "\n" for letter in said)


def test_every_table_is_written_by_a_known_writer() -> None:
    """A new one cleans its cells, and is then named here."""
    found = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if re.search(r"csv\.(Dict)?[Ww]riter\(|\)\.to_csv\(", file.read_text(encoding="utf-8"))
    }
    assert found == {"report/tables.py", "report/comparison/files.py", "families/class_prediction.py"}


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "0.91 ± 0.02 · — − … Straße 語"),
        ("latin-1", "0.91 ± 0.02 · - - ~ Straße ?"),
        ("ascii", "0.91 +- 0.02 - - - ~ Stra?e ?"),
    ],
)
def test_a_terminal_gets_a_letter_that_it_has(encoding: str, shown: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    to_any_terminal(stream)
    stream.write("0.91 ± 0.02 · — − … Straße 語")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == shown  # type: ignore[attr-defined]


def test_a_byte_that_is_no_letter_is_written_as_it_is() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    to_any_terminal(stream)
    stream.write("a\udcffb")
    stream.flush()
    assert stream.buffer.getvalue() == b"a\xffb"  # type: ignore[attr-defined]
