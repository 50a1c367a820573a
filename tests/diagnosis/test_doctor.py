"""`hpsearch doctor` finds each kind of damage, names it, and mends what can be mended without inventing data."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import hpsearch
from hpsearch.cli import app
from hpsearch.diagnosis.machine import _fits
from hpsearch.errors import ExperimentBusyError, ExperimentError
from hpsearch.experiment.activity import locked
from hpsearch.experiment.layout import BEST, CHECKPOINT, CONFIG, LOG, METRICS, PRINTED, RESOLVED, TRACKING, trial_run
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from hpsearch.tracking.mlflow.store import DATABASE
from hpsearch.training.checkpoint import save, save_best
from tests.tracking.folders import ExperimentFolder, sync

KEPT = Path(__file__).parents[1] / "kept"
FIRST, SECOND = trial_run(0), trial_run(1)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """A folder with a small experiment that has ended, with weights, and its mirror."""
    root = tmp_path_factory.mktemp("grown")
    shutil.copy(empty_database, root / DATABASE)
    line = ExperimentFolder(root / "line")
    for number, values in enumerate([(3.0, 2.0), (1.0, 4.0)]):
        run = line.trial(number, Outcome.COMPLETE, values)
        (line.path / run / BEST).unlink()  # no weights
        save_best(line.path / run, {"w": torch.ones(3)}, step=2, metric="val/loss", value=1.0)
        save(line.path / run / CHECKPOINT, {"model": {"w": torch.zeros(3)}})
    line.log.close()
    sync(line.path)
    return root


@pytest.fixture
def folder(grown: Path, tmp_path: Path) -> Path:
    shutil.copytree(grown, tmp_path / "root")
    return tmp_path / "root" / "line"


def change_line(path: Path, number: int, change: Callable[[bytes], bytes]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    path.write_bytes(b"".join(lines))


def execute(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder.parent / DATABASE)) as connection, connection:
        connection.execute(statement)


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def spoil_a_page(folder: Path) -> None:
    """Zero the head of a page that holds rows: its kind is none that SQLite knows then."""
    path = folder.parent / DATABASE
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'metrics'").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 8] = bytes(8)
    path.write_bytes(content)


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("kind", ["function", "program", "reported"])
def test_the_weights_of_a_users_own_loop_are_not_ours_to_judge(kind: str, folder: Path) -> None:
    """The examples' functions write `report.checkpoint` with torch.save; `--repair` must not take it away."""
    file = folder / FIRST / CHECKPOINT
    torch.save({"weights": torch.ones(3)}, file)
    assert [each.where for each in hpsearch.doctor(folder).findings] == [str(file)]
    resolved = json.loads((folder / RESOLVED).read_text())
    if kind == "reported":
        (folder / FIRST / PRINTED).touch()
    else:
        resolved |= {"code": "0"} if kind == "function" else {"space": {**resolved["space"], "family": "command"}}
        (folder / RESOLVED).write_text(json.dumps(resolved))
    assert str(file) not in [each.where for each in hpsearch.doctor(folder, repair=True).findings]
    assert file.exists()


@dataclass(frozen=True)
class Damage:
    """How a folder is damaged, how that is found, and what file keeps the damaged original."""

    do: Callable[[Path], object]
    said: str
    kept: str | None = None
    mended: bool = True


DAMAGES = {
    "a flipped bit in the log": Damage(
        lambda folder: change_line(folder / LOG, 5, lambda line: line.replace(b'"metric":2', b'"metric":3')),
        "line 5 is damaged (its checksum does not fit)",
        f"{LOG}.damaged",
    ),
    "a torn log": Damage(lambda folder: tear(folder / LOG), "are no whole line", f"{LOG}.torn"),
    "a repeated line": Damage(
        lambda folder: change_line(folder / LOG, 4, lambda line: line * 2), "1 lines repeat", f"{LOG}.repeated"
    ),
    "a log that is gone": Damage(lambda folder: (folder / LOG).unlink(), "the log is missing", mended=False),
    "an empty log": Damage(lambda folder: (folder / LOG).write_bytes(b""), "the log is empty", mended=False),
    "metrics": Damage(
        lambda folder: change_line(folder / FIRST / METRICS, 1, lambda line: line.replace(b"3", b"4", 1)),
        "line 1 is damaged",
        f"{FIRST}/{METRICS}.damaged",
    ),
    "a checkpoint": Damage(
        lambda folder: tear(folder / FIRST / CHECKPOINT), "does not load", f"{FIRST}/{CHECKPOINT}.damaged"
    ),
    "best weights": Damage(
        lambda folder: (folder / SECOND / BEST).write_bytes(b"PK"), "does not load", f"{SECOND}/{BEST}.damaged"
    ),
    "a configuration": Damage(
        lambda folder: tear(folder / FIRST / CONFIG), "cannot be read", f"{FIRST}/{CONFIG}.damaged"
    ),
    "a configuration that is gone": Damage(lambda folder: (folder / FIRST / CONFIG).unlink(), "it is missing"),
    "another run's configuration": Damage(
        lambda folder: shutil.copy(folder / SECOND / CONFIG, folder / FIRST / CONFIG),
        "its values are not those of the log",
        f"{FIRST}/{CONFIG}.damaged",
    ),
    "settings": Damage(lambda folder: tear(folder / RESOLVED), "is not valid JSON", f"{RESOLVED}.damaged"),
    "settings that are gone": Damage(lambda folder: (folder / RESOLVED).unlink(), "it has no resolved.json"),
    "a trial's folder that is gone": Damage(
        lambda folder: shutil.rmtree(folder / SECOND), "its folder is gone", mended=False
    ),
    "a folder without a trial": Damage(
        lambda folder: shutil.copytree(folder / FIRST, folder / trial_run(2)),
        "the log knows no trial of this number",
        f"{trial_run(2)}.orphan",
    ),
    "a pipe": Damage(lambda folder: os.mkfifo(folder / FIRST / "x"), "a pipe, a socket or a device", mended=False),
    "a pipe for weights": Damage(
        lambda folder: put_pipe(folder / FIRST / BEST), "a pipe, a socket or a device", mended=False
    ),
    "a loop of links": Damage(
        lambda folder: (folder / FIRST / "x").symlink_to(folder / FIRST / "x"), "leads nowhere", mended=False
    ),
    "a database that is none": Damage(
        lambda folder: (folder.parent / DATABASE).write_bytes(b"x" * 4096),
        "it is no database, or parts of it are damaged",
        f"../{DATABASE}.damaged",
    ),
    "a page of the database": Damage(spoil_a_page, "parts of it are damaged", f"../{DATABASE}.damaged"),
    "a mirror's state": Damage(lambda folder: tear(folder / TRACKING), "it cannot be read"),
    "best weights that are gone": Damage(
        lambda folder: (folder / SECOND / BEST).unlink(), "the weights of its best step are gone", mended=False
    ),
    "a half-migrated database": Damage(
        lambda folder: execute(folder, "CREATE TABLE _alembic_tmp_runs (a INTEGER)"),
        "while it made or migrated the tables",
        f"../{DATABASE}.half-migrated",
    ),
    "a database that is gone": Damage(
        lambda folder: (folder.parent / DATABASE).unlink(), "there is no MLflow store that can be read"
    ),
    "MLflow says another status": Damage(
        lambda folder: execute(folder, "UPDATE runs SET status = 'RUNNING' WHERE name = 'trial-0001'"),
        "trials/0001 is RUNNING there, FINISHED in the log",
    ),
    "MLflow lacks a run": Damage(
        lambda folder: execute(folder, "UPDATE tags SET value = 'x' WHERE value = 'trials/0001'"),
        "trials/0001 is not there",
    ),
}


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files but for locks and leases, which say who held them last."""
    held = ("lock", "lease")
    files = (path for path in folder.rglob("*") if path.is_file() and not any(word in path.name for word in held))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_whole_folder_is_healthy_and_stays_as_it_is(folder: Path) -> None:
    before = tree(folder.parent)
    for repair in (False, True):
        found = hpsearch.doctor(folder.parent, repair=repair)
        assert found.healthy, found.lines()
        assert [each for each in found.findings if not each.note] == []
        assert tree(folder.parent) == before


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_mended_once(folder: Path, name: str) -> None:
    damage = DAMAGES[name]
    damage.do(folder)
    damaged = tree(folder.parent)
    found = hpsearch.doctor(folder)
    assert not found.healthy
    assert any(damage.said in each.what for each in found.findings), found.lines()
    assert tree(folder.parent) == damaged  # to look changes nothing
    repaired = hpsearch.doctor(folder, repair=True)
    assert repaired.healthy is damage.mended, repaired.lines()
    if damage.kept is not None:
        assert (folder / damage.kept).exists()
        original = damaged.get(os.path.normpath(f"line/{damage.kept.rpartition('.')[0]}"))
        assert original is None or (folder / damage.kept).read_bytes() == original
    if damage.mended:
        assert hpsearch.doctor(folder).healthy
        assert len(read_experiment(folder).trials) == 2
    once = tree(folder.parent)
    hpsearch.doctor(folder, repair=True)
    assert tree(folder.parent) == once


def test_a_temporary_file_is_a_note_and_goes(folder: Path) -> None:
    left = folder / FIRST / f".{BEST}.77.tmp"
    left.write_bytes(b"x")
    assert hpsearch.doctor(folder).healthy
    hpsearch.doctor(folder, repair=True)
    assert not left.exists()


def test_a_running_experiment_is_looked_at_but_not_repaired(folder: Path) -> None:
    with locked(folder), (folder / LOG).open("ab") as file:
        file.write(b'{"event":')  # in the making
        file.flush()
        assert hpsearch.doctor(folder).healthy
        with pytest.raises(ExperimentBusyError):
            hpsearch.doctor(folder, repair=True)


@pytest.mark.parametrize("place", sorted(each for each in KEPT.iterdir() if each.is_dir()))
def test_folders_of_earlier_versions_are_healthy(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place, tmp_path / place.name)
    assert hpsearch.doctor(tmp_path).healthy


def test_the_command_has_three_statuses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    run = CliRunner().invoke
    fine = run(app, ["doctor", "line", "--json"])
    assert (fine.exit_code, json.loads(fine.output)["healthy"]) == (0, True)
    tear(folder / FIRST / CHECKPOINT)
    wrong = run(app, ["doctor", "line"])
    assert wrong.exit_code == 1
    assert f"damage: line/{FIRST}/{CHECKPOINT}: it does not load" in wrong.output
    mended = run(app, ["doctor", "line", "--repair"])
    assert mended.exit_code == 0
    assert f"put aside as {CHECKPOINT}.damaged" in mended.output
    missing = run(app, ["doctor", "nothing"])
    assert isinstance(missing.exception, ExperimentError)  # which the program turns into status 2


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("2.9.0+cpu", ">=2.4,<3", True),
        ("3.0", "<3", False),
        ("2.10", ">=2.9", True),
        ("1.0rc1", "==1.0", True),
        ("1", "", True),
    ],
)
def test_versions_are_held_against_what_is_declared(version: str, bounds: str, fits: bool) -> None:
    assert _fits(version, bounds) is fits
