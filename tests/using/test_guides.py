"""The guides' evaluate, generate and compare_experiments: each command that guides.md names for them runs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.calling import Call
from tests.small_winners import write_films, write_songs

GUIDES = (Path(__file__).parents[2] / "docs" / "reference" / "guides.md").read_text(encoding="utf-8")
LINES = {"002.18": "texts", "004.3": "characters", "004.5": "characters", "004.24": "characters"}
"""The lines, and whose winner is used."""


def commands_of(number: str) -> list[str]:
    (row,) = re.findall(rf"^\| {re.escape(number)} \|.*$", GUIDES, flags=re.MULTILINE)
    return [each for each in re.findall(r"`(hpsearch [^`]+)`", row) if "EXPERIMENT" in each]


@pytest.mark.parametrize(
    ("command", "name"),
    [pytest.param(command, name, id=command) for number, name in LINES.items() for command in commands_of(number)],
)
def test_a_command_of_the_guides_runs(
    call: Call, command: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    done = request.getfixturevalue(name)
    for file in done.parents[1].iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    shutil.copytree(done, tmp_path / "experiments" / "mine")
    data = "new.csv" if name == "texts" else "new.txt"
    if name == "texts":
        write_films(tmp_path / data, count=40, seed=5)
    else:
        write_songs(tmp_path / data, count=40, start=50)
    words = shlex.split(command.replace("EXPERIMENT", "experiments/mine").replace("FILE", data))[1:]
    if words[0] == "confirm":
        words += ["--in-process", "--no-mlflow"]
    said = call(*words)
    assert said.status == 0, said.err
    assert said.out


def test_each_of_them_is_there() -> None:
    verbs = {number: {shlex.split(each)[1] for each in commands_of(number)} for number in LINES}
    assert verbs == {
        "002.18": {"evaluate", "confirm", "predict"},
        "004.3": {"evaluate", "confirm"},
        "004.5": {"show", "compare"},
        "004.24": {"predict", "evaluate"},
    }
