"""The notebooks run as they stand, and show their searches live, without a word on standard error."""

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.test_docs import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIVE = {"first-search": 1, "reading-results": 1, "a-study": 2}
"""How many searches each of them shows while they run."""


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_has_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert outputs_of(notebook) == []
    assert {cell.execution_count for cell in notebook.cells if cell.cell_type == "code"} == {None}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_search(path: Path, tmp_path: Path) -> None:
    for folder in ("examples", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("experiments", "reports"))
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    outputs = outputs_of(notebook)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    displayed = [output.data for output in outputs if output.output_type == "display_data"]
    live = [shown for shown in displayed if "val/accuracy" in shown["text/html"]]
    assert len(live) == LIVE[path.stem], displayed
    assert len(displayed) <= 2 * len(live)  # and what to do next
    for shown in live:  # the last frame of each is left
        assert "3 complete" in shown["text/plain"] or "2 complete" in shown["text/plain"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
