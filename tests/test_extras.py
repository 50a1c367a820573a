"""Whoever lacks an extra works on with the base, and gets one sentence with the command that installs it."""

import importlib.util
import json
import re
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from hpsearch.errors import MissingExtraError
from hpsearch.experiment.by_example import read_by_example, unread, write_by_example
from hpsearch.extras import MODULES, Extra, explained, install, lack, missing, require
from hpsearch.families import Family
from hpsearch.families.decode.family import Decode
from hpsearch.families.deepsif.family import DeepSIF
from hpsearch.families.text_classifier.family import TextClassification
from hpsearch.running import runner
from hpsearch.running.loading import load_space
from hpsearch.tracking.shelf import mirrors_of
from tests.bare import ROOT, bare_environment, base_packages, canonical, project, run, size_of

OPTIONAL: dict[str, list[str]] = project()["optional-dependencies"]


def packages_of(extra: str) -> set[str]:
    """Return the packages of an extra and of those that it includes."""
    found: set[str] = set()
    for requirement in map(Requirement, OPTIONAL[extra]):
        inner = [packages_of(each) for each in requirement.extras] if requirement.name == "hpsearch" else []
        found |= set().union(*inner) if inner else {canonical(requirement.name)}
    return found


def test_the_base_is_small() -> None:
    packages = base_packages()
    assert len(packages) < 60
    assert size_of(packages) < 500e6
    assert packages.keys().isdisjoint(packages_of("all") - {"scikit-learn"})
    assert {"torch", "mlflow", "ray", "mne", "scikit-learn"}.isdisjoint(packages)


def test_every_extra_is_known_with_its_modules() -> None:
    assert set(OPTIONAL) == {*Extra, "all", "dev"}
    brought = packages_distributions()
    for extra in Extra:
        packages = {canonical(name) for module in MODULES[extra] for name in brought[module]}
        assert packages & packages_of("all") == packages_of(extra), extra
    assert packages_of("all") == set().union(*(packages_of(extra) for extra in Extra))
    assert packages_of("all") < packages_of("dev")


def test_here_nothing_is_missing() -> None:
    assert [extra for extra in Extra if missing(extra)] == []
    for extra in Extra:
        require("this", extra)


def test_an_import_that_nobody_foresaw() -> None:
    assert explained(ModuleNotFoundError("No module named 'torch'", name="torch")) is None  # it is there: broken
    assert explained(ModuleNotFoundError("No module named 'mine'", name="mine")) is None
    assert explained(ImportError("cannot import")) is None


@pytest.mark.parametrize("name", ["torch", "torch.nn"])
def test_a_module_of_an_extra_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = explained(ModuleNotFoundError(name=name), "a command")
    assert str(found) == 'a command needs the package torch, which is not installed: pip install "hpsearch[torch]"'
    small = explained(ModuleNotFoundError(name="pyarrow"), "a table")
    assert str(small).endswith('pip install "hpsearch[parquet]"')  # other extras bring it, too, and 900 MB more
    assert lack("a movie", Extra.MOVIES).endswith(install(Extra.MOVIES))
    with pytest.raises(MissingExtraError, match=r'hpsearch\[s3\]"$'):
        require("a bucket", Extra.S3)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets one module look as if it were not installed."""
    find = importlib.util.find_spec

    def leave_out(module: str) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == module else find(name))

    return leave_out


def test_nothing_is_trained_without_what_trials_need(without: Callable[[str], None], tmp_path: Path) -> None:
    """Also where the space was read before: by `confirm`, for instance."""
    space = load_space(ROOT / "spaces" / "char_lm.yaml")
    without("safetensors")
    with pytest.raises(
        MissingExtraError, match=r'^char_lm: the family needs the package safetensors.*hpsearch.torch."'
    ):
        runner.run(space, folder=tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_scores_by_example_that_cannot_be_read_are_said(without: Callable[[str], None], tmp_path: Path) -> None:
    folders = [tmp_path / "with", tmp_path / "empty"]
    for folder in folders:
        folder.mkdir()
    write_by_example(folders[0], {"test/accuracy": [1.0, 0.0]}, None)
    assert read_by_example(folders[0]) is not None
    assert unread(folders) == []
    without("pyarrow")
    assert read_by_example(folders[0]) is None
    (sentence,) = unread(folders)
    assert sentence.startswith("the scores by example are left out")
    assert unread(folders[1:]) == []


TOKENS = {"kind": "pretrained", "path": "bert"}
TRANSLATED = {"techniques": ["back_translation"], "back_translation": {"there": "a", "back": "b"}}


@pytest.mark.parametrize(
    ("family", "module", "data", "setting"),
    [
        (DeepSIF, "mne", {}, "family"),
        (DeepSIF, "torch", {}, "family"),
        (TextClassification, "transformers", {}, None),
        (TextClassification, "transformers", {"tokenizer": TOKENS}, "data.tokenizer"),
        (TextClassification, "transformers", {"augmentation": TRANSLATED}, "data.augmentation"),
        (TextClassification, "torch", {"tokenizer": TOKENS}, "family"),
        (Decode, "tifffile", {}, None),
        (Decode, "tifffile", {"movie": {"path": "movie.tif", "emitters": "table.csv"}}, "data.movie"),
    ],
)
def test_what_a_configuration_lacks(
    without: Callable[[str], None], family: type[Family[Any]], module: str, data: dict[str, Any], setting: str | None
) -> None:
    config = family.Config.model_validate({"data": data})
    assert family().environment_objections(config) == {}
    without(module)
    found = family().environment_objections(config)
    assert list(found) == ([] if setting is None else [setting])
    assert all(f"the package {module}," in sentence for sentence in found.values())


DRIVER = """
import contextlib, io, json, shlex, sys
from hpsearch.cli.main import main

told = {}
for words in json.loads(sys.argv[1]):
    sys.argv = ["hpsearch", *shlex.split(words)]
    code, text = 0, io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            main()
        except SystemExit as end:
            code = end.code
    told[words] = [code, text.getvalue()]
print(json.dumps(told))
"""
FUNCTION = """
def train(lr: float, *, report):
    for epoch in (1, 2):
        report(epoch, {"val/loss": (lr - 0.01) ** 2 / epoch})
    if report.tests:
        report(None, {"test/loss": lr})
"""
SPACE = """
family: ./mine.py:train
objective: {metric: val/loss, goal: minimize}
search: {trials: 2, sampler: random, workers: 1}
lr: {log: [1e-4, 1e-1]}
confirm: {top: 1, seeds: 2}
"""
OWN = "import torch\n"
PROGRAM = """
family: command
objective: {metric: val/loss, goal: minimize}
search: {trials: 2, workers: 1}
command: python train.py {lr}
metrics: {pattern: 'loss=(?P<val__loss>\\S+)'}
lr: {log: [1e-4, 1e-1]}
"""
WORKS = (
    "--help",
    "families",
    "schema char_lm",
    "check mine.yaml program.yaml",
    "init mine.py:train --file drafted.yaml",
    "run mine.yaml --in-process",
    "run program.yaml --in-process --quiet",
    "show mine",
    "watch mine --once",
    "compare experiments/mine experiments/program --format html,md,csv --out report --metric val/loss",
    "export mine trials.csv --to csv",
    "doctor experiments",
)
REFUSED = {
    "check {spaces}/char_lm.yaml": (Extra.TORCH, "char_lm.yaml:"),
    "check {spaces}/deepsif.yaml": (Extra.EEG, "deepsif.yaml:"),
    "check {studies}/relative_vit.yaml": (Extra.TORCH, "relative_vit.yaml:"),
    "run {spaces}/decode.yaml --quick": (Extra.TORCH, "decode.yaml:"),
    "run {spaces}/text_classifier.yaml --quick": (Extra.TORCH, "text_classifier.yaml:"),
    "run own.yaml": (Extra.TORCH, "own.py"),
    "run mine.yaml --name other --engine ray": (Extra.RAY, "search.engine"),
    "check mine.yaml --set search.sampler=gp": (Extra.TORCH, "search.sampler"),
    "run mine.yaml --name other --track tensorboard": (Extra.TENSORBOARD, "tensorboard"),
    "run mine.yaml --name other --track mlflow,wandb": (Extra.MLFLOW, "mlflow"),
    "run mine.yaml --name other --tracking-uri sqlite:///other.db": (Extra.MLFLOW, "mlflow"),
    "ui --mlflow --port 0": (Extra.MLFLOW, "MLflow"),
    "sync mine": (Extra.MLFLOW, "mlflow"),
    "sync mine --to wandb": (Extra.WANDB, "wandb"),
    "overfit {spaces}/char_lm.yaml": (Extra.TORCH, "command"),
    "predict model text.txt": (Extra.TORCH, "command"),
    "export mine model --to model": (Extra.TORCH, "command"),
    "export mine trials.parquet --to parquet": (Extra.PARQUET, "Parquet"),
    "compare table.parquet": (Extra.PARQUET, "table.parquet"),
    "compare board": (Extra.TENSORBOARD, "board"),
    "compare http://127.0.0.1:9": (Extra.MLFLOW, "127.0.0.1"),
}
"""What is asked for, the extra that it needs, and a word of the sentence that says what needs it."""


def filled(words: str) -> str:
    return words.format(spaces=ROOT / "spaces", studies=ROOT / "studies")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[int, str]]]:
    """The folder in which a base alone was asked for all of that, in one process, and what it said."""
    folder = tmp_path_factory.mktemp("bare")
    python = bare_environment(folder / "env")
    for name, text in {
        "mine.py": FUNCTION,
        "mine.yaml": SPACE,
        "own.py": OWN,
        "own.yaml": SPACE.replace("mine.py:train", "own.py:Own"),
        "program.yaml": PROGRAM,
        "train.py": "import sys\nprint(f'loss={float(sys.argv[1])}')\n",
        "table.parquet": "PAR1",
        "driver.py": DRIVER,
        "board/events.out.tfevents.1.here": "",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    asked = [*WORKS, *map(filled, REFUSED)]
    done = run(python, "driver.py", json.dumps(asked), folder=folder, path=str(ROOT))
    assert done.returncode == 0, done.stderr
    return folder, {
        words: (code or 0, text) for words, (code, text) in json.loads(done.stdout.splitlines()[-1]).items()
    }


@pytest.mark.parametrize("words", WORKS)
def test_the_base_does_it(bare: tuple[Path, dict[str, tuple[int, str]]], words: str) -> None:
    code, text = bare[1][words]
    assert code == 0, text
    assert "No module" not in text


def test_without_mlflow_one_line_says_so(bare: tuple[Path, dict[str, tuple[int, str]]]) -> None:
    folder, told = bare
    (line,) = [line for line in told["run mine.yaml --in-process"][1].splitlines() if "MLflow" in line]
    assert line.startswith("MLflow is not installed: the experiment's folder has everything, and `hpsearch sync` ")
    assert line.endswith('(pip install "hpsearch[mlflow]")')
    assert "MLflow" not in told["run program.yaml --in-process --quiet"][1]
    assert (folder / "report" / "report.html").is_file()
    assert not (folder / "experiments" / "mlflow.db").exists()


@pytest.mark.parametrize("words", REFUSED)
def test_who_lacks_an_extra_gets_one_sentence(bare: tuple[Path, dict[str, tuple[int, str]]], words: str) -> None:
    folder, told = bare
    (code, text), (extra, named) = told[filled(words)], REFUSED[words]
    assert code == 2, text
    (sentence,) = [line for line in text.splitlines() if "pip install" in line]
    assert sentence.endswith(f'which is not installed: pip install "hpsearch[{extra}]"')
    assert named in sentence or named == "command"
    assert "Traceback" not in text
    assert {path.name for path in (folder / "experiments").iterdir()} == {"mine", "program"}


def test_sync_catches_up_where_mlflow_is(bare: tuple[Path, dict[str, tuple[int, str]]]) -> None:
    folder, told = bare
    assert told["show mine"][0] == 0
    for mirror in mirrors_of("mlflow", folder / "experiments" / "mine"):
        mirror.catch_up(final=True)
        mirror.close()
    state = json.loads((folder / "experiments" / "mine" / "tracking.json").read_text(encoding="utf-8"))
    assert sorted(re.sub(r"\d+", "N", path) for path in state["runs"]) == ["confirm/N/seed-N"] * 2 + ["trials/N"] * 2


def test_python_says_the_same(bare: tuple[Path, dict[str, tuple[int, str]]]) -> None:
    folder, _ = bare
    program = (
        "import hpsearch, hpsearch.web.app\n"
        "print(len(hpsearch.open('experiments/mine').trials))\n"
        "try: hpsearch.Task\n"
        "except hpsearch.HpsearchError as error: print(error)\n"
        "try: hpsearch.predict('experiments/mine', 'x')\n"
        "except hpsearch.HpsearchError as error: print(error)\n"
    )
    done = run(folder / "env" / "bin" / "python", "-c", program, folder=folder, path=str(ROOT))
    needs = 'needs the package torch, which is not installed: pip install "hpsearch[torch]"'
    assert done.stdout.splitlines() == ["2", f"hpsearch.Task {needs}", f"hpsearch.predict {needs}"], done.stderr


def test_the_page_names_every_extra() -> None:
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == set(OPTIONAL)
