"""`hpsearch init` writes a space that `hpsearch check` takes, and whose command the program understands."""

import json
import random
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from hpsearch.api.draft import init
from hpsearch.cli import app
from hpsearch.drafting.drafts import draft_family
from hpsearch.errors import HpsearchError
from hpsearch.families.command.printed import read_line
from hpsearch.families.command.settings import CommandConfig, arguments, settings_text
from hpsearch.families.loading import load_family
from hpsearch.running.loading import load_space

ARGPARSE = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--data", default="data", help="where the images are")
commands = parser.add_subparsers(dest="what", required=True)
train = commands.add_parser("train")
train.add_argument("--lr", "-l", type=float, default=1e-3, help="the step size")
train.add_argument("-b", "--batch-size", type=int, default=64)
train.add_argument("-w", type=int, default=128, dest="width")
train.add_argument("--optimizer", choices=["sgd", "adam"], default="adam")
train.add_argument("--augment", action="store_true")
train.add_argument("--bn", action=argparse.BooleanOptionalAction, default=True)
train.add_argument("--epochs", type=int, default=10)
train.add_argument("--seed", type=int, default=0)
train.add_argument("--device", default="cpu")
train.add_argument("--resume")
train.add_argument("--out", default="runs")
commands.add_parser("evaluate").add_argument("model")
print(json.dumps(vars(parser.parse_args())))
"""
TYPER = """
import json
from enum import Enum
import typer
app = typer.Typer()
class Act(str, Enum):
    relu = "relu"
    gelu = "gelu"
@app.command()
def main(lr: float = typer.Option(0.01, help="the step size"), width: int = 32, act: Act = Act.relu, bn: bool = True,
         fast: bool = typer.Option(False, "--fast"), epochs: int = 3, seed: int = 0, device: str = "cpu"):
    print(json.dumps({**locals(), "act": act.value}))
app()
"""
CLICK = """
import json, click
@click.command()
@click.argument("data")
@click.option("--lr", type=click.FloatRange(0.0, 0.3), default=0.1)
@click.option("--width", default=32, help="hidden units")
@click.option("--act", type=click.Choice(["relu", "gelu"]), default="relu")
@click.option("--mixup/--no-mixup", default=False)
@click.option("--fast", is_flag=True)
@click.option("--random-seed", default=1)
@click.version_option("1.0")
def main(**given):
    print(json.dumps(given))
main()
"""
HYDRA = """
import json, hydra
from omegaconf import OmegaConf
@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    print(json.dumps(OmegaConf.to_container(cfg)))
main()
"""
HYDRA_FILE = "model: {width: 64, dropout: 0.1, act: relu}\noptim: {lr: 1e-3, nesterov: false}\nseed: 0\nepochs: 5\n"
YAML = """
import argparse, json, yaml
parser = argparse.ArgumentParser()
parser.add_argument("--config", default="config.yaml")
parser.add_argument("--seed", type=int, default=0)
given = parser.parse_args()
print(json.dumps({**yaml.safe_load(open(given.config)), "seed": given.seed}))
"""
YAML_FILE = "train: {lr: 1.0e-6, epochs: 3}\nmodel: {width: 32, depth: 4}\ndevice: cpu\n"
PROGRAMS = {"argparse": ARGPARSE, "typer": TYPER, "click": CLICK, "Hydra": HYDRA, "YAML": YAML}
FILES = {"Hydra": ("conf/config.yaml", HYDRA_FILE), "YAML": ("config.yaml", YAML_FILE)}
RANGES = {
    "argparse": {"train.lr", "train.batch_size", "model.width", "train.optimizer", "model.augment", "model.bn"},
    "typer": {"train.lr", "model.width", "model.act", "model.bn", "model.fast"},
    "click": {"train.lr", "model.width", "model.act", "model.mixup", "model.fast"},
    "Hydra": {"model.width", "model.dropout", "optim.lr", "optim.nesterov"},
    "YAML": {"train.lr", "model.width", "model.depth"},
}
GIVEN = {"trial_dir": "run", "seed": "77", "checkpoint": "last.pt", "device": "cuda", "config": "given.json"}


def written(folder: Path, dialect: str) -> Path:
    """Write a program of a dialect, with the file that it reads."""
    if dialect in FILES:
        name, text = FILES[dialect]
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    program = folder / "train.py"
    program.write_text(PROGRAMS[dialect])
    return program


def flat(values: dict, above: str = "") -> dict:
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


@pytest.mark.parametrize("dialect", PROGRAMS)
def test_the_program_gets_the_values_of_a_trial(dialect: str, tmp_path: Path) -> None:
    program = written(tmp_path, dialect)
    drafted = init(str(program))
    space = load_space(drafted.path)
    assert {parameter.path for parameter in space.parameters} == RANGES[dialect]
    assert drafted.ranges == len(RANGES[dialect])
    params = space.sample_feasible(random.Random(4))
    config = space.config(params)
    assert isinstance(config, CommandConfig)
    (tmp_path / "given.json").write_text(settings_text(config.model_extra or {}))
    words = arguments(config, GIVEN, resuming=True)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    got = {name.rpartition(".")[2]: value for name, value in flat(json.loads(done.stdout)).items()}
    for path, value in params.items():
        name = path.rpartition(".")[2]
        expected = not value.startswith("--no-") if isinstance(value, str) and value.startswith("--") else value
        assert got[name] == (False if value == "" else expected), path
    assert 77 in (got.get("seed"), got.get("random_seed"))
    if dialect == "argparse":
        assert (got["device"], got["resume"], got["out"], got["what"]) == ("cuda", "last.pt", "run", "train")


@pytest.mark.parametrize("dialect", PROGRAMS)
def test_the_first_trial_has_the_programs_own_values(dialect: str, tmp_path: Path) -> None:
    program = written(tmp_path, dialect)
    space = load_space(init(str(program)).path)
    (start,) = space.start
    assert set(start) == RANGES[dialect]
    own = {"argparse": 0.001, "typer": 0.01, "click": 0.1, "Hydra": 1e-3, "YAML": 1e-6}[dialect]
    assert next(value for path, value in start.items() if path.endswith(".lr")) == own


QUIRKS = {
    "types": """
p.add_argument("--lr", type=float, default="1e-3")
p.add_argument("--width", type=int, default="64")
p.add_argument("--bn", type=bool, default=True)
p.add_argument("--milestones", type=int, action="append", default=[30, 60])
p.add_argument("--big", dest="width", action="store_const", const=512)
p.add_argument("--fp16", action="store_true")
p.add_argument("--l1", type=float, default=1e-4)
""",
    "pairs": """
p.add_argument("--lr", type=float, default=0.001)
p.add_argument("--bn", action="store_true")
p.add_argument("--no-bn", dest="bn", action="store_false")
p.set_defaults(bn=True)
p.add_argument("--no_aug", dest="aug", action="store_false")
p.add_argument("--aug", action="store_true")
p.add_argument("--always", action="store_true", default=True)
""",
    "two parsers": """
first, p = argparse.ArgumentParser(add_help=False), p
first.add_argument("-c", "--config", default="")
p.add_argument("--lr", type=float, default=0.001)
rest = first.parse_known_args()[1]
""",
}
QUIRKS["subcommand"] = """
p.add_argument("--width", type=int, default=64)
p.add_argument("--lr", type=float, default=0.1)
sub = p.add_subparsers(dest="what", required=True).add_parser("train")
sub.add_argument("--lr", type=float, default=0.001)
sub.add_argument("--drop", type=float, default=float("nan"))
"""
QUIRKY = {
    "subcommand": {"model.width": 64, "train.lr": 0.001},
    "types": {"train.lr": 0.001, "model.width": 64, "model.bn": "true", "model.l1": 0.0001},
    "pairs": {"train.lr": 0.001, "model.bn": "--bn", "model.aug": "--aug"},
    "two parsers": {"train.lr": 0.001},
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_dialects_of_argparse(quirk: str, tmp_path: Path) -> None:
    (tmp_path / "options").mkdir()
    declared = f"import argparse\np = argparse.ArgumentParser()\nrest = None\n{QUIRKS[quirk]}"
    (tmp_path / "options" / "all.py").write_text(declared)
    program = tmp_path / "train.py"
    program.write_text("import json\nfrom options import all\nprint(json.dumps(vars(all.p.parse_args(all.rest))))\n")
    if quirk == "two parsers":
        program.write_text(declared + "import json\nprint(json.dumps(vars(p.parse_args(rest))))\n")
    space = load_space(init(str(program)).path)
    assert space.start == (QUIRKY[quirk],)
    bare = [sys.executable, program, *(["train"] if quirk == "subcommand" else [])]
    own = subprocess.run(bare, capture_output=True, text=True, check=True).stdout
    words = arguments(space.config(space.start[0]), {**GIVEN, "seed": "1"}, resuming=False)
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == json.loads(own)
    params = space.sample_feasible(random.Random(1))
    assert params != space.start[0]
    words = arguments(space.config(params), GIVEN, resuming=False)
    other = json.loads(subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    signs = {"true": True, "": False, "--bn": True, "--no-bn": False, "--aug": True, "--no_aug": False}
    for path, value in params.items():
        assert other[path.rpartition(".")[2]] == (signs[value] if isinstance(value, str) else value), path


def test_what_hydra_misses_has_to_be_written(tmp_path: Path) -> None:
    program = written(tmp_path, "Hydra")
    with (tmp_path / "conf" / "config.yaml").open("a") as file:
        file.write("\nfolder: ???\n")
    drafted = init(str(program))
    assert any("folder has to be given" in note for note in drafted.notes)


LOGS = {
    "words": (
        "loading data from data/\n"
        + "".join(f"Epoch {n}/20 - train loss: 0.5{n} - val acc: 0.8{n}\n" for n in range(3)),
        ("val/acc", "maximize"),
    ),
    "two forms": (
        "".join(
            f"2024-01-0{n} 12:00:00,123 INFO epoch {n} {split} | loss 0.{n} | acc 0.3\n"
            for n in (1, 2, 3)
            for split in ("train", "valid")
        ),
        ("val/loss", "minimize"),
    ),
    "nanoGPT": (
        "".join(f"step {n}: train loss 4.2, val loss 4.{n}\niter {n}: loss 4.1, time {n}.5ms\n" for n in (0, 250)),
        ("val/loss", "minimize"),
    ),
    "JSON": ('{"epoch": 1, "eval_accuracy": 0.3, "lr": 0.1}\n', ("eval_accuracy", "maximize")),
    "Trainer": ("{'loss': 0.5, 'epoch': 1.0}\n{'eval_loss': 0.4, 'epoch': 1.0}\n", ("eval_loss", "minimize")),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_tells_objective_and_pattern(name: str, tmp_path: Path) -> None:
    text, (metric, goal) = LOGS[name]
    program, log = written(tmp_path, "argparse"), tmp_path / "train.log"
    log.write_text(text)
    drafted = init(str(program), log=log)
    assert drafted.notes == ()
    space = load_space(drafted.path)
    assert (space.objective.metric, str(space.objective.goal)) == (metric, goal)
    config = space.config(space.example)
    assert isinstance(config, CommandConfig)
    told = [found for line in text.splitlines() if (found := read_line(line, config.metrics)) is not None]
    assert any(metric in each.metrics and each.step is not None for each in told)


def test_a_test_score_that_is_printed_once_is_read(tmp_path: Path) -> None:
    program, log = written(tmp_path, "argparse"), tmp_path / "train.log"
    log.write_text("epoch 1: val_loss=0.4\nepoch 2: val_loss=0.3\ntest_loss=0.35\n")
    space = load_space(init(str(program), log=log).path)
    config = space.config(space.example)
    assert isinstance(config, CommandConfig)
    told = read_line("test_loss=0.35", config.metrics)
    assert told is not None
    assert told.metrics == {"test/loss": 0.35}


def test_a_log_that_tells_nothing_is_shown(tmp_path: Path) -> None:
    program, log = written(tmp_path, "argparse"), tmp_path / "train.log"
    log.write_text("loading\nall is well\n")
    notes = " ".join(init(str(program), log=log).notes)
    assert "objective and metrics are assumed" in notes
    assert "no line of" in notes
    assert "all is well" in notes


@pytest.mark.parametrize("family", ["char_lm", "deepsif", "decode", "relative_vit", "text_classifier"])
def test_a_family(family: str, tmp_path: Path) -> None:
    """Those of hpsearch come with a space, which is copied; of any other one is drafted from its settings."""
    assert init(family, file=tmp_path / "committed.yaml").ranges > 2
    drafted = tmp_path / "drafted.yaml"
    drafted.write_text(draft_family(load_family(family, tmp_path), family, typed="hpsearch init").text)
    found = {each.path for each in load_space(drafted).parameters}
    assert len(found) > 5
    assert {"train.learning_rate", "train.batch_size"} <= found


def test_the_command_says_what_to_type_next_and_overwrites_nothing(tmp_path: Path) -> None:
    program = written(tmp_path, "argparse")
    file = tmp_path / "train.yaml"
    result = CliRunner().invoke(app, ["init", str(program)])
    assert result.exit_code == 0, result.output
    for line in (f"hpsearch check {file}", f"hpsearch run {file} --quick", f"hpsearch run {file}"):
        assert f"  {line}\n" in result.output
    before = file.read_text()
    with pytest.raises(HpsearchError, match=r"train.yaml is there already, and is not overwritten"):
        init(str(program))
    assert file.read_text() == before


def test_a_space_elsewhere_runs_the_program_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "spaces").mkdir()
    drafted = init(str(written(tmp_path / "code", "typer")), file=tmp_path / "spaces" / "mine.yaml")
    config = load_space(drafted.path).config(load_space(drafted.path).example)
    assert config.directory == "../code"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("print('training')", "declares no options with argparse, click, typer or Hydra"),
        ("import argparse\ndef main(): argparse.ArgumentParser().parse_args()", "without reading its command line"),
        ("import argparse\nimport nowhere_at_all", "ended before it read its command line .*nowhere_at_all"),
        (
            """
            import argparse
            parser = argparse.ArgumentParser()
            commands = parser.add_subparsers()
            commands.add_parser("big")
            commands.add_parser("small")
            parser.parse_args()
            """,
            "has the subcommands big, small: say which",
        ),
    ],
)
def test_what_tells_nothing_is_said(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(dedent(text))
    with pytest.raises(HpsearchError, match=message):
        init(str(tmp_path / "train.py"))
    assert not (tmp_path / "train.yaml").exists()


FUNCTION = """
from typing import Any, Literal

def train(lr: float, width: int = 64, act: Literal["relu", "gelu"] = "relu", *, dropout=0.1, data="x", report: Any):
    report(1, {"val/loss": lr})

def anything(config, report):
    report(1, {"val/loss": config["lr"]})
"""


def test_a_function_by_its_signature(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTION)
    drafted = init(f"{tmp_path}/mine.py:train")
    space = load_space(drafted.path)
    assert space.family == "./mine.py:train"
    assert {each.path for each in space.parameters} == {"lr", "width", "act", "dropout"}
    assert "# ASSUMED, it has no default: ten times smaller to ten times larger (0.001)" in drafted.path.read_text()
    with pytest.raises(HpsearchError, match=r"the signature of ./mine.py:anything does not name its settings"):
        init(f"{tmp_path}/mine.py:anything", file=tmp_path / "other.yaml")
