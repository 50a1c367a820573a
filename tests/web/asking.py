"""Asking the page's application as a browser does, without a server: one request, or a stream until it ends."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from hpsearch.web.app import Page

TOKEN = "the-token"  # noqa: S105
HOST = "127.0.0.1:5055"


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The server-sent events of a stream: name and data."""
        found = []
        for block in self.body.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
        return found


def ask(
    page: Page,
    path: str,
    *,
    method: str = "GET",
    token: str = TOKEN,
    headers: dict[str, str] | None = None,
    body: Any = None,
    **query: Any,
) -> Answer:
    """Send one request to `/TOKEN/path` and return the answer; of a stream, what came until it ended."""
    sent = {"host": HOST, **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": f"/{token}/{path}",
        "raw_path": f"/{token}/{path}".encode(),
        "query_string": "&".join(f"{name}={_quoted(value)}" for name, value in query.items()).encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 5055),
    }
    answer = Answer()

    async def receive() -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    asyncio.run(page.app(scope, receive, send))
    return answer


def _quoted(value: Any) -> str:
    from urllib.parse import quote

    return quote(str(value))
