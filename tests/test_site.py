"""The documentation's site is built without a warning, shows all that there is, and its tutorial runs as it stands."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from hpsearch.cli import app
from tests.test_docs import ROOT
from tests.test_docs import titled_blocks as files_of

TUTORIAL = ROOT / "docs" / "tutorials" / "first-search.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a dead link, a page outside the navigation or an unknown name is an error."""
    place = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return place


@pytest.mark.slow
def test_the_site_names_every_command_and_setting(site: Path) -> None:
    commands = (site / "reference" / "command-line" / "index.html").read_text(encoding="utf-8")
    assert [name for name in typer.main.get_group(app).commands if f"hpsearch {name}" not in commands] == []
    families = (site / "reference" / "families" / "deepsif" / "index.html").read_text(encoding="utf-8")
    assert all(name in families for name in ("model.temporal", "data.lead_field", "train.learning_rate"))
    assert "hpsearch.api.run.run" in (site / "reference" / "python" / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_site_has_the_examples_and_the_notebooks(site: Path) -> None:
    assert 'href="../function/"' in (site / "examples" / "open" / "index.html").read_text(encoding="utf-8")
    page = (site / "notebooks" / "reading-results" / "index.html").read_text(encoding="utf-8")
    assert "plot_slices" in page
    assert 'href="../../explanation/verdicts/"' in page
    assert 'href="../a-study/"' in page


@pytest.mark.slow
def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not any(f'{key}="http' in text for key in ("src", 'rel="stylesheet" href')), page


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    page = TUTORIAL.read_text(encoding="utf-8")
    for name, text in files_of(page).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shown = [line for block in page.split("```sh\n")[1:] for line in block.partition("```")[0].splitlines()]
    assert len(shown) >= 7
    said = ""
    for line in shown:
        words = shlex.split(line, comments=True)
        target = words[words.index(">") + 1 :] if ">" in words else []
        program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "hpsearch"]
        inner = words[1 : words.index(">")] if target else words[1:]
        done = subprocess.run([*program, *inner], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        said = done.stdout
        if target:
            (tmp_path / target[0]).write_text(said, encoding="utf-8")
    assert "not shown to differ" in said or "better than" in said
    assert (tmp_path / "reports" / "gain" / "report.html").exists()
