"""What the documents say is so: commands, links, files, versions, schemas."""

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

import hpsearch
from hpsearch.cli import app
from hpsearch.families.loading import family_names, load_interface
from hpsearch.referee.shapes import Answer
from hpsearch.space import json_schema
from hpsearch.studies.study import study_schema

ROOT = Path(__file__).parents[1]
PAGES = [
    path for place in (ROOT.glob, (ROOT / "docs").rglob, (ROOT / "examples").rglob) for path in sorted(place("*.md"))
]
GUIDES = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.name not in ("CHANGELOG.md", "guides.md"))
GENERATED = {ROOT / "docs" / "reference" / name for name in ("command-line.md", "study-file.md")}
"""Pages that docs/generated.py makes when the site is built."""
SPACES = sorted((ROOT / "spaces").glob("*.yaml"))
COMMANDS = typer.main.get_group(app).commands
QUICK = (["check", "spaces"], ["families"], ["schema", "char_lm"])
NOT_OURS = {"build", "dist", "experiments", "mlruns", "site", "__pycache__"}
"""What git ignores and the file map leaves out."""


def blocks(language: str) -> list[str]:
    """Return the code blocks of all pages in a language."""
    return re.findall(rf"^```{language}(?: title=[^\n]*)?\n(.*?)^```", GUIDES, flags=re.MULTILINE | re.DOTALL)


def titled_blocks(page: str) -> dict[str, str]:
    """Return the files that a page shows, by their names."""
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', page, flags=re.MULTILINE | re.DOTALL))


SHOWN = [
    shlex.split(line.partition(" > ")[0], comments=True)
    for block in blocks("sh")
    for line in block.splitlines()
    if re.match("hpsearch [a-z]", line)
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_shown(name: str) -> None:
    assert COMMANDS[name].help
    assert all(getattr(parameter, "help", None) for parameter in COMMANDS[name].params)
    assert any(words[1] == name for words in SHOWN)


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_every_shown_command_parses(words: list[str]) -> None:
    """Unknown options, missing arguments and values of a wrong type end in a usage error here."""
    COMMANDS[words[1]].make_context(words[1], words[2:])


@pytest.mark.parametrize("words", [words for words in SHOWN if words[1:] in QUICK], ids=" ".join)
def test_the_quick_ones_run(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    app(words[1:], standalone_mode=False)
    assert capsys.readouterr().out


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z]+)`", page.read_text(encoding="utf-8"))) <= targets


def test_the_python_names_exist() -> None:
    for block in (block for block in blocks("python") if "import hpsearch\n" in block):
        used = {
            node.attr
            for node in ast.walk(ast.parse(block))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        model = {*dir(hpsearch.TrainedModel), *hpsearch.TrainedModel.__dataclass_fields__}
        answers = {"history", *Answer.model_fields}
        results = {*dir(hpsearch.OpenedExperiment), *dir(hpsearch.ComparedRuns), *answers}
        place, report = Path(), hpsearch.Report
        of_report = vars(report(bool, checkpoint=place, folder=place, seed=0, split_seed=0, device="cpu", tests=True))
        asked = {*dir(hpsearch.AskTell), *dir(hpsearch.AskedTrial), *hpsearch.AskedTrial.__init__.__code__.co_names}
        assert used <= {*hpsearch.__all__, *results, *model, *of_report, *asked}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_exists(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    places = [page.parent / target for target in targets if "://" not in target]
    assert [str(place) for place in places if not place.exists() and place.resolve() not in GENERATED] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_named_file_exists(page: Path) -> None:
    named = re.findall(r"`((?:tests|hpsearch|spaces)/[\w/.]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def parts(folder: Path) -> set[str]:
    """Return what stands in a folder, without what git ignores and without empty folders, which git does not keep."""
    shown = {path for path in folder.iterdir() if path.name not in NOT_OURS and not path.name.endswith(".egg-info")}
    return {f"{path.name}/" if path.is_dir() else path.name for path in shown if path.is_file() or any(path.iterdir())}


def test_the_file_map_equals_the_tree() -> None:
    (shown,) = [block for block in blocks("text") if block.startswith("hpsearch/ ")]
    lines = [line.split(maxsplit=1)[0] for line in shown.splitlines() if not line.startswith("  ")]
    inner = [line.split(maxsplit=1)[0] for line in shown.splitlines() if line.startswith("  ")]
    assert sorted(inner) == sorted(parts(ROOT / "hpsearch"))
    assert sorted(lines) == sorted({name for name in parts(ROOT) if not name.startswith(".")} | {".ci/"})


def test_the_constraints_pin_the_direct_dependencies_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.split(r"[\[<>=!~;]", name)[0] for name in wanted} - {project["name"]}  # an extra may ask for another
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert sorted(pins) == sorted(names)
    assert [name for name, version in pins.items() if "+" in version] == []


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = page.partition("## Why each dependency is there")[2]
    reasons = {
        name for names in re.findall(r"^\| ([\w, -]+) \|", table, flags=re.MULTILINE) for name in names.split(", ")
    }
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert reasons - {"package"} == {line.partition("==")[0] for line in lines if "==" in line and line[0] != "#"}


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_editors_find_the_schema_of_a_space(space: Path) -> None:
    first, *rest = space.read_text(encoding="utf-8").splitlines()
    (family,) = [line.split()[1] for line in rest if line.startswith("family: ")]
    assert first == f"# yaml-language-server: $schema=schemas/{family}.json"


@pytest.mark.parametrize("name", family_names())
def test_the_committed_schema_is_current(name: str) -> None:
    """`make schemas` writes them."""
    committed = json.loads((ROOT / "spaces" / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
    assert committed == json_schema(load_interface(name, Path()), name)


def test_the_committed_schema_of_studies_is_current() -> None:
    committed = json.loads((ROOT / "spaces" / "schemas" / "study.json").read_text(encoding="utf-8"))
    assert committed == study_schema()
    for study in (ROOT / "studies").glob("*.yaml"):
        assert study.read_text().splitlines()[0] == "# yaml-language-server: $schema=../spaces/schemas/study.json"


def test_no_file_names_a_machine() -> None:
    foreign = re.compile(r"/(?:work|farm|root)/|/tmp/[a-z]+_|pypi\.org|download\.pytorch")
    shelves = [ROOT / name for name in ("hpsearch", "tests", "spaces", "docs", "examples", ".ci")]
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]  # a worktree's
    files += [
        path for shelf in shelves for path in shelf.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in files
        for match in foreign.finditer(path.read_text(encoding="utf-8", errors="replace"))
    }
    assert found == set()


def test_no_file_holds_both_sides_of_a_merge() -> None:
    pages = [
        *PAGES,
        *(ROOT / "hpsearch").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "spaces").rglob("*.yaml"),
    ]
    marks = re.compile(r"^(<{7}|>{7}) ", flags=re.MULTILINE)
    assert [page.name for page in pages if marks.search(page.read_text(encoding="utf-8"))] == []


def test_the_citation_names_the_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["authors"] == project["authors"]
