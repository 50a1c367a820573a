"""What each tool of the MCP server does, what it refuses, and that it can do nothing that it was not started for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch.cli.agents import mcp
from hpsearch.errors import HpsearchError
from hpsearch.families.loading import family_names
from hpsearch.trust import NamedCode, remember
from tests.agents.calling import Call, ToolRefusedError, calling
from tests.toy_family import ToyConfig
from tests.toy_spaces import write_space

TOY = Path(__file__).parents[1] / "toy_family.py"
PROGRAM = """\
family: command
command: python train.py {lr}
objective: {metric: val/loss, goal: minimize}
search: {sampler: random, trials: 4}
confirm: {top: 2, seeds: 3}
lr: {choice: [0.1, 0.2, 0.3]}
quick: {search.trials: 2}
"""
RANGES = {"lr": {"log": [1e-4, 1e-1]}, "width": [8, 16]}
ASKED: dict[str, Any] = {"space": RANGES, "metric": "val/loss", "goal": "minimize", "trials": 3, "pruner": "none"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the space of a program."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)  # which the server changes; this brings it back
    home = tmp_path / "home"
    home.mkdir()
    (home / "mine.yaml").write_text(PROGRAM, encoding="utf-8")
    (home / "train.py").write_text("print('{\"val/loss\": 1}')", encoding="utf-8")
    return home


@pytest.fixture
def call(folder: Path) -> Iterator[Call]:
    with calling(folder) as called:
        yield called


def test_families_and_the_sections_of_their_spaces(call: Call) -> None:
    found = {each["name"]: each["metrics"] for each in call("families")["families"]}
    assert [*found] == family_names()
    assert found["char_lm"]["val/accuracy"] == "maximize"
    shown = call("schema", family="char_lm")
    assert {"objective", "search", "confirm", "data", "model", "train"} <= {*shown["sections"]}
    assert shown["example"].startswith("# yaml-language-server")
    section = call("schema", family="char_lm", section="train")
    assert "learning_rate" in json.dumps(section["schema"])
    with pytest.raises(ToolRefusedError, match="unknown section 'trian', did you mean 'train'"):
        call("schema", family="char_lm", section="trian")


def test_a_family_of_ones_own_lies_in_the_folder(call: Call, folder: Path) -> None:
    (folder / "own.py").write_text(TOY.read_text(encoding="utf-8"), encoding="utf-8")
    assert {*call("schema", family="own.py:Toy")["sections"]} > {*ToyConfig.model_fields}


def test_check_tells_every_mistake_with_its_place(call: Call, folder: Path) -> None:
    assert call("check", space="mine.yaml")["files"][0]["is"] == "1 range, 3 configurations"
    assert call("check", space="char_lm")["fine"] is True
    (folder / "mine.yaml").write_text(PROGRAM.replace("trials: 4", "trails: 4"), encoding="utf-8")
    found = call("check", space="mine.yaml")
    assert found["fine"] is False
    assert found["mistakes"][0]["line"] == 4


def test_a_plan_says_what_a_search_costs_and_changes_nothing(call: Call, folder: Path) -> None:
    plan = call("plan_search", space="mine.yaml", changes={"search.workers": 2})
    assert plan["trials"] == plan["trainings_left_at_most"] - plan["confirmation_trainings"] == 3  # of the space
    assert plan["confirmation_trainings"] == 6
    assert plan["experiment"] == "mine"
    assert plan["state"] == "new"
    assert "--set=search.workers=2" in plan["command"]
    quick = call("plan_search", space="char_lm", quick=True, confirm=False)
    assert quick["epochs_each_at_most"] == 2
    assert quick["confirmation_trainings"] == 0
    assert not (folder / "experiments").exists()


def test_nothing_starts_without_the_token_of_a_plan(call: Call, folder: Path) -> None:
    with pytest.raises(ToolRefusedError, match="no plan gave out the token 'guess'"):
        call("start", token="guess")  # noqa: S106 -- no password
    for file in ("mine.yaml", "train.py"):
        token = call("plan_search", space="mine.yaml")["token"]
        with (folder / file).open("a", encoding="utf-8") as changed:
            changed.write("# another one\n")
        with pytest.raises(ToolRefusedError, match="what was planned has changed since: plan again"):
            call("start", token=token)
        with pytest.raises(ToolRefusedError, match="no plan gave out the token"):
            call("start", token=token)
    assert not (folder / "experiments").exists()


def test_it_watches_any_experiment_and_stops_only_its_own(call: Call, folder: Path) -> None:
    asked = {**ASKED, "name": "theirs", "trials": 2, "quiet": True}
    with hpsearch.ask_tell(asked.pop("space"), root=folder / "experiments", **asked) as search:
        for trial in search:
            trial.tell(0.5 + trial.number)
    watched = call("watch", run="theirs", wait=5)
    assert watched["outcomes"] == {"complete": 2}
    assert watched["best"]["number"] == 0
    shown = call("show", experiment="theirs", limit=1)
    assert [trial["number"] for trial in shown["trials"]] == [0]
    assert shown["trials_left_out"] == 1
    with pytest.raises(ToolRefusedError, match="has not started 'theirs', and stops only what it has started: nothing"):
        call("stop", run="theirs")
    with pytest.raises(ToolRefusedError, match="there is no experiment 'thiers', did you mean 'theirs'"):
        call("watch", run="thiers")


def test_ask_report_tell_and_fail(call: Call, folder: Path) -> None:
    first = call("ask", experiment="mine", **ASKED)["trial"]
    assert first["config"] == first["params"]
    assert call("report", experiment="mine", number=0, step=1, value=0.5) == {
        "number": 0,
        "go_on": True,
        "outcome": None,
    }
    assert call("tell", experiment="mine", number=0) == {
        "number": 0,
        "outcome": "complete",
        "best": {"number": 0, "value": 0.5, "params": first["params"]},
    }
    with pytest.raises(ToolRefusedError, match=r"is open here with another seed \(None\)"):
        call("ask", experiment="mine", seed=7)
    second = call("ask", experiment="mine", **ASKED)["trial"]
    assert call("report", experiment="mine", number=second["number"], step=1, value="nan")["outcome"] == "diverged"
    third = call("ask", experiment="mine")["trial"]
    assert call("fail", experiment="mine", number=third["number"], reason="no room")["outcome"] == "failed"
    assert call("ask", experiment="mine")["trial"] is None
    assert call("watch", run="mine")["outcomes"] == {"complete": 1, "diverged": 1, "failed": 1}
    assert (folder / "experiments" / "mine" / "resolved.json").is_file()


def test_what_a_server_has_asked_for_comes_again_in_the_next_one(folder: Path) -> None:
    with calling(folder) as call:
        first = call("ask", experiment="mine", **ASKED)["trial"]
    with calling(folder) as call:
        with pytest.raises(ToolRefusedError, match="trial 0 of mine was not asked for here; known: none"):
            call("tell", experiment="mine", number=0, value=1.0)
        with pytest.raises(ToolRefusedError, match="mine is not open here: give its space, too"):
            call("ask", experiment="mine")
        again = call("ask", experiment="mine", **ASKED)["trial"]
    assert (again["number"], again["params"], again["attempt"]) == (0, first["params"], 2)


def test_it_compares_what_lies_in_the_folder(call: Call, folder: Path) -> None:
    scores = {"a": (0.70, 0.72, 0.71, 0.70, 0.73), "b": (0.81, 0.80, 0.83, 0.82, 0.81)}
    rows = "".join(f"{name},{seed},{score}\n" for name, found in scores.items() for seed, score in enumerate(found))
    (folder / "runs.csv").write_text(f"method,seed,accuracy\n{rows}", encoding="utf-8")
    found = call("compare", paths=["runs.csv"])["comparison"]
    assert found == json.loads(json.dumps(hpsearch.compare(folder / "runs.csv").to_json()))
    assert found["pairs"][0]["verdict"] in ("better", "worse")
    hpsearch.compare(folder / "runs.csv").save(folder / "reports" / "runs", format="md")
    read = call("read_report", path="reports/runs")
    assert read["text"] == (folder / "reports" / "runs" / "report.md").read_text(encoding="utf-8")
    assert read["next_offset"] is None
    assert call("read_report", path="reports/runs/report.md", offset=5)["text"] == read["text"][5:]
    with pytest.raises(ToolRefusedError, match=r"train\.py is no report"):
        call("read_report", path="train.py")


ELSEWHERE = ("../other/mine.yaml", "/etc/hostname", "~/mine.yaml", "link/mine.yaml", "deep/../../other/mine.yaml", "")
ADDRESSES = ("http://127.0.0.1:1/x", "sqlite:///x.db", "a\0b")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("check", lambda given: {"space": given}),
        ("plan_search", lambda given: {"space": given}),
        ("ask", lambda given: {**ASKED, "experiment": "x", "space": given}),
        ("watch", lambda given: {"run": given}),
        ("show", lambda given: {"experiment": given}),
        ("compare", lambda given: {"paths": [given]}),
        ("read_report", lambda given: {"path": given}),
        ("schema", lambda given: {"family": f"{given or '/x'}.py:Mine"}),
    ],
)
def test_nothing_outside_the_folder_is_named(tool: str, arguments: Any, call: Call, folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "mine.yaml").write_text(PROGRAM, encoding="utf-8")
    (folder / "link").symlink_to(other)
    (folder / "deep").mkdir()
    for given in (*ELSEWHERE, *ADDRESSES):
        with pytest.raises(ToolRefusedError, match="is refused: this server was started for"):
            call(tool, **arguments(given))
    assert not (folder / "experiments").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "-x", "link"])
def test_an_experiment_is_not_put_elsewhere(name: str, call: Call, folder: Path) -> None:
    (folder / "experiments").mkdir()
    (folder / "experiments" / "link").symlink_to(folder.parent)
    for tool, arguments in (
        ("ask", {**ASKED, "experiment": name}),
        ("plan_search", {"space": "mine.yaml", "name": name}),
    ):
        with pytest.raises(ToolRefusedError, match=r"cannot be the name of an experiment|is a link"):
            call(tool, **arguments)
    assert [each.name for each in (folder / "experiments").iterdir()] == ["link"]


def test_settings_name_nothing_outside(call: Call, folder: Path) -> None:
    secret = folder.parent / "secret.txt"
    secret.write_text("hush\n", encoding="utf-8")
    (folder / "link.txt").symlink_to(secret)
    for place in (str(secret), str(folder.parent / "none.txt"), "../secret.txt", "link.txt"):
        for tool in ("check", "plan_search"):
            with pytest.raises(ToolRefusedError, match="is refused: this server was started for"):
                call(tool, space="char_lm", changes={"data.train": place})
        with pytest.raises(ToolRefusedError, match="is refused"):
            call("ask", **{**ASKED, "experiment": "x", "space": {**RANGES, "file": place}})
    with pytest.raises(ToolRefusedError, match="is refused"):
        call("check", space="mine.yaml", changes={"search.storage": str(folder.parent)})


def test_a_plan_counts_what_was_begun_and_what_people_ordered(call: Call, folder: Path) -> None:
    space = {"lr": {"log": [1e-4, 1e-1]}}
    search = hpsearch.ask_tell(
        space, metric="loss", goal="minimize", trials=4, name="mine", root=folder / "experiments"
    )
    for value in (1.0, 2.0):
        trial = search.ask()
        assert trial is not None
        trial.tell(value)
    search.ask()
    search.close()
    hpsearch.budget(folder / "experiments" / "mine", trials=10)
    told = call("plan_search", space="mine.yaml", name="mine", confirm=False, changes={"search.trials": 4})
    assert (told["trials"], told["trials_begun"], told["trainings_left_at_most"]) == (3, 3, 1)


class TestCode:
    """Code from outside is not imported and not started, though it is the same project's or was trusted before."""

    @pytest.mark.parametrize("tool", ["check", "plan_search", "ask"])
    def test_a_familys_code(self, tool: str, call: Call, folder: Path) -> None:
        (folder.parent / ".git").mkdir()
        own = folder.parent / "own.py"
        own.write_text(f"open({str(folder.parent / 'ran')!r}, 'w')\n", encoding="utf-8")
        remember([NamedCode("family", own)])
        text = write_space(folder).read_text(encoding="utf-8").replace(f"{TOY}:Toy", "../own.py:Toy")
        (folder / "toy.yaml").write_text(text, encoding="utf-8")
        (folder / "linked.py").symlink_to(own)
        for reference in ("../own.py:Toy", str(own) + ":Toy", "./linked.py:Toy"):
            (folder / "toy.yaml").write_text(text.replace("../own.py:Toy", reference), encoding="utf-8")
            if tool == "check":
                left_out = call("check", space="toy.yaml")["files"][0]["left_out"]
                assert left_out[0].startswith("family ")
            else:
                with pytest.raises(ToolRefusedError, match=r"here only code of .* is run"):
                    call(tool, space="toy.yaml", **({"experiment": "x"} if tool == "ask" else {}))
        assert not (folder.parent / "ran").exists()

    @pytest.mark.parametrize("command", ["python ../train.py {lr}", "{other}/tool {lr}", "./inside {lr}"])
    def test_a_program(self, command: str, call: Call, folder: Path) -> None:
        for name in ("train.py", "tool"):
            (folder.parent / name).write_text("", encoding="utf-8")
        (folder / "inside").symlink_to(folder.parent / "tool")
        words = command.replace("{other}", str(folder.parent))
        (folder / "mine.yaml").write_text(PROGRAM.replace("python train.py {lr}", words), encoding="utf-8")
        with pytest.raises(ToolRefusedError, match=r"here only code of .* is run|runs programs only from"):
            call("plan_search", space="mine.yaml")

    @pytest.mark.parametrize("lines", ["command: sh tool {lr}\ndirectory: ..", "command: sh inside {lr}"])
    def test_a_program_of_a_folder_or_a_link(self, lines: str, call: Call, folder: Path) -> None:
        (folder.parent / "tool").write_text("", encoding="utf-8")
        (folder / "inside").symlink_to(folder.parent / "tool")
        (folder / "mine.yaml").write_text(PROGRAM.replace("command: python train.py {lr}", lines), encoding="utf-8")
        with pytest.raises(ToolRefusedError, match="runs programs only from"):
            call("plan_search", space="mine.yaml")


def test_texts_of_strangers_reach_the_agent_as_plain_texts(call: Call) -> None:
    call("ask", experiment="mine", **ASKED)
    call("fail", experiment="mine", number=0, reason="\x1b[2Jred\u202etxt")
    (trial,) = call("show", experiment="mine")["trials"]
    assert trial["reason"] == " [2Jred txt"


def test_a_fault_of_ours_is_no_answer(folder: Path) -> None:
    def broken() -> dict[str, Any]:
        return {"number": 1 / 0}

    with calling(folder, broken) as call:
        with pytest.raises(ToolRefusedError, match="Error executing tool show"):
            call("show")  # an argument is missing
        with pytest.raises(ToolRefusedError, match=r"^Error executing tool broken$"):
            call("broken")


def test_what_the_command_needs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HpsearchError, match="is no folder"):
        mcp(tmp_path / "none")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(HpsearchError, match=r'pip install "hpsearch\[mcp\]"'):
        mcp(tmp_path)
