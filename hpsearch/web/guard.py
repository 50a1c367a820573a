"""Who may ask: only somebody who knows the token, at an address of this machine, from this page.

Another page in the same browser can send requests to loopback, too. It does not know the token, which is the first part
of every path; a name of its own that it lets point to this machine (DNS rebinding) is no loopback name; and what it
sends is of another origin. What the page itself may load is told to the browser: nothing from elsewhere.
"""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN_HEADER = "x-hpsearch-token"  # noqa: S105 - the header's name
_READING = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


class Guard:
    """Refuses what is not asked by the page, and gives every answer the headers that a browser needs."""

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        why = self._objection(scope)
        if why:
            await _refuse(send, why)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in HEADERS if each[0] not in named)]
            await send(message)

        path = scope["path"][len(self._token) + 1 :]
        await self._app({**scope, "path": path, "raw_path": path.encode(), "root_path": ""}, receive, guarded)

    def _objection(self, scope: Scope) -> str:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if _name(f"//{host}") not in LOOPBACK:
            return "this page is only for this machine: open it at 127.0.0.1 or localhost"
        first = scope["path"].split("/")[1:]
        if len(first) < 2 or not _same(first[0], self._token):
            return "the address lacks its token: open the one that hpsearch has printed"
        if scope["method"] in _READING:
            return ""
        if not _same(headers.get(TOKEN_HEADER.encode(), ""), self._token):
            return "a request that changes something needs the token in its header"
        if _name(headers.get(b"origin", "")) not in LOOPBACK or urlsplit(headers[b"origin"]).netloc != host:
            return "a request that changes something must come from this page"
        return ""


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())


async def _refuse(send: Send, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": f"{why}\n".encode()})
