"""MLflow's web page over the store of an experiments folder, as a child process that ends with us."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import IO

from hpsearch.errors import TrackingError
from hpsearch.experiment.addresses import absolute_url, sqlite_path, without_secrets
from hpsearch.experiment.layout import TRACKING, is_experiment, is_study, root_of
from hpsearch.extras import Extra, require
from hpsearch.tracking.entries import MirrorState, load_state
from hpsearch.tracking.mlflow.store import ARTIFACTS, default_uri, follow_move, guarded, without_stray_folders

STARTING_SECONDS = 30.0
"""From one word that the server is still starting to the next."""
STOP_SECONDS = 5.0
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job runners are for language models, and are more processes
}


def ui_command(root: Path, *, port: int, host: str = "127.0.0.1", uri: str | None = None) -> list[str]:
    """Return the command that serves the store of `root`, a folder of experiments, or of one experiment or study.

    The address of a store at `uri` is none of its words, which everybody on the machine can read: see `_running`.
    """
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *(("--backend-store-uri", _store_uri(root)) if uri is None else ()),
        *("--default-artifact-root", (_root(root) / ARTIFACTS).as_uri()),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def serve_ui(
    root: Path,
    *,
    port: int,
    announce: Callable[[str], None],
    waiting: Callable[[str], None] = lambda _: None,
    host: str = "127.0.0.1",
    uri: str | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; `announce` gets the page's URL when it answers. Port 0 is any free one.

    `uri` is the store, where it is not the one that the experiments name: logins are not kept with them.

    `waiting` is told now and then that it is still starting, which takes minutes on a loaded machine.

    Stands in the main thread, where signals arrive.

    Raises:
        TrackingError: MLflow is not installed, there is no store to serve, the port is taken, or the server ends by
            itself.
    """
    require("MLflow's page", Extra.MLFLOW, kind=TrackingError)
    port = _free_port(host, port)
    if (warning := exposure(root, host)) is not None:
        announce(warning)
    store = _store_uri(root, uri)
    command = ui_command(root, port=port, host=host, uri=uri)
    with (
        without_stray_folders(store),
        tempfile.TemporaryFile() as output,
        _running(command, output, store) as server,
    ):
        try:
            _wait_until_it_answers(server, host, port, output, waiting)
            announce(f"http://{host}:{port}/#/experiments{_page(root)}")
            server.wait()
        except KeyboardInterrupt:
            return
        raise TrackingError(f"the MLflow server ended by itself: {_last_line(output)}")


def exposure(root: Path, host: str) -> str | None:
    """Say what a page that does not listen on loopback alone shows to whom, or None for one that does."""
    with suppress(ValueError):
        if host == "localhost" or ip_address(host).is_loopback:
            return None
    return (
        f"warning: whoever reaches this machine at {host} can read, change and delete every experiment in "
        f"{_root(root)} and read its artifacts: MLflow's page has no login. From another machine, "
        "`ssh -L 5000:127.0.0.1:5000 HOST` shows it without --host"
    )


def _single(root: Path) -> bool:
    return is_experiment(root) or is_study(root)


def _root(root: Path) -> Path:
    """Return the folder with all experiments."""
    return root_of(root.resolve()) if _single(root) else root.resolve()


def _states(root: Path) -> list[MirrorState]:
    """Return the mirrored folders; the arms of a study are with the study."""
    folders = [root] if _single(root) else [path.parent for path in sorted(root.glob(f"*/{TRACKING}"))]
    return [load_state(folder / TRACKING) for folder in folders]


def _page(root: Path) -> str:
    """Return the end of the URL of the only experiment's runs, or of the list, as trainings: the default is chats."""
    experiments = [state.experiment for state in _states(root) if state.experiment]
    runs = f"/{experiments[0]}/runs" if len(experiments) == 1 else ""
    return f"{runs}?workflowType=machine_learning"


def _store_uri(root: Path, given: str | None = None) -> str:
    """Return the URI of the store that is given, of one experiment's, or of that which all of a folder share."""
    default = default_uri(_root(root))
    uris = {state.uri or default for state in _states(root)}
    uri = absolute_url(given) if given else default if default in uris else min(uris, default=default)
    if uri.startswith(("http://", "https://")):
        shown = without_secrets(uri)
        what = "that is" if given else f"the experiments in {root} are mirrored to"
        raise TrackingError(f"{what} the MLflow server {shown}: open it in a browser")
    if uri == default:
        if not sqlite_path(uri).exists():
            raise TrackingError(f"there is no MLflow store for {root}; `hpsearch sync` makes one from an experiment")
        with guarded(uri):
            follow_move(_root(root))
    return uri


def _free_port(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise TrackingError(f"port {port} of {host} cannot be used ({error.strerror}); choose another") from error
        return int(probe.getsockname()[1])


@contextmanager
def _running(command: list[str], output: IO[bytes], store: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server in its own process group, and end the whole group on the way out.

    It hears of its store by the environment too, which other users cannot read: there may be a password in it.
    """
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("_MLFLOW_")}
    environment |= {**_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": store}
    server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, env=environment)
    try:
        yield server
    finally:
        try:
            _end_group(server)
        finally:
            _signal_group(server, signal.SIGKILL)  # also when an impatient user interrupts the polite way
            for number, handler in before.items():
                signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """Ask the processes of the group to end, and give them a while."""
    deadline = time.monotonic() + STOP_SECONDS
    _signal_group(server, signal.SIGTERM)
    while _signal_group(server, 0) and time.monotonic() < deadline:
        time.sleep(0.05)


def _signal_group(server: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal (0: none) to the group; say whether any process of it is left."""
    server.poll()
    try:
        os.killpg(server.pid, number)
    except ProcessLookupError:
        return False
    return True


def _wait_until_it_answers(
    server: subprocess.Popen[bytes], host: str, port: int, output: IO[bytes], waiting: Callable[[str], None]
) -> None:
    """Wait for as long as the server lives, and say now and then that it is still starting."""
    start, told = time.monotonic(), 0
    while not _answers(host, port):
        if server.poll() is not None:
            raise TrackingError(f"the MLflow server did not start: {_last_line(output)}")
        spent = time.monotonic() - start
        if spent // STARTING_SECONDS > told:
            told = int(spent // STARTING_SECONDS)
            waiting(f"the MLflow server is still starting ({spent:.0f} s); Ctrl-C gives up")
        time.sleep(0.2)


def _answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines()
    return without_secrets(lines[-1]) if lines else "it said nothing"
