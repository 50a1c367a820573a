"""Faults between two sessions: files of an experiment that are torn, flipped, zeroed or gone, and MLflow's database."""

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tests.faults.fault import Faults, Strike, When
from tests.faults.scene import Scene

DAMAGE = Faults()

FILES = {
    "log": "log.jsonl",
    "resolved": "resolved.json",
    "space copy": "space.yaml",
    "data": "data.json",
    "tracking": "tracking.json",
    "lock": "lock",
    "config": "trials/*/config.json",
    "metrics": "trials/*/metrics.jsonl",
    "checkpoint": "trials/*/checkpoint.pt",
    "best": "trials/*/best.pt",
    "output": "trials/*/output.log",
    "settings": "trials/*/settings.json",
    "printed": "trials/*/printed.jsonl",
    "printed part": "trials/*/printed.part",
    "study": "../study.json",
}

_LOG = r"log\.jsonl|the last line of the log"
"""What is said of a damaged log."""


def _damage(pattern: str, how: Callable[[bytes, random.Random], bytes]) -> Strike:
    def strike(scene: Scene, pick: random.Random) -> str | None:
        path = scene.files(pattern, pick)
        if path is None:
            return None
        scene.back_up(path)
        content = path.read_bytes()
        path.write_bytes(how(content, pick))
        return f"{path.relative_to(scene.folder)} {how.__name__.strip('_')}, {len(content)} bytes"

    return strike


def _torn(content: bytes, pick: random.Random) -> bytes:
    """Cut a file of lines somewhere in its last line, and any other anywhere."""
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    return content[: pick.randrange(last + 1 if content[last : last + 1] == b"{" else 0, len(content))]


def _flipped(content: bytes, pick: random.Random) -> bytes:
    """Flip one bit."""
    place = pick.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << pick.randrange(8)]) + content[place + 1 :]


def _zeroed(content: bytes, pick: random.Random) -> bytes:
    """Put zeros where a block was not written: what some file systems leave behind a power cut."""
    start = pick.randrange(len(content))
    return content[:start] + bytes(min(64, len(content) - start)) + content[start + 64 :]


def _emptied(_: bytes, __: random.Random) -> bytes:
    """Cut all of it."""
    return b""


def gone(pattern: str) -> Strike:
    """Delete a file."""

    def strike(scene: Scene, pick: random.Random) -> str | None:
        path = scene.files(pattern, pick)
        if path is None:
            return None
        scene.back_up(path)
        path.unlink()
        return f"{path.relative_to(scene.folder)} is gone"

    return strike


_BETWEEN = {"when": When.BETWEEN, "damages": True, "engine": "local"}
for _kind, _pattern in FILES.items():
    _named = {"named": _LOG} if _kind == "log" else {}  # a file of which nothing is needed any more is not read
    DAMAGE.add(f"torn {_kind}", _damage(_pattern, _torn), 1, 2, **_BETWEEN, **_named)
    DAMAGE.add(f"flipped {_kind}", _damage(_pattern, _flipped), 1, 2, **_BETWEEN, **_named)
    DAMAGE.add(f"zeros in {_kind}", _damage(_pattern, _zeroed), 1, 2, **_BETWEEN, **_named)
for _kind in ("config", "metrics", "checkpoint", "best", "tracking", "data", "log", "resolved"):
    _named = {"named": _LOG} if _kind == "log" else {}
    DAMAGE.add(f"no {_kind}", gone(FILES[_kind]), 1, 2, **_BETWEEN, **_named)
DAMAGE.add("empty log", _damage("log.jsonl", _emptied), 1, 2, **_BETWEEN, named=_LOG)


# MLflow's database


def database_of(scene: Scene) -> Path | None:
    path = scene.folder / "experiments" / "mlflow.db"
    return path if path.exists() else None


def database_half_made(scene: Scene, pick: random.Random) -> str | None:
    """Leave MLflow's database as a kill in the middle of its making does: some of the tables, no version."""
    path = database_of(scene)
    if path is None:
        return None
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(path)) as store:
        found = store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        tables = [name for (name,) in found]
        if len(tables) < 2:
            return None
        store.execute("PRAGMA foreign_keys = OFF")
        kept = pick.randrange(1, len(tables))
        for table in ["alembic_version", *tables[kept:]]:
            store.execute(f'DROP TABLE IF EXISTS "{table}"')
        store.commit()
        return f"mlflow.db has {kept} of {len(tables)} tables"
    return None  # it was damaged before


def database_gone(scene: Scene, _: random.Random) -> str | None:
    """Delete MLflow's database."""
    path = database_of(scene)
    if path is None:
        return None
    path.unlink()
    return "mlflow.db is gone"


def _of_database(how: Callable[[bytes, random.Random], bytes]) -> Strike:
    def strike(scene: Scene, pick: random.Random) -> str | None:
        path = database_of(scene)
        if path is None:
            return None
        content = path.read_bytes()
        path.write_bytes(how(content, pick))
        return f"mlflow.db {how.__name__.strip('_')}, {len(content)} bytes"

    return strike


def _halved(content: bytes, _: random.Random) -> bytes:
    return content[: len(content) // 2]


for _name, _strike in {
    "half-made mlflow.db": database_half_made,
    "no mlflow.db": database_gone,
    "torn mlflow.db": _of_database(_halved),
    "zeros in mlflow.db": _of_database(_zeroed),
}.items():
    DAMAGE.add(_name, _strike, when=When.BETWEEN, needs="mlflow")
