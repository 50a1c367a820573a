import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from hpsearch.errors import TrackingError
from hpsearch.experiment.events import EndEvent
from hpsearch.records import Outcome
from hpsearch.tracking import NoTracker, Tracker
from hpsearch.tracking.mirror import ExperimentMirror
from hpsearch.tracking.mlflow.sink import mlflow_mirror
from hpsearch.tracking.mlflow.store import chosen_uri
from hpsearch.tracking.shelf import LiveTracker
from tests.tracking.folders import ExperimentFolder, grow_shortly, sync
from tests.tracking.reading import Reading
from tests.tracking.servers import assert_no_process_names, free_port, mlflow_server


@pytest.mark.parametrize("kind", ["mlflow", "none"])
def test_a_tracker_may_be_told_and_closed(kind: str, folder: ExperimentFolder) -> None:
    tracker: Tracker = NoTracker() if kind == "none" else LiveTracker(mlflow_mirror(folder.path), warn=pytest.fail)
    tracker.notify()
    assert tracker.close(timeout=240)


def test_the_folder_is_mirrored_while_it_grows(folder: ExperimentFolder, read: Callable[[], Reading]) -> None:
    tracker = LiveTracker(mlflow_mirror(folder.path), warn=pytest.fail)
    for number in range(3):
        folder.trial(number, Outcome.COMPLETE, (0.9, 0.5 - number / 10))
        tracker.notify()
    folder.log.append(EndEvent(why="interrupted"))
    tracker.notify()
    assert tracker.close(timeout=240)
    assert read().names == ["line", "trial-0000", "trial-0001", "trial-0002"]
    assert read().parent.info.status == "KILLED"
    assert read().parent.data.metrics["best_objective"] == 0.3


def test_mlflow_is_imported_on_the_thread_and_not_before() -> None:
    program = "import sys, hpsearch.tracking.shelf, hpsearch.tracking.mlflow.ui; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_all_work_is_done_on_the_thread(folder: ExperimentFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    real = ExperimentMirror.catch_up

    def seen(self: ExperimentMirror, *, final: bool = False) -> None:
        threads.add(threading.current_thread().name)
        real(self, final=final)

    monkeypatch.setattr(ExperimentMirror, "catch_up", seen)
    tracker = LiveTracker(mlflow_mirror(folder.path), warn=pytest.fail)
    tracker.notify()
    assert tracker.close(timeout=240)
    assert threads == {"mlflow mirror"}


def test_a_server_that_is_away_is_warned_of_once(folder: ExperimentFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    rounds = threading.Semaphore(0)
    real = LiveTracker._catch_up

    def counted(self: LiveTracker, *, final: bool) -> bool:
        rounds.release()
        return real(self, final=final)

    monkeypatch.setattr(LiveTracker, "_catch_up", counted)
    tracker = LiveTracker(
        mlflow_mirror(folder.path, f"http://127.0.0.1:{free_port()}"), warn=warnings.append, pause=0.01
    )
    for number in range(3):
        folder.trial(number, Outcome.COMPLETE, (0.5,))
        tracker.notify()
        assert rounds.acquire(timeout=240)
    assert not tracker.close(timeout=240)
    assert len(warnings) == 1
    assert "the search goes on, and `hpsearch sync" in warnings[0]
    assert "Connection refused" in warnings[0]


def test_a_server_that_never_answers_does_not_hold_the_search(
    folder: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracker = LiveTracker(
            mlflow_mirror(folder.path, f"http://127.0.0.1:{silent.getsockname()[1]}"), warn=lambda _: None
        )
        tracker.notify()
        accepted, _ = silent.accept()
        for number in range(3):
            folder.trial(number, Outcome.COMPLETE, (0.5,))
            tracker.notify()
        assert not tracker.close(timeout=0)
        accepted.close()
        tracker._thread.join(240)
        assert not tracker._thread.is_alive()


def test_an_error_of_ours_does_not_end_the_search(folder: ExperimentFolder) -> None:
    folder.trial(0, Outcome.COMPLETE, (0.5,))
    (folder.path / "resolved.json").write_text("{")
    warnings: list[str] = []
    tracker = LiveTracker(mlflow_mirror(folder.path), warn=warnings.append)
    assert not tracker.close(timeout=240)
    assert len(warnings) == 1


@pytest.mark.slow
def test_a_server_that_comes_back_gets_everything(
    folder: ExperimentFolder, empty_database: Path, tmp_path: Path, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    grow_shortly(folder)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    warnings: list[str] = []
    tracker = LiveTracker(mlflow_mirror(folder.path, uri), warn=warnings.append)
    tracker.notify()
    with pytest.raises(TrackingError, match=r"Connection refused|another process"):
        sync(folder.path, uri)
    database = tmp_path / "server.db"
    database.write_bytes(empty_database.read_bytes())
    with mlflow_server(database, tmp_path / "kept by the server", port):
        tracker.notify()
        assert tracker.close(timeout=240)
        assert chosen_uri(folder.path, None) == uri
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("line")
        assert experiment is not None
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
        assert len(runs) == 7
        best = runs["trial-0001"].info.run_id
        assert {file.path for file in client.list_artifacts(best)} == {"best.pt", "config.json"}
        assert [point.step for point in client.get_metric_history(best, "val/loss")] == [1, 2]
        sync(folder.path)
        assert len(client.search_runs([experiment.experiment_id])) == 7
    assert len(warnings) == 1
    assert (tmp_path / "kept by the server").exists()
    assert not (root / "mlartifacts").exists()
    assert_no_process_names(str(tmp_path))
    printed = capfd.readouterr()
    assert "View run" not in printed.out
    assert "Retrying" not in printed.err


@pytest.mark.slow
def test_two_experiments_may_make_a_fresh_store_at_once_and_in_silence(tmp_path: Path) -> None:
    for name in ("one", "two"):
        grow_shortly(ExperimentFolder(tmp_path / name, identity=name))
    program = (
        "import sys, pathlib; from hpsearch.tracking.mlflow.sink import mlflow_mirror;"
        "mlflow_mirror(pathlib.Path(sys.argv[1])).catch_up(final=True)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for name in ("one", "two")
    ]
    assert [process.communicate()[0].decode() for process in started] == ["", ""]
    assert [process.returncode for process in started] == [0, 0]
    for name in ("one", "two"):
        assert len(Reading(f"sqlite:///{tmp_path / 'mlflow.db'}", name).names) == 7
