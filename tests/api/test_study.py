"""A study from Python: the same as `hpsearch study`, with its answer and its arms at hand."""

import html
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import hpsearch
from hpsearch.cli.main import app
from hpsearch.errors import HpsearchError, SpaceError, UnknownNameError
from hpsearch.studies.run import StudyRequest
from tests.toy_studies import altered, write_study

SETTINGS: dict[str, Any] = {"in_process": True, "mlflow": False, "quiet": True}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, hpsearch.StudyResult]:
    home = tmp_path_factory.mktemp("study")
    file = write_study(home, trials=2, seeds=2)
    return file, hpsearch.study(file, root=home / "experiments", out=home / "report", **SETTINGS)


def test_a_study_returns_its_answer_its_comparison_and_its_arms(done: tuple[Path, hpsearch.StudyResult]) -> None:
    file, result = done
    home = file.parent
    assert (result.folder, result.interrupted, result.left) == (home / "experiments" / "study", False, ())
    assert result.comparison is not None
    assert [each.name for each in result.comparison.experiments] == ["sgd", "adamw", "mean"]
    assert list(result.arms) == ["sgd", "adamw"]
    assert len(result.arms["adamw"].replicates) == 2
    assert result.answer is not None
    assert result.answer in repr(result)
    assert result.to_json()["answer"] == result.answer
    assert home / "report" / "report.md" in result.files
    assert all(each.is_file() for each in result.files)


def test_a_notebook_shows_question_answer_and_tables(done: tuple[Path, hpsearch.StudyResult]) -> None:
    _, result = done
    shown = result._repr_html_()
    assert result.report is not None
    assert html.escape(result.report.question) in shown
    assert html.escape(result.report.answers[0]) in shown
    assert shown.count("<table>") == 2
    assert "<th>adjusted p</th>" in shown


def test_again_it_only_reads(done: tuple[Path, hpsearch.StudyResult]) -> None:
    file, result = done
    logs = [arm.folder / "log.jsonl" for arm in result.arms.values()]
    trained = [log.read_text().count('"begin"') for log in logs]
    again = hpsearch.study(file, root=file.parent / "experiments", out=file.parent / "again", **SETTINGS)
    assert again.answer == result.answer
    assert [log.read_text().count('"begin"') for log in logs] == trained
    for name in ("report.md", "compare.json"):
        assert (file.parent / "again" / name).read_bytes() == (file.parent / "report" / name).read_bytes()


def test_one_arm_answers_nothing_yet(tmp_path: Path) -> None:
    file = write_study(tmp_path, trials=1, seeds=2)
    result = hpsearch.study(file, arm="adamw", root=tmp_path / "experiments", out=tmp_path / "report", **SETTINGS)
    assert (result.report, result.answer, result.comparison, result.left) == (None, None, None, ("sgd",))
    assert (list(result.arms), result.files, result.to_json()) == (["adamw"], (), {})
    assert "left: sgd" in repr(result)
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_arms_at_once_give_the_same_report(done: tuple[Path, hpsearch.StudyResult], tmp_path: Path) -> None:
    file, result = done
    settings = SETTINGS | {"at_once": 2, "name": "study"}
    beside = hpsearch.study(file, root=tmp_path / "experiments", out=tmp_path / "report", **settings)
    assert beside.answer == result.answer
    assert beside.comparison == result.comparison


def test_a_plan_says_what_is_done_already(done: tuple[Path, hpsearch.StudyResult]) -> None:
    file, _ = done
    plan = hpsearch.plan_study(file, root=file.parent / "experiments", probe=False, in_process=True)
    assert [(arm.name, arm.trainings, arm.done) for arm in plan.arms] == [("sgd", 4, 4), ("adamw", 4, 4)]
    assert plan.power.replicates == 2
    assert {arm.done for arm in hpsearch.plan_study(file, root=file.parent, name="new", probe=False).arms} == {0}


def test_mistakes_are_errors_before_anything_is_written(tmp_path: Path) -> None:
    file, root = write_study(tmp_path), tmp_path / "experiments"
    with pytest.raises(UnknownNameError, match="report format 'pfd'"):
        hpsearch.study(file, root=root, format="pfd", **SETTINGS)
    with pytest.raises(UnknownNameError, match="known: adamw, sgd"):
        hpsearch.study(file, root=root, arm="mean", **SETTINGS)
    with pytest.raises(HpsearchError, match="this study's replicates are seeds"):
        hpsearch.study(file, root=root, repeats=3, **SETTINGS)
    with pytest.raises(HpsearchError, match="quick= and standard= are two forms of a study; give one of them"):
        hpsearch.study(file, root=root, quick=True, standard=True, **SETTINGS)
    altered(file, ("budget: {trials: 3}", "budget: {trial: 3}"))
    with pytest.raises(SpaceError, match=r"trial.*did you mean.*trials"):
        hpsearch.study(file, root=root, **SETTINGS)
    assert not root.exists()


EVERYTHING: dict[str, Any] = {
    "quick": True,
    "standard": False,
    "name": "my study",
    "seeds": 7,
    "repeats": 2,
    "in_process": True,
    "mlflow": False,
    "track": "tensorboard",
    "tracking_uri": "http://127.0.0.1:5000",
    "root": Path("elsewhere"),
    "quiet": True,
    "trust": True,
}


@pytest.mark.parametrize(
    "given", [{}, EVERYTHING, {"mlflow": False}, {"standard": True}], ids=["none", "all", "no", "one"]
)
def test_the_process_of_an_arm_is_asked_for_the_same(given: dict[str, Any]) -> None:
    """The program reads its command line as the request from which it was made."""
    request = StudyRequest(file=Path("studies/mine.yaml"), **given)
    command = typer.main.get_command(app)
    assert EVERYTHING.keys() | {"file"} == vars(request).keys()
    name, *words = request.arguments("a-b")
    read = command.commands[name].make_context(name, words).params  # type: ignore[attr-defined]
    assert read["arm"] == "a-b"
    same = {key: read[key] if value is None else type(value)(read[key]) for key, value in vars(request).items()}
    assert same == vars(request)


def test_a_study_is_called_after_its_file() -> None:
    file = Path("studies/mine.yaml")
    assert StudyRequest(file=file).folder == Path("experiments/mine")
    assert StudyRequest(file=file, quick=True).folder == Path("experiments/mine-quick")
    standard = StudyRequest(file=file, standard=True)
    assert (standard.folder.name, standard.command) == ("mine-standard", "hpsearch study studies/mine.yaml --standard")
    named = StudyRequest(file=file, quick=True, name="my own", root=Path("x"), quiet=True)
    assert (named.folder, named.command) == (
        Path("x/my own"),
        "hpsearch study studies/mine.yaml --quick --name 'my own'",
    )


def test_no_module_hides_a_public_name() -> None:
    """`hpsearch.study` would be the module, once it is imported, if there were one of this name."""
    assert [name for name in hpsearch.__all__ if importlib.util.find_spec(f"hpsearch.{name}")] == []


@pytest.mark.slow
def test_a_study_is_the_function_whatever_was_imported() -> None:
    code = (
        "import importlib, pkgutil, hpsearch\n"
        "for each in pkgutil.walk_packages(hpsearch.__path__, 'hpsearch.'):\n"
        "    if '__main__' not in each.name: importlib.import_module(each.name)\n"
        "from hpsearch.api.study import study\n"
        "assert hpsearch.study.__wrapped__ is study, hpsearch.study\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
