"""An MLflow server on PostgreSQL, as a team has it: it takes everything, also when both are killed in between."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from sqlalchemy import create_engine, text

from hpsearch.errors import DataError, TrackingError
from hpsearch.readers.shelf import read_sources
from hpsearch.records import Outcome
from hpsearch.tracking.mlflow.store import DATABASE
from hpsearch.tracking.mlflow.ui import ui_command
from tests.tracking.folders import ExperimentFolder, StudyFolder, sync, sync_study
from tests.tracking.servers import Postgres, answers, assert_no_process_names, free_port, mlflow_server, postgres

TRIALS = 120
"""A thousand take the same way, in minutes."""
_TABLES = {
    "runs": "SELECT name, status, start_time, end_time, lifecycle_stage FROM runs",
    "metrics": "SELECT name, key, step, value, is_nan, timestamp FROM metrics JOIN runs USING (run_uuid)",
    "latest": "SELECT name, key, step, value FROM latest_metrics JOIN runs USING (run_uuid)",
    "params": "SELECT name, key, value FROM params JOIN runs USING (run_uuid)",
    "tags": "SELECT name, key, value FROM tags JOIN runs USING (run_uuid) WHERE key <> 'mlflow.parentRunId'",
    "parents": """SELECT runs.name, above.name FROM tags JOIN runs USING (run_uuid)
        JOIN runs above ON above.run_uuid = tags.value WHERE tags.key = 'mlflow.parentRunId'""",
}


def contents(uri: str) -> dict[str, Counter[Any]]:
    """All that two mirrors of one folder have in common: everything but the identities."""
    engine = create_engine(uri)
    with engine.connect() as connection:
        found = {name: Counter(map(tuple, connection.execute(text(query)))) for name, query in _TABLES.items()}
    engine.dispose()
    return {name: Counter({_plain(row): n for row, n in rows.items()}) for name, rows in found.items()}


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(int(value) if isinstance(value, bool) else value for value in row)


@pytest.fixture
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.mark.slow
def test_killed_and_started_again_it_equals_the_log(tmp_path: Path, database: Postgres) -> None:
    study = StudyFolder(tmp_path / "experiments" / "study")
    arms = [study.begin(name) for name in ("a", "b")]
    for number in range(TRIALS // 2):
        for arm in arms:
            arm.trial(number, Outcome.COMPLETE, (3.0, 1.0 + number, 2.0 + number))
    port, artifacts = free_port(), tmp_path / "artifacts"
    with mlflow_server(database.uri, artifacts, port) as uri:
        syncing = threading.Thread(target=lambda: _try(study.path, uri))
        syncing.start()
        while _runs(database.uri) < TRIALS // 5:
            assert syncing.is_alive()
        database.kill()
    syncing.join()
    database.start()
    before = _runs(database.uri)
    assert 0 < before < TRIALS
    with mlflow_server(database.uri, artifacts, port) as uri:
        sync_study(study.path, uri)
        found = read_sources([uri], metric="objective")
        assert len(found.runs) == TRIALS
        with pytest.raises(TrackingError, match=f"mirrored to the MLflow server {uri}: open it in a browser"):
            ui_command(study.path, port=1)
    assert len(list(artifacts.rglob("config.json"))) == TRIALS
    sync_study(study.path, f"sqlite:///{tmp_path / DATABASE}")
    assert contents(database.uri) == contents(f"sqlite:///{tmp_path / DATABASE}")


def _try(folder: Path, uri: str) -> None:
    with suppress(TrackingError):
        sync_study(folder, uri)


def _runs(uri: str) -> int:
    engine = create_engine(uri)
    with engine.connect() as connection:
        count = int(connection.execute(text("SELECT count(*) FROM runs")).scalar_one())
    engine.dispose()
    return count


@pytest.mark.slow
def test_the_database_itself_is_a_store_too(tmp_path: Path, database: Postgres) -> None:
    with pytest.raises(DataError, match="is no store of MLflow's: it has no table of runs"):
        read_sources([database.uri])
    folder = ExperimentFolder(tmp_path / "experiments" / "line")
    for number in range(4):
        folder.trial(number, Outcome.COMPLETE, (9.0, 1.0 + number))
    sync(folder.path, database.uri)
    without_user = database.uri.replace("hpsearch@", "")  # logins are not kept: PGUSER and PGPASSWORD are for that
    assert without_user in ui_command(folder.path, port=1)
    with shown(folder.path, database.uri) as port:  # and the page takes the login as it is given
        query = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/search?max_results=9"
        with urlopen(query) as answer:
            assert "line" in {each["name"] for each in json.load(answer)["experiments"]}
    read = read_sources([database.uri], metric="objective")
    assert {run.metrics["objective"].value for run in read.runs} == {1.0, 2.0, 3.0, 4.0}
    sync(folder.path, f"sqlite:///{tmp_path / DATABASE}")
    assert contents(database.uri) == contents(f"sqlite:///{tmp_path / DATABASE}")


@contextmanager
def shown(folder: Path, uri: str) -> Iterator[int]:
    """`hpsearch ui --mlflow` on a store, on a port."""
    port = free_port()
    words = ["ui", str(folder), "--mlflow", "--port", str(port), "--tracking-uri", uri]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    page = subprocess.Popen([sys.executable, "-m", "hpsearch", *words], env=environment)
    try:
        while not answers(port):
            assert page.poll() is None, "the page ended"
            time.sleep(0.2)
        yield port
    finally:
        page.terminate()
        assert page.wait() == 0
    assert_no_process_names(str(folder.parent))


@pytest.mark.parametrize("uri", ["mysql+pymissing://h/x", "postgresql+pymissing://h/x"])
def test_a_driver_that_nobody_has_is_one_sentence(tmp_path: Path, uri: str) -> None:
    folder = ExperimentFolder(tmp_path / "experiments" / "line")
    with pytest.raises(TrackingError):
        sync(folder.path, uri)
    with pytest.raises(DataError):
        read_sources([uri])
