"""The commands as a user meets them: what they print where, how they end, and what they say to wrong input."""

import fcntl
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from hpsearch.cli.main import say_warning
from hpsearch.running.loading import load_space
from hpsearch.running.runner import RunOptions, run
from tests.calling import Call, Said, caller
from tests.toy_spaces import FAMILY, write_space

MORE = "confirm: {top: 1, seeds: 2}\nquick: {search.trials: 2, confirm.seeds: 1}"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run `hpsearch WORDS` in an empty folder, in this process: `main` is what the console script calls."""
    return caller(tmp_path, monkeypatch, capfd)


def hpsearch(*words: object, folder: Path) -> Said:
    """Run `hpsearch WORDS` as a process of its own."""
    command = [sys.executable, "-m", "hpsearch", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=300)
    return Said(ended.returncode, ended.stdout, ended.stderr)


def search(call: Call, space: Path, *words: object) -> Said:
    return call("run", space, "--in-process", "--no-mlflow", *words)


def untimed(shown: str) -> list[str]:
    """Leave out the line that tells how long the experiment has been running: every session adds a little."""
    return [line for line in shown.splitlines() if " trials in " not in line]


@pytest.fixture(scope="module")
def searched_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched") / "toy"
    run(load_space(write_space(folder.parent, trials=3)), folder=folder, options=RunOptions(in_process=True))
    return folder


@pytest.fixture
def searched(searched_once: Path, tmp_path: Path) -> Path:
    """Return an experiment of three trials that has not been confirmed, beside its space."""
    shutil.copy(searched_once.parent / "toy.yaml", tmp_path)
    return shutil.copytree(searched_once, tmp_path / "experiments" / "toy")


# check

HEAD = "family: char_lm\nobjective: {metric: val/bits_per_char}\n"
MALFORMED = {
    "broken": ("family: char_lm\nobjective: {metric: val/loss\n", ["3:1:"]),
    "duplicate": (HEAD + "train: {epochs: 2}\ntrain: {epochs: 3}\n", ["4:1:"]),
    "no_family": ("objective: {metric: val/loss}\n", ["1:1: missing section 'family'"]),
    "unknown_family": (
        "family: char_ml\nobjective: {metric: val/loss}\n",
        ["1:9: unknown family 'char_ml', did you mean"],
    ),
    "unknown_metric": ("family: char_lm\nobjective: {metric: val/lost}\n", ["2:21: objective.metric: unknown metric"]),
    "test_metric": ("family: char_lm\nobjective: {metric: test/loss}\n", ["2:21: objective.metric: the test split"]),
    "unknown_setting": (HEAD + "model: {widht: 8}\n", ["3:9: unknown setting 'widht' in model, did you mean 'width'?"]),
    "out_of_bounds": (HEAD + "train:\n  epochs: {int: [0, 4]}\n", ["4:18: train.epochs: 0 is out of bounds"]),
    "wrong_rule": (HEAD + "require: ['model.width %% 2 == 0']\n", ["3:11:"]),
    "wrong_start": (
        HEAD + "model: {width: {int: [8, 16]}}\nstart:\n  - {model.width: 99}\n  - {model.wdth: 8}\n",
        ["5:19: start: model.width 99 is not in", "6:6: start: model.wdth is not a range"],
    ),
}


def test_every_mistake_of_ten_malformed_spaces_gets_its_line(call: Call, tmp_path: Path) -> None:
    for name, (text, _) in MALFORMED.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    said = call("check", ".")
    assert (said.status, said.out) == (2, "")
    lines = iter(line for line in said.err.splitlines() if not re.match(r"\d* *[|=] |help: ", line))
    for name, (_, expected) in sorted(MALFORMED.items()):
        for beginning in expected:
            assert next(lines).startswith(f"{name}.yaml:{beginning}")
    assert list(lines) == []


def test_check_says_that_a_space_is_fine(call: Call, tmp_path: Path) -> None:
    path = write_space(tmp_path)
    assert call("check", path) == Said(0, f"{path}: fine (5 ranges)\n", "")


def test_check_goes_on_after_a_wrong_file(call: Call, tmp_path: Path) -> None:
    write_space(tmp_path, name="good.yaml")
    (tmp_path / "bad.yaml").write_text("family: nothing\n", encoding="utf-8")
    said = call("check", tmp_path)
    assert said.status == 2
    assert "good.yaml: fine" in said.out
    assert "bad.yaml:1:9: unknown family" in said.err


# run


def test_run_prints_progress_on_stderr_and_the_result_on_stdout(call: Call, tmp_path: Path) -> None:
    said = search(call, write_space(tmp_path, trials=3, more=MORE))
    assert said.status == 0
    assert "3 complete" in said.out
    assert "confirmation on fresh seeds" in said.out
    assert "trial 2" in said.err
    assert (tmp_path / "experiments/toy/trials/0002/metrics.jsonl").is_file()


def test_a_finished_search_says_so_and_how_to_extend_it(call: Call, tmp_path: Path) -> None:
    space = write_space(tmp_path, trials=2)
    first = search(call, space)
    again = search(call, space)
    assert again.status == 0
    assert untimed(again.out) == untimed(first.out)
    assert "toy is finished: nothing was left to do. --trials 4 extends it, --name NAME starts another" in again.err
    assert "finished" not in first.err


def test_trials_extends_a_finished_search(call: Call, tmp_path: Path, searched: Path) -> None:
    said = search(call, tmp_path / "toy.yaml", "--trials", 5)
    assert said.status == 0
    assert "5 complete" in said.out
    assert len(list((searched / "trials").iterdir())) == 5


def test_quick_lays_its_section_over_the_space(call: Call, tmp_path: Path) -> None:
    said = search(call, write_space(tmp_path, more=MORE), "--quick")
    assert said.status == 0
    assert len(list((tmp_path / "experiments/toy-quick/trials").iterdir())) == 2
    assert [path.name for path in (tmp_path / "experiments/toy-quick/confirm").glob("*/seed-*")] == ["seed-000"]


def test_name_root_set_and_no_confirm(call: Call, tmp_path: Path) -> None:
    words = [
        "--name",
        "other",
        "--root",
        tmp_path / "elsewhere",
        "--set",
        "train.epochs=1",
        "--no-confirm",
        "--trials",
        1,
    ]
    assert search(call, write_space(tmp_path, more=MORE), *words).status == 0
    folder = tmp_path / "elsewhere" / "other"
    config = json.loads((folder / "trials/0000/config.json").read_text(encoding="utf-8"))
    assert config["config"]["train"]["epochs"] == 1
    assert not (folder / "confirm").exists()


def test_quiet_prints_only_the_result(call: Call, tmp_path: Path) -> None:
    said = search(call, write_space(tmp_path, trials=1), "--quiet")
    assert (said.status, said.err) == (0, "")
    assert "1 complete" in said.out


def test_quiet_prints_problems(call: Call, searched: Path) -> None:
    log = searched / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-400])
    said = search(call, searched.parents[1] / "toy.yaml", "--quiet", "--trials", "4")
    assert said.status == 0
    assert "the last line of the log was torn" in said.err


@pytest.mark.parametrize("file", ["log.jsonl", "trials/0001/metrics.jsonl"])
@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_traceback(file: str, put: Callable[[Path], None], call: Call, searched: Path) -> None:
    (searched / file).unlink()
    put(searched / file)
    for words in (("show", searched), ("run", searched.parents[1] / "toy.yaml", "--in-process", "--no-mlflow")):
        said = call(*words)
        assert said.status in (1, 2)
        assert "not a file" in said.err
        assert f"experiments/toy/{file}" in said.err


def test_json_is_one_object_on_stdout_and_all_else_on_stderr(call: Call, tmp_path: Path) -> None:
    check_json(search(call, write_space(tmp_path, trials=2), "--json"))


@pytest.mark.slow
def test_json_of_worker_processes_is_one_object_too(tmp_path: Path) -> None:
    """Their output must not get to stdout either."""
    check_json(hpsearch("run", write_space(tmp_path, trials=2), "--no-mlflow", "--json", folder=tmp_path))


def check_json(said: Said) -> None:
    assert said.status == 0, said.err
    shown = json.loads(said.out)
    assert [trial["outcome"] for trial in shown["trials"]] == ["complete", "complete"]
    assert shown["why"] == "finished"
    assert "trial 1" in said.err


def test_a_search_whose_trials_fail_ends_with_status_1(call: Call, tmp_path: Path) -> None:
    said = search(call, write_space(tmp_path, data="data: {trouble: exception}"), "--json")
    assert (said.status, said.out) == (1, "")
    assert "hpsearch: the first 3 trials failed in the same way: ValueError: no model of width" in said.err
    assert "Traceback" not in said.err


@pytest.mark.slow
def test_a_running_experiment_is_not_started_twice(call: Call, tmp_path: Path, searched: Path) -> None:
    with (searched / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = search(call, tmp_path / "toy.yaml")
    assert said.status == 2
    assert "is being run by another process" in said.err


# show, confirm, export, sync


def test_show_takes_a_name_or_a_folder(call: Call, searched: Path) -> None:
    by_name, by_folder = call("show", "toy"), call("show", searched)
    assert by_name == by_folder
    assert (by_name.status, by_name.err) == (0, "")
    assert "3 complete" in by_name.out


def test_show_json_has_the_documented_shape(call: Call, searched: Path) -> None:
    shown = json.loads(call("show", searched, "--json").out)
    assert list(shown) == ["experiment", "trials", "best", "pruning", "confirm", "notes", "paused", "health"]
    fields = ["number", "outcome", "reason", "value", "step", "params", "seed", "seconds", "changes", "notes"]
    assert [list(trial) for trial in shown["trials"]] == [fields] * 3
    assert shown["best"]["value"] == min(trial["value"] for trial in shown["trials"])
    assert shown["confirm"] is None


def test_show_limits_its_list(call: Call, searched: Path) -> None:
    assert len(call("show", searched, "--limit", 1).out) < len(call("show", searched).out)


def test_confirm_trains_what_is_missing_and_no_more(call: Call, searched: Path) -> None:
    words = ("confirm", searched, "--seeds", 2, "--in-process", "--no-mlflow")
    first = call(*words)
    assert first.status == 0
    assert "test/loss" in first.out
    written = (searched / "log.jsonl").read_text(encoding="utf-8").count('"begin"')
    assert untimed(call(*words).out) == untimed(first.out)
    assert (searched / "log.jsonl").read_text(encoding="utf-8").count('"begin"') == written
    assert len(json.loads(call("show", searched, "--json").out)["confirm"]["replicates"]) == 2


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_export_writes_a_table_of_trials(call: Call, searched: Path, tmp_path: Path, to: str) -> None:
    file = tmp_path / f"trials.{to}"
    assert call("export", searched, "--to", to, file) == Said(0, f"wrote {file}\n", "")
    frame = pd.read_csv(file) if to == "csv" else pd.read_parquet(file)
    assert list(frame["number"]) == [0, 1, 2]
    assert "params.model.width" in frame


def test_what_is_damaged_is_said_by_whoever_writes_the_rest(call: Call, searched: Path, tmp_path: Path) -> None:
    log = searched / "log.jsonl"
    first, second, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([first, second.replace(b'"params"', b'"qarams"'), *rest]))
    for words in (("export", searched, "--to", "csv", tmp_path / "a.csv"), ("sync", searched)):
        said = call(*words)
        assert said.status == 0
        assert f"warning: {log}: line 2 was left out: its checksum does not fit\n" in said.err


def test_export_writes_an_optuna_storage(call: Call, searched: Path, tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    assert call("export", searched, "--to", "optuna", file).status == 0
    with sqlite3.connect(file) as database:
        assert database.execute("select count(*) from trials").fetchone() == (3,)


def test_the_format_is_that_of_to(call: Call, searched: Path, tmp_path: Path) -> None:
    file = tmp_path / "trials.txt"
    assert call("export", searched, "--to", "csv", file).status == 0
    assert len(pd.read_csv(file)) == 3


@pytest.mark.slow
def test_sync_makes_the_mirror_that_run_left_out(call: Call, searched: Path) -> None:
    said = call("sync", "toy")
    assert said.status == 0
    assert said.out.startswith("MLflow is up to date with")
    with sqlite3.connect(searched.parent / "mlflow.db") as database:
        runs = database.execute("select count(*) from runs").fetchone()
        assert runs == (4,)  # the experiment's, and one for each trial
        assert call("sync", "toy").status == 0
        assert database.execute("select count(*) from runs").fetchone() == runs


# families and schema


def test_families_and_their_schemas(call: Call) -> None:
    said = call("families")
    names = [line.partition(":")[0] for line in said.out.splitlines() if not line.startswith(" ")]
    assert {"char_lm", "deepsif"} <= set(names)
    assert "metrics: val/loss (minimize)" in said.out
    for name in names:
        assert json.loads(call("schema", name).out)["title"] == f"A space of the family {name}"


def test_the_schema_of_a_users_own_family(call: Call) -> None:
    said = call("schema", f"{FAMILY}:Toy")
    assert said.status == 0
    assert {"family", "data", "model", "train"} <= json.loads(said.out)["properties"].keys()
    assert '"trouble"' in said.out


# Wrong input: a sentence on stderr, status 2, no traceback


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("check missing.yaml", "missing.yaml: cannot be read: No such file or directory"),
        ("check empty", "empty holds no .yaml files"),
        ("check binary.yaml", "binary.yaml"),
        ("run missing.yaml", "missing.yaml: cannot be read: No such file or directory"),
        ("run empty", "empty: is a folder, not a file"),
        ("run toy.yaml --engine rya", "unknown engine 'rya'"),
        ("run toy.yaml --set train.epoch=3", "unknown setting 'epoch' in train, did you mean 'epochs'?"),
        ("run toy.yaml --set train.epochs", "--set train.epochs: expected a.b.c=VALUE"),
        ("run toy.yaml --trials 0", "search.trials: 0 is out of bounds"),
        ("run toy.yaml --trials many", "--trials"),
        ("run toy.yaml --time soon", "'soon' is not a duration"),
        ("run toy.yaml --workers some", "expected auto or a whole number"),
        ("run toy.yaml --no-such-option", "No such option: --no-such-option"),
        ("run toy.yaml --name full", "full exists and is no experiment; choose another --name"),
        ("run toy.yaml --root toy.yaml/here", "toy.yaml"),
        ("run", "Missing argument"),
        ("schema chr_lm", "unknown family 'chr_lm', did you mean 'char_lm'?; known: "),
        ("schema ./mine.py:Mine", "mine.py does not exist"),
        ("schema ./wrong.py:Mine", "wrong.py cannot be imported: SyntaxError"),
        ("show nowhere", "there is no experiment"),
        ("show empty", "empty is not an experiment"),
        ("show toy.yaml", "toy.yaml is not an experiment"),
        ("show nowhere --limit 0", "--limit"),
        ("confirm nowhere", "there is no experiment"),
        ("confirm nowhere --seeds 0", "--seeds"),
        ("sync nowhere", "there is no experiment"),
        ("export nowhere --to csv x.csv", "there is no experiment"),
        ("export nowhere x.csv", "--to"),
        ("ui --mlflow", "there is no MLflow store for experiments"),
        ("ui", "experiments holds no experiments; `hpsearch run` makes one"),
        ("ui --host 0.0.0.0", "--host is for --mlflow"),
        ("ui nowhere", "there is no experiment 'nowhere'"),
        ("watch nowhere --web", "there is no experiment 'nowhere'"),
        ("watch empty --web", "empty is not an experiment"),
        ("ui --port 70000", "65535"),
        ("ui --port http", "--port"),
        ("nonsense", "No such command 'nonsense'"),
    ],
)
def test_wrong_input_gets_a_sentence(call: Call, tmp_path: Path, words: str, sentence: str) -> None:
    write_space(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "experiments/full").mkdir(parents=True)
    (tmp_path / "experiments/full/notes.txt").touch()
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "wrong.py").write_text("class\n", encoding="utf-8")
    said = call(*words.split())
    assert (said.status, said.out) == (2, "")
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_export_refuses_what_it_cannot_do(call: Call, searched: Path, tmp_path: Path) -> None:
    (tmp_path / "taken.csv").touch()
    for words, sentence in [
        (("--to", "xlsx", "x.xlsx"), "unknown format 'xlsx'; known: csv, model, onnx, optuna, parquet, torchscript"),
        (("--to", "csv", "taken.csv"), "taken.csv exists"),
        (("--to", "csv", "nowhere/x.csv"), "nowhere does not exist"),
        (("--to", "optuna", "nowhere/x.db"), "nowhere does not exist"),
    ]:
        said = call("export", searched, *words)
        assert (said.status, said.out) == (2, "")
        assert sentence in said.err


def test_a_damaged_experiment_is_named(call: Call, searched: Path) -> None:
    (searched / "resolved.json").write_text("{", encoding="utf-8")
    for words in [("show", searched), ("confirm", searched), ("sync", searched)]:
        said = call(*words)
        assert said.status == 2
        assert "resolved.json is not valid JSON" in said.err


def test_a_port_in_use_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words in (("--mlflow",), ("--root", Path(__file__).parent / "kept", "--no-open")):
            said = call("ui", "--port", port, *words)
            assert said.status == 2
            assert "cannot be used (Address already in use); choose another" in said.err


def test_the_installed_command_answers(tmp_path: Path) -> None:
    said = hpsearch("--help", folder=tmp_path)
    assert said.status == 0
    assert "run" in said.out


def test_a_closed_pipe_is_no_error(searched: Path) -> None:
    """As in `hpsearch show toy --json | head -n 1`."""
    command = [sys.executable, "-m", "hpsearch", "show", str(searched), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_a_warning_of_ours_is_a_sentence_and_others_are_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    others: list[str] = []
    for filename in (say_warning.__code__.co_filename, "/elsewhere/torch.py"):
        say_warning("it is read as Latin-1", UserWarning, filename, 3, other=lambda *words: others.append(words[2]))
    assert capsys.readouterr().err == "hpsearch: it is read as Latin-1\n"
    assert others == ["/elsewhere/torch.py"]
