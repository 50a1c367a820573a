"""Secrets reach whoever needs them and stand in no file, message or page (SECURITY.md)."""

import json
import sys
from pathlib import Path

import pytest

from hpsearch.errors import TrackingError
from hpsearch.experiment.addresses import without_secrets
from hpsearch.families.command.settings import CommandConfig, environment
from hpsearch.running.loading import open_space
from hpsearch.tracking.entries import load_state, save_state
from hpsearch.tracking.mlflow.store import chosen_uri, guarded, state_in
from hpsearch.tracking.mlflow.ui import exposure, serve_ui
from tests.calling import Call, caller

PLANTED = {name: f"planted-{name}-1f9e" for name in ("uri", "query", "env", "login", "wandb", "storage")}
PROGRAM = """
import json, os
print(json.dumps({"epoch": 1, "val/loss": float(len(os.environ["SERVICE_TOKEN"]))}))
"""
SPACE = f"""
family: command
objective: {{metric: val/loss, goal: minimize}}
search: {{sampler: random, pruner: none, trials: 2, workers: 1, storage: "s3://AKIA7:{PLANTED["storage"]}@bucket/x"}}
command: [{sys.executable}, service.py, "{{lr}}"]
environment: {{SERVICE_TOKEN: {{from: env}}, MODE: "fast"}}
lr: {{float: [0, 1]}}
"""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://me:abc@host:5000/x?a=1", "https://host:5000/x?a=1"),
        ("https://token@host", "https://host"),
        ("postgresql+psycopg://me:a%40b@host/db?sslmode=require&password=abc", "postgresql+psycopg://host/db?sslmode=require&password="),
        ("s3://AKIA:abc@bucket/x?region=eu&secret_key=abc;session_token=abc", "s3://bucket/x?region=eu&secret_key=;session_token="),
        ("https://host/x?sig=abc#top", "https://host/x?sig=#top"),
        ("request to https://me:abc@host/api failed (https://me:abc@host)", "request to https://host/api failed (https://host)"),
        ("sqlite:////home/me@lab/runs.db?timeout=30", "sqlite:////home/me@lab/runs.db?timeout=30"),
        ("file:///home/me@lab/keys=1", "file:///home/me@lab/keys=1"),
        ("http://host/mail/me@host", "http://host/mail/me@host"),
        ("databricks://profile", "databricks://profile"),
        ("mail me@host.org, ratio 3:4", "mail me@host.org, ratio 3:4"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_what_is_secret(given: str, shown: str) -> None:
    assert without_secrets(given) == shown
    assert without_secrets(shown) == shown


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(tmp_path, monkeypatch, capsys)


def written_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_planted_secrets_are_in_no_file_and_no_output(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "SERVICE_TOKEN": PLANTED["env"],
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": PLANTED["login"],
        "WANDB_API_KEY": PLANTED["wandb"],
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "service.py").write_text(PROGRAM)
    (tmp_path / "service.yaml").write_text(SPACE)
    uri = f"http://me:{PLANTED['uri']}@127.0.0.1:9/?token={PLANTED['query']}"
    said = [
        call("check", "service.yaml"),
        call("run", "service.yaml", "--in-process", "--track", "mlflow,tensorboard", "--tracking-uri", uri),
        call("sync", "experiments/service"),
        call("sync", "experiments/service", "--tracking-uri", uri),
        call("ui", "--mlflow", "--root", "experiments/service", "--port", "1"),
        call("sync", "experiments/service", "--tracking-uri", f"sqlite:///{tmp_path}/experiments/mlflow.db"),
        call("show", "experiments/service"),
        call("show", "experiments/service", "--json"),
        call("export", "experiments/service", "trials.csv", "--to", "csv"),
        call("compare", "experiments/service", "--metric", "val/loss"),
        call("compare", uri),
    ]
    assert [each.status for each in said[:2]] == [0, 0], said[:2]
    values = [trial["value"] for trial in json.loads(said[7].out)["trials"]]
    assert values == [float(len(PLANTED["env"]))] * 2, "the program had its token"
    found = written_in(tmp_path)
    del found["service.yaml"]  # the user's own
    assert {"experiments/service/resolved.json", "experiments/service/tracking.json"} <= found.keys()
    assert any(name.startswith("reports/") for name in found)
    found |= {f"said {number}": f"{each.out}{each.err}".encode() for number, each in enumerate(said)}
    assert [
        (secret, name) for name, content in found.items() for secret in PLANTED.values() if secret.encode() in content
    ] == []
    assert b"http://127.0.0.1:9" in found["said 1"] + found["said 3"]  # the place is named all the same


def test_whoever_goes_on_is_told_to_give_the_password_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "experiments" / "x"
    folder.mkdir(parents=True)
    given = "http://me:abc@127.0.0.1:9"
    state = state_in(given, folder)
    state.log = 7
    save_state(folder / "tracking.json", state)
    assert "abc" not in (folder / "tracking.json").read_text()
    assert state_in(given, folder).log == 7  # the same store, with a login or without
    assert state_in("http://me:rotated@127.0.0.1:9", folder).log == 7
    again = chosen_uri(folder, None)
    assert again == "http://127.0.0.1:9"
    assert chosen_uri(folder, given) == given
    with pytest.raises(TrackingError, match=r"again with --tracking-uri, or set MLFLOW_TRACKING_"), guarded(again):
        raise OSError("401")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    with pytest.raises(TrackingError, match=r"cannot be written: 401$"), guarded(again):
        raise OSError("401")
    with pytest.raises(TrackingError, match=r"MLflow at http://127.0.0.1:9 cannot be .* of http://127"), guarded(given):
        raise OSError(f"401 of {given}")


def test_a_password_that_an_earlier_version_kept_is_not_handed_on(tmp_path: Path) -> None:
    state = load_state(tmp_path / "tracking.json")
    state.uri, state.log = "http://me:abc@host", 7
    save_state(tmp_path / "tracking.json", state)
    assert (load_state(tmp_path / "tracking.json").uri, load_state(tmp_path / "tracking.json").log) == (
        "http://host",
        7,
    )


def test_a_missing_variable_is_found_before_the_search(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERVICE_TOKEN", raising=False)
    (tmp_path / "service.py").write_text(PROGRAM)
    (tmp_path / "service.yaml").write_text(SPACE)
    for command in ("check", "run"):
        said = call(command, "service.yaml")
        assert said.status == 2
        assert "service.yaml:6:" in said.err
        assert "there is no variable SERVICE_TOKEN in the environment" in said.err
    monkeypatch.setenv("SERVICE_TOKEN", "abc")
    assert call("check", "service.yaml").status == 0


@pytest.mark.parametrize(
    ("written", "setting"),
    [
        ("environment: {API_KEY: sk-123}", "environment.API_KEY"),
        ("environment: {DB_PASSWORD: x}", "environment.DB_PASSWORD"),
        ("login: {password: hunter2-hunter2}", "login.password"),
        ("hub: {auth_token: hf_12345678}", "hub.auth_token"),
        ("data: {place: 'https://me:abc@host/x'}", "data.place"),
    ],
)
def test_a_secret_in_a_space_gets_a_warning_that_does_not_repeat_it(
    written: str, setting: str, call: Call, tmp_path: Path
) -> None:
    space = f"""
family: command
objective: {{metric: val/loss, goal: minimize}}
command: [{sys.executable}, service.py, "{{config}}"]
lr: {{float: [0, 1]}}
{written}
"""
    (tmp_path / "service.py").write_text(PROGRAM)
    (tmp_path / "service.yaml").write_text(space)
    said = call("check", "service.yaml")
    assert f"{setting}: this looks like a secret" in said.out, said
    assert "{from: env}" in said.out
    assert not any(secret in said.out for secret in ("sk-123", "hunter2", "hf_1234", "abc"))


@pytest.mark.parametrize(
    "written",
    ["model: {token: cls, key_dim: 8}", "train: {tokenizer: byte-pairs-of-1000}", "environment: {TOKEN: '{lr}'}"],
)
def test_ordinary_settings_get_none(written: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(PROGRAM)
    (tmp_path / "a.yaml").write_text(
        f"family: command\nobjective: {{metric: val/loss, goal: minimize}}\n"
        f"command: [{sys.executable}, service.py, '{{config}}']\nlr: {{float: [0, 1]}}\n{written}\n"
    )
    assert "secret" not in call("check", "a.yaml").out


def test_a_variable_is_handed_on_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CommandConfig.model_validate({"command": "x", "environment": {"TOKEN": {"from": "env"}, "MODE": "a"}})
    monkeypatch.setenv("TOKEN", "abc")
    assert "abc" not in str(environment(config, {}))
    assert environment(config, {})["MODE"] == "a"
    assert config.model_dump(mode="json")["environment"] == {"TOKEN": {"from": "env"}, "MODE": "a"}


def test_the_storage_of_a_confirmation_has_no_login(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "abc")
    (tmp_path / "service.py").write_text(PROGRAM)
    (tmp_path / "service.yaml").write_text(SPACE)
    assert call("run", "service.yaml", "--in-process", "--track", "none", "--trials", "1").status == 0
    assert open_space(tmp_path / "experiments" / "service").search.storage == "s3://bucket/x"
    again = call("run", "service.yaml", "--in-process", "--track", "none", "--trials", "2")
    assert again.status == 0
    assert "changed" not in again.err


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1"])
def test_a_page_on_loopback_exposes_nothing(host: str) -> None:
    assert exposure(Path("experiments"), host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab.example.org"])  # noqa: S104
def test_a_page_for_others_says_what_it_exposes(host: str) -> None:
    said = exposure(Path("experiments"), host) or ""
    assert f"can read, change and delete every experiment in {Path('experiments').resolve()}" in said
    assert "no login" in said


def test_the_page_says_so_before_it_begins(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(TrackingError, match="there is no MLflow store"):
        serve_ui(tmp_path, port=0, host="0.0.0.0", announce=said.append)  # noqa: S104
    assert "no login" in said[0]
