import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpsearch.errors import TrackingError
from hpsearch.tracking.mlflow import ui
from hpsearch.tracking.mlflow.store import DATABASE, default_uri
from hpsearch.tracking.mlflow.ui import serve_ui, ui_command
from tests.tracking.folders import ExperimentFolder, grow_shortly, sync
from tests.tracking.reading import Reading
from tests.tracking.servers import assert_no_process_names, processes_naming

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver
    from selenium.webdriver.support.ui import WebDriverWait

PROGRAM = """
import sys, pathlib
from hpsearch.tracking.mlflow.ui import serve_ui
serve_ui(pathlib.Path(sys.argv[1]), port=0, announce=lambda url: print(url, flush=True))
"""


@pytest.fixture
def synced(folder: ExperimentFolder) -> ExperimentFolder:
    grow_shortly(folder)
    sync(folder.path)
    return folder


def test_the_command_names_the_store_of_the_folder_or_of_the_experiment(synced: ExperimentFolder, root: Path) -> None:
    command = ui_command(root, port=5001)
    assert command == ui_command(synced.path, port=5001)
    assert command[command.index("--backend-store-uri") + 1] == default_uri(root)
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_the_store_that_was_chosen_is_shown(synced: ExperimentFolder, other: Path) -> None:
    sync(synced.path, f"sqlite:///{other}")
    assert f"sqlite:///{other}" in ui_command(synced.path, port=1)


def test_a_server_of_its_own_is_named(folder: ExperimentFolder) -> None:
    with pytest.raises(TrackingError):
        sync(folder.path, "http://127.0.0.1:1")
    with pytest.raises(TrackingError, match="open it in a browser"):
        ui_command(folder.path, port=1)


def test_the_login_of_a_store_that_is_given_is_no_word_of_a_command(synced: ExperimentFolder) -> None:
    command = ui_command(synced.path, port=1, uri="postgresql://me:secret@127.0.0.1/store")
    assert not any("secret" in word or "--backend" in word for word in command)
    with pytest.raises(TrackingError, match=r"that is the MLflow server http://127\.0\.0\.1:1: open it in a browser"):
        serve_ui(synced.path, port=0, announce=pytest.fail, uri="http://me:secret@127.0.0.1:1")


def test_no_store_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no MLflow store"):
        ui_command(tmp_path, port=1)


def test_a_taken_port_is_a_clear_error(synced: ExperimentFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=f"port {port} .* choose another"):
            serve_ui(synced.path, port=port, announce=pytest.fail)


def test_a_server_that_is_still_starting_is_waited_for_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "STARTING_SECONDS", 0.01)
    said: list[str] = []

    def waiting(text: str) -> None:
        said.append(text)
        if len(said) == 2:
            raise KeyboardInterrupt

    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as server,
    ):
        try:
            with pytest.raises(KeyboardInterrupt):
                ui._wait_until_it_answers(server, "127.0.0.1", 9, output, waiting)
        finally:
            server.kill()
    assert all("still starting" in text for text in said)


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why(synced: ExperimentFolder, root: Path) -> None:
    with contextlib.closing(sqlite3.connect(root / DATABASE)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = 'of a later MLflow'")
    with pytest.raises(TrackingError, match="did not start"):
        serve_ui(synced.path, port=0, announce=pytest.fail)
    assert_no_process_names(str(root))


def test_a_file_that_is_no_store_says_so_before_a_server_starts(synced: ExperimentFolder, root: Path) -> None:
    (root / DATABASE).write_bytes(b"no database" * 1000)
    with pytest.raises(TrackingError, match="file is not a database"):
        serve_ui(synced.path, port=0, announce=pytest.fail)


@contextlib.contextmanager
def browser() -> Iterator["WebDriver"]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    quiet = ["disable-background-networking", "disable-component-update", "disable-sync", "no-first-run"]
    with tempfile.TemporaryDirectory() as profile:
        for flag in ["headless", "no-sandbox", "disable-gpu", "disable-quic", *quiet, f"user-data-dir={profile}"]:
            options.add_argument(f"--{flag}")
        options.add_argument("--window-size=1500,1000")
        options.binary_location = "/usr/bin/chromium"
        driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
        try:
            yield driver
        finally:
            driver.quit()


@contextlib.contextmanager
def serving(root: Path, ending: signal.Signals) -> Iterator[str]:
    """The page, served by a process of ours that then gets the signal; yields what is announced."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(ending)
        code = process.wait(240)
        process.stdout.close()
        assert_no_process_names(str(root))
        assert code == 0


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_server_ends_with_us(synced: ExperimentFolder, root: Path, ending: signal.Signals) -> None:
    with serving(root, ending) as url:
        assert url.startswith("http://127.0.0.1:")
        assert len(processes_naming(str(root))) >= 2


@pytest.mark.slow
def test_the_page_shows_the_nested_runs_and_their_files(synced: ExperimentFolder, root: Path, tmp_path: Path) -> None:
    screenshots = Path(os.environ.get("HPSEARCH_SCREENSHOTS", tmp_path))
    with serving(root, signal.SIGINT) as url, browser() as driver:
        driver.get(url)
        # the page draws its table anew while it loads, so that a click may miss
        _patience(driver, every=3).until(_unfold)
        for name in ("trial-0000", "trial-0001", "trial-0002", "confirm-0001-seed-000", "baseline-sloreta"):
            _wait_for(driver, name)
        driver.save_screenshot(str(screenshots / "runs.png"))
        trial = Reading(default_uri(root), "line").runs["trial-0001"].info
        page = url.partition("#")[0]
        driver.get(f"{page}#/experiments/{trial.experiment_id}/runs/{trial.run_id}/artifacts")
        _wait_for(driver, "best.pt")
        driver.save_screenshot(str(screenshots / "artifacts.png"))


def _unfold(page: "WebDriver") -> bool:
    """Show the runs below the parent run; say whether they are shown."""
    if "trial-0000" in page.find_element("tag name", "body").text:
        return True
    link = "//a[normalize-space()='line' and contains(@href, '/runs/')]"
    page.find_element("xpath", f"{link}/ancestor::*[@role='gridcell'][1]//button").click()
    return False


def _patience(driver: "WebDriver", *, every: float = 0.5) -> "WebDriverWait":
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 240, poll_frequency=every, ignored_exceptions=[WebDriverException])


def _wait_for(driver: "WebDriver", text: str) -> None:
    _patience(driver).until(lambda page: text in page.find_element("tag name", "body").text, text)
