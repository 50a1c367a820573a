"""What the functions are given, and by which names their errors speak of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hpsearch
from hpsearch.api.arguments import as_arguments, find_experiment, naming_arguments
from hpsearch.cli.main import main
from hpsearch.errors import HpsearchError, SearchFailedError
from tests.toy_spaces import write_space

KNOWN = ("metric", "goal", "from_", "num_iter", "decimal", "set", "to")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("choose one with --metric; known: a, b", "choose one with metric=; known: a, b"),
        ("Say --goal=maximize or --goal=minimize", "Say goal='maximize' or goal='minimize'"),
        ("with --from the experiment", "with from_= the experiment"),
        ("--from=runs/a b: no", "from_='runs/a' b: no"),
        ("--num-iter is too small", "num_iter= is too small"),
        ('say --decimal="," or --decimal="."', "say decimal=',' or decimal='.'"),
        ("--set a.b=3: unknown\n--set c=1: unknown", "set: a.b=3: unknown\nset: c=1: unknown"),
        ("`hpsearch sync x --to wandb` catches up", "`hpsearch sync x --to wandb` catches up"),
        ("--name is no argument of it", "--name is no argument of it"),
        ("a--goal, --goals and --goal-x", "a--goal, --goals and --goal-x"),
    ],
)
def test_an_option_in_a_message_becomes_an_argument(message: str, expected: str) -> None:
    assert as_arguments(message, KNOWN) == expected


def test_what_a_program_has_said_is_left_as_it_is() -> None:
    def search(*, seed: int) -> None:
        raise SearchFailedError("unrecognized arguments: --seed")

    with pytest.raises(SearchFailedError, match="--seed"):
        naming_arguments(search)(seed=1)


def mistaken(folder: Path) -> dict[str, tuple[Callable[[], Any], list[str], str, str]]:
    """Return for each mistake the call, the command, and what each of them says."""
    space, table = str(write_space(folder)), str(folder / "t.csv")
    Path(table).write_text("method,seed,quality\na,0,1\nb,0,2\n", encoding="utf-8")
    return {
        "goal": (
            lambda: hpsearch.compare(table),
            ["compare", table],
            "Say goal='maximize' or goal='minimize'",
            "Say --goal=maximize or --goal=minimize",
        ),
        "arm": (
            lambda: hpsearch.train(space, params="best", arm="a"),
            ["train", space, "--params", "best", "--arm", "a"],
            "arm='a' needs from_= with the study",
            "--arm=a needs --from with the study",
        ),
        "set": (
            lambda: hpsearch.run(space, set={"train.epoch": 3}),
            ["run", space, "--set", "train.epoch=3"],
            "set: train.epoch=3: unknown setting",
            "--set train.epoch=3: unknown setting",
        ),
    }


@pytest.mark.parametrize("name", ["goal", "arm", "set"])
def test_a_function_names_arguments_where_its_command_names_options(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call, words, argument, option = mistaken(tmp_path)[name]
    with pytest.raises(HpsearchError) as refused:
        call()
    assert argument in str(refused.value)
    monkeypatch.setattr("sys.argv", ["hpsearch", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert option in capsys.readouterr().err


FRAME = pd.DataFrame({"experiment": ["a", "b"], "seed": [0, 0], "accuracy": [0.1, 0.2]})


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        (FRAME, "paths is a DataFrame; write it to a file and compare that: frame.to_parquet"),
        (FRAME["accuracy"], "paths is a Series; write it"),
        ([FRAME], "paths holds a DataFrame; expected a path or several paths"),
        (3, "paths=3: expected a path or several paths"),
        (None, "paths=None: expected"),
        ({"a": "runs"}, "paths={'a': 'runs'}: expected"),
        ([], "there is nothing to compare"),
    ],
)
def test_what_is_no_path_is_refused_in_a_sentence(paths: Any, sentence: str) -> None:
    with pytest.raises(HpsearchError, match=sentence):
        hpsearch.compare(paths)


def test_a_folder_of_data_does_not_hide_the_experiment_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "experiments/photos", "experiments/films"):
        (tmp_path / name).mkdir(parents=True)
    assert find_experiment("photos") == Path("photos")
    (tmp_path / "experiments" / "photos" / "resolved.json").touch()
    assert find_experiment("photos") == Path("experiments/photos")
    assert find_experiment("films") == Path("experiments/films")
    (tmp_path / "photos" / "resolved.json").touch()
    assert find_experiment("photos") == Path("photos")
