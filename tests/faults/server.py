"""An MLflow server behind a door that misbehaves when it is told to."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.tracking.servers import answers, free_port

_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops"


class Server:
    """A real server of MLflow over SQLite, and the port that clients are told of.

    While it misbehaves, clients are answered with `error 500`, with `silence`, or meet `refusal`; `restart` kills the
    server itself and starts it again.
    """

    def __init__(self, folder: Path) -> None:
        self.database = folder / "server.db"
        self._folder = folder
        self._own_port = free_port()
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._mode = ""
        self._over = False
        self._listener: socket.socket | None = None
        self._start()
        self._listen()

    def _start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._own_port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.database}"]
        command += ["--artifacts-destination", str(self._folder / "server-artifacts")]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            command, start_new_session=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while not answers(self._own_port):
            assert self._process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server never answered"
            time.sleep(0.2)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self._mode == "error 500":
                client.recv(1 << 16)
                client.sendall(_ERROR)
                return
            while self._mode == "silence":
                time.sleep(0.05)
            with socket.create_connection(("127.0.0.1", self._own_port), timeout=60) as server:
                self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        ends = {client: server, server: client}
        while not self._mode and not self._over:
            for end in select.select(list(ends), [], [], 0.1)[0]:
                chunk = end.recv(1 << 16)
                if not chunk:
                    return
                ends[end].sendall(chunk)

    def misbehave(self, mode: str, seconds: float) -> None:
        """Misbehave for a while, in the background."""

        def spell() -> None:
            self._mode = mode
            listener = self._listener
            if mode in ("refusal", "restart") and listener is not None:
                listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            if mode == "restart":
                self._kill()
            time.sleep(seconds)
            if mode == "restart":
                self._start()
            self._mode = ""
            if mode in ("refusal", "restart"):
                self._listen()

        self.settle()
        self._spell = threading.Thread(target=spell, daemon=True)
        self._spell.start()

    def settle(self) -> None:
        """Wait until it behaves again."""
        spell = getattr(self, "_spell", None)
        if spell is not None:
            spell.join()

    def close(self) -> None:
        """End it."""
        self.settle()
        self._over = True
        if self._listener is not None:
            self._listener.close()
        self._kill()
