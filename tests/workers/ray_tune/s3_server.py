"""An S3 server on loopback that a test can have refuse, fail, vanish or be slow."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "team"
_FAULT = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}, says the test</Message></Error>'
_CODES = {403: "AccessDenied", 500: "InternalError"}


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Say nothing of each request."""


class FaultyS3:
    """Moto's server, and what stands between it and its clients."""

    def __init__(self) -> None:
        self.status = 0
        """Answered instead, if not 0, to `faults` requests."""
        self.faults = 1 << 30
        self.seconds = 0.0
        """Before each answer."""
        self.requests: list[str] = []
        self.write_limit = 1 << 30
        """After so many files have been written, `status` is answered."""
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.requests.append(request)
        time.sleep(self.seconds)
        if request.startswith(f"PUT /{BUCKET}/"):
            self.write_limit -= 1
        if self.status and self.faults > 0 and self.write_limit < 0:
            self.faults -= 1
            start(f"{self.status} injected", [("Content-Type", "application/xml")])
            return [_FAULT.format(code=_CODES[self.status]).encode()]
        return self._moto(environ, start)

    def fail(self, status: int, *, faults: int = 1 << 30, after: int = -1) -> None:
        """Answer with a status from now on, or after so many files have been written."""
        self.status, self.faults, self.write_limit = status, faults, after

    def heal(self) -> None:
        self.status, self.write_limit = 0, 1 << 30

    def make_bucket(self) -> None:
        from botocore.session import get_session

        get_session().create_client("s3", endpoint_url=self.uri).create_bucket(Bucket=BUCKET)

    def vanish(self) -> None:
        """Lose the bucket with everything in it."""
        import requests

        assert requests.post(f"{self.uri}/moto-api/reset", timeout=10).ok

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def s3() -> Iterator[FaultyS3]:
    """Run a server that clients of this process, and of those that it starts, use."""
    server = FaultyS3()
    own = {
        "AWS_ACCESS_KEY_ID": "of the test",
        "AWS_SECRET_ACCESS_KEY": "of the test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.uri,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        server.make_bucket()
        try:
            yield server
        finally:
            server.heal()
            server.vanish()
            server.close()
