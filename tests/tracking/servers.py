"""Processes that a test starts, and ends with everything they have started."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_naming(text: str) -> dict[int, str]:
    """The command lines of all running processes in which the text, a folder of one test, occurs."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found[int(path.parent.name)] = line
    return found


def assert_no_process_names(text: str) -> None:
    """Fail when a process was left behind, and end it."""
    left = processes_naming(text)
    for number in left:
        os.kill(number, signal.SIGKILL)
    assert left == {}


@contextmanager
def mlflow_server(database: Path | str, artifacts: Path, port: int) -> Iterator[str]:
    """A tracking server as a team would run it: it keeps the artifacts, and clients send them to it.

    `database` is SQLite's file or the address of another one.
    """
    store = f"sqlite:///{database}" if isinstance(database, Path) else database
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(artifacts)]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(
        command, start_new_session=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not answers(port):
            assert server.poll() is None, "the server ended"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Postgres:
    """A database server of its own on loopback, run by an unprivileged user: as root it refuses to start."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"postgresql://hpsearch@127.0.0.1:{self.port}/mlflow"
        self._folder = folder
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        self._call("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "hpsearch", "-E", "UTF8")
        self._server: subprocess.Popen[bytes] | None = None

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(_postgres_programs() / program), *arguments]
        subprocess.run(command, check=True, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        command = [str(_postgres_programs() / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += ["-k", str(self._folder), "-h", "127.0.0.1"]
        with (self._folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(command, user=self._user, cwd=self._folder, stdout=log, stderr=log)
        while not self._takes_connections():
            assert self._server.poll() is None, (self._folder / "server.log").read_text()
            time.sleep(0.1)

    def _takes_connections(self) -> bool:
        command = [str(_postgres_programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def make_database(self) -> None:
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "hpsearch", "mlflow")

    def kill(self) -> None:
        """End it at once; its processes notice that it is gone, and end too."""
        if self._server is None:
            return
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.wait()
        self._server = None


def _postgres_programs() -> Path:
    """Where Debian keeps the programs of its newest version."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"))


@contextmanager
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="hpsearch-postgres-") as folder:  # pytest's are open to one user only
        server = Postgres(Path(folder))
        try:
            server.start()
            server.make_database()
            yield server
        finally:
            server.kill()
